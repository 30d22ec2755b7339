"""What comes in: a validated, frozen EmbeddingSet; readers and writers."""
