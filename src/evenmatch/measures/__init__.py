"""What the counts mean: pure functions on counts."""
