"""Scores between samples that were averaged with their nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenmatch.embeddings import EmbeddingSet

__all__ = ["HALVES", "NeighbourScores", "neighbour_scores"]

_BINS = 4000
HALVES = 6
_ROWS = 512


@dataclass(frozen=True, eq=False)
class NeighbourScores:
    """Histograms of the scores of all pairs.

    Attributes:
        low: lower end of the first bin; scores lie in ``[low, -low]`` for cosine and ``[low, 0]`` for euclidean.
        matches, others: pairs of one class and of two, ``(1 + halves, bins)``: of all classes, and of random halves of
            the classes; without labels all pairs are ``others``.
    """

    low: float
    matches: np.ndarray
    others: np.ndarray

    def accepted(self, half: int | None) -> np.ndarray:
        """Share of all pairs at or above the lower end of each bin, and 0."""
        row = 0 if half is None else half + 1
        return _shares(self.matches[row] + self.others[row])

    def false_accepts(self, half: int | None = None) -> np.ndarray:
        """The same for pairs of two classes."""
        return _shares(self.others[0 if half is None else half + 1])

    def true_accepts(self, half: int | None = None) -> np.ndarray:
        """The same for pairs of one class."""
        return _shares(self.matches[0 if half is None else half + 1])


def neighbour_scores(
    samples: EmbeddingSet, neighbours: int, rng: np.random.Generator | None, metric: str, low: float | None = None
) -> NeighbourScores:
    """Average every sample with its nearest neighbours and score all pairs of these averages.

    Time and memory are those of an ``n × n`` product, so n is a few thousand.

    Args:
        samples: n samples.
        neighbours: how many.
        rng: draws the halves of the classes; None: the labels are not looked at.
        metric: ``"cosine"`` or ``"euclidean"``.
        low: of the bins; by default what the metric and the data ask for.
    """
    # float16 norms overflow and float64 loses nothing by being divided first
    vectors = samples.vectors[:]
    vectors = vectors if vectors.dtype == np.float64 else vectors.astype(np.float32)
    if metric == "cosine":
        vectors = vectors / samples.norms[:, None]
    vectors = vectors.astype(np.float32)
    averaged = _averaged(vectors, neighbours, metric)
    if low is None:
        reach = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1).max()
        low = -1.0 if metric == "cosine" else -2.001 * float(reach)
    high = 1.0 if metric == "cosine" else 0.0
    codes = samples.codes if rng is not None else np.arange(samples.n)
    halves = []
    if rng is not None:
        classes = len(samples.classes)
        halves = [np.flatnonzero((rng.permutation(classes) < (classes + 1) // 2)[codes]) for _ in range(HALVES)]
    matches, others = (np.zeros((1 + len(halves), _BINS), np.int64) for _ in range(2))
    for at in range(0, samples.n, _ROWS):
        scores = _scores(averaged[at : at + _ROWS], averaged[at:], metric)
        bins = np.clip(((scores - low) * (_BINS / (high - low))).astype(np.int32), 0, _BINS - 1)
        bins += _BINS * (codes[at : at + _ROWS, None] == codes[None, at:])
        bins[np.tril_indices(len(bins), 0, bins.shape[1])] = 2 * _BINS  # each pair once, none with itself
        for number in range(1 + len(halves)):
            part = bins
            if number:
                of_half = halves[number - 1][np.searchsorted(halves[number - 1], at) :] - at
                part = bins[np.ix_(of_half[of_half < len(bins)], of_half)]
            found = np.bincount(part.ravel(), minlength=2 * _BINS + 1)
            others[number] += found[:_BINS]
            matches[number] += found[_BINS : 2 * _BINS]
    return NeighbourScores(low, matches, others)


def _averaged(vectors: np.ndarray, neighbours: int, metric: str) -> np.ndarray:
    k = min(neighbours, len(vectors) - 1)
    averaged = np.empty_like(vectors)
    for at in range(0, len(vectors), _ROWS):
        part = vectors[at : at + _ROWS]
        scores = _scores(part, vectors, metric)
        scores[np.arange(len(part)), at + np.arange(len(part))] = -np.inf
        nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        averaged[at : at + _ROWS] = part + vectors[nearest].sum(axis=1)
    if metric == "cosine":
        lengths = np.linalg.norm(averaged, axis=1, keepdims=True)
        return averaged / np.maximum(lengths, 1e-12)
    return averaged / (k + 1)


def _scores(left: np.ndarray, right: np.ndarray, metric: str) -> np.ndarray:
    products = left @ right.T
    if metric == "cosine":
        return products
    squares = np.einsum("ij,ij->i", left, left)[:, None] + np.einsum("ij,ij->i", right, right)
    return -np.sqrt(np.maximum(squares - 2 * products, 0))


def _shares(histogram: np.ndarray) -> np.ndarray:
    return np.append(np.cumsum(histogram[::-1])[::-1], 0) / max(int(histogram.sum()), 1)
