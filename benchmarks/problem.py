"""The data that the benchmarks count, and the least that counting their pairs can cost."""

from __future__ import annotations

import numpy as np

__all__ = ["make", "product"]


def make(n: int, dim: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes around their own centres, in random order: vectors (n, dim) float32 and labels (n,)."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % n_classes)
    centres = rng.standard_normal((n_classes, dim), dtype=np.float32) * np.float32(0.7)
    vectors = rng.standard_normal((n, dim), dtype=np.float32)
    for at in range(0, n, 8192):
        vectors[at : at + 8192] += centres[labels[at : at + 8192]]
    return vectors, labels


def product(vectors: np.ndarray) -> None:
    """The floor: the float32 product of half the matrix, by the BLAS on all cores, kept nowhere."""
    n, rows = len(vectors), 2048
    buffer = np.empty(rows * n, np.float32)
    for at in range(0, n, rows):
        part = vectors[at : at + rows]
        out = buffer[: len(part) * (n - at)].reshape(len(part), n - at)
        np.matmul(part, vectors[at:].T, out=out)
