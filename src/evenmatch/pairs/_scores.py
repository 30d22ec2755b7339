"""Scores between two blocks of prepared vectors, of either metric."""

from __future__ import annotations

import numpy as np

from evenmatch.pairs._kernel import euclidean_tile

__all__ = ["scores_between"]


def scores_between(left: np.ndarray, right: np.ndarray, metric: str, out: np.ndarray | None = None) -> np.ndarray:
    """Scores of every pair of rows of ``left`` (n, d) and ``right`` (m, d), ``(n, m)`` float32, written to ``out``."""
    scores = np.matmul(left, right.T, out=out)
    if metric == "euclidean":
        euclidean_tile(scores, left, right, (left * left).sum(axis=1), (right * right).sum(axis=1))
    return scores
