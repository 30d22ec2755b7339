"""Embeddings without labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from evenmatch.embeddings._files import name_of, read
from evenmatch.embeddings._set import EmbeddingSet
from evenmatch.errors import InputError

__all__ = ["load_unlabeled"]


def load_unlabeled(path: str | os.PathLike[str], *, name: str | None = None) -> EmbeddingSet:
    """Read a file or folder of embeddings whatever labels it has or lacks; every row becomes a class of its own.

    path: as for `load`; a `.npy` needs no label file.
    name: what to call the set in reports; by default the file's name without suffix, or the folder's.

    Raises `InputError`, naming the file, as `load` does.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "new.npy"
        >>> np.save(path, np.eye(3))
        >>> load_unlabeled(path)
        EmbeddingSet(name='new', n=3, dim=3, dtype=float64, classes=3)
    """
    path = Path(path)
    vectors, _ = read(path, frozenset())
    try:
        rows = np.shape(vectors)[0] if np.ndim(vectors) else 0
        return EmbeddingSet.from_arrays(vectors, np.arange(rows), name=name_of(path) if name is None else name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
