"""Retrieval measures: is the right class among the nearest neighbours?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evenmatch.pairs import Neighbours, PairCounts

__all__ = ["map_at_r", "recall_at_1", "recall_at_k"]


def recall_at_1(counts: PairCounts) -> float:
    """Share of samples whose best-scoring other sample (or reference) has their class, from the counts alone.

    Samples without a positive are left out. A tie between classes counts as a miss.
    """
    hits, has_positive = hits_at_1(counts)
    return float(np.count_nonzero(hits & has_positive) / np.count_nonzero(has_positive))


def hits_at_1(counts: PairCounts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each sample's nearest neighbour has its class, and whether any could: ``(n,)`` bool each."""
    hits: NDArray[np.bool_] = np.greater(counts.best_positive, counts.best_negative)
    has_positive: NDArray[np.bool_] = np.isfinite(counts.best_positive)
    return hits, has_positive


def recall_at_k(neighbours: Neighbours, k: int) -> float:
    """Share of samples with one of their own class among the k nearest (Jégou et al., TPAMI 2011).

    Samples without a positive are left out. Ties count against: a positive comes after the negatives of its score.

    Args:
        neighbours: at least k neighbours of every query, or all there are.
        k: ≥ 1.
    """
    counted = neighbours.positives > 0
    return float(np.any(neighbours.same[counted, :k], axis=1).mean())


def map_at_r(neighbours: Neighbours) -> float:
    """Mean average precision at R (Musgrave, Belongie, Lim: A Metric Learning Reality Check, ECCV 2020).

    For a query with R positives, ``1/R · Σ_{i ≤ R} P(i)``, where P(i) is the precision at rank i if the i-th neighbour
    is a positive and 0 otherwise; then the mean over the queries with R > 0.

    Args:
        neighbours: at least ``positives.max()`` neighbours of every query, or all there are.
    """
    ranks = np.arange(1, neighbours.same.shape[1] + 1)
    limits = neighbours.positives
    total, queries = 0.0, int(np.count_nonzero(limits))
    for at in range(0, limits.size, 4096):
        relevant = neighbours.same[at : at + 4096] & (ranks <= limits[at : at + 4096, None])
        precision = np.cumsum(relevant, axis=1) / ranks * relevant
        total += float((precision.sum(axis=1) / np.maximum(limits[at : at + 4096], 1)).sum())
    return total / queries
