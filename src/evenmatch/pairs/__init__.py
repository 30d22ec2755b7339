"""One pass over all pairs: mergeable integer counts per class and threshold."""
