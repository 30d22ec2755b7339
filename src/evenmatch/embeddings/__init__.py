"""What comes in: a validated, frozen EmbeddingSet, and its readers and writers."""

from evenmatch.embeddings._set import EmbeddingSet as EmbeddingSet

__all__ = ["EmbeddingSet"]
