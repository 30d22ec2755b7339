"""The face: runs embeddings, pairs and measures, and holds the result."""
