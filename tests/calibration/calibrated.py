"""Small data sets and points for the tests of calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

import evenmatch as em


def made(k: int = 60, each: int = 8, dim: int = 16, seed: int = 0, spread: float = 0.6, **more: Any) -> em.EmbeddingSet:
    """Classes around centres, each of its own width."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(k), each))
    widths = spread * rng.uniform(0.6, 1.4, k)
    x = rng.normal(size=(k, dim))[codes] + widths[codes, None] * rng.normal(size=(codes.size, dim))
    return em.EmbeddingSet.from_arrays(x.astype(np.float32), codes, **more)
