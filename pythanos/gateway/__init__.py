"""A bucket of blocks served as a Store: which blocks there are, and what a select reads of each."""
