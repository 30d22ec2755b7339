"""The threshold-consistent margin loss and what wraps it."""
