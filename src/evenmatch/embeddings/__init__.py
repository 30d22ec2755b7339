"""What comes in: a validated, frozen EmbeddingSet, and its readers and writers."""

from evenmatch.embeddings._atomic import atomic_path as atomic_path
from evenmatch.embeddings._atomic import require_writable as require_writable
from evenmatch.embeddings._files import load as load
from evenmatch.embeddings._files import save as save
from evenmatch.embeddings._pair_list import load_scores as load_scores
from evenmatch.embeddings._safetensors import write_tensors as write_tensors
from evenmatch.embeddings._set import EmbeddingSet as EmbeddingSet
from evenmatch.embeddings._set import fingerprint_of as fingerprint_of
from evenmatch.embeddings._unlabeled import load_unlabeled as load_unlabeled

__all__ = [
    "EmbeddingSet",
    "atomic_path",
    "fingerprint_of",
    "load",
    "load_scores",
    "load_unlabeled",
    "require_writable",
    "save",
    "write_tensors",
]
