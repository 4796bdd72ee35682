"""What operators do with native histograms: rows of references into columns, arithmetic, sums, functions."""
