"""Operators of native histograms alone."""
