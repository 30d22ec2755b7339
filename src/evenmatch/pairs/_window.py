"""Where to count the classes: a coarse look at a sample of pairs finds the thresholds that will matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._grid import ScoreGrid
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._scores import scores_between

__all__ = ["exact_window", "find_thresholds", "look"]

_STANDARD_ERRORS = 5.0
_ZONE_POINTS = (512, 8192)
_ZONE_CELLS = 2**22
_SLACK = 2  # bins by which float32 products of different shapes may disagree
_TABLE_CELLS = 2**25


def look(problem: Problem, far: Sequence[float]) -> np.ndarray:
    """Grid indices that very probably contain the thresholds of the given FARs, and the range between them.

    Up to 2,048 × 2,048 pairs are scored. Around the sample's threshold for each FAR lies a zone as wide as five
    standard errors of that FAR (from the spread between rows and between columns, so shared samples are allowed for)
    in which every grid threshold is taken (of more than 512 equally spaced ones, where there are so many classes that
    the tables would be large); between the lowest and the highest zone they are taken at equal steps.

    Args:
        problem: samples and classes.
        far: false accept rates in (0, 1).

    Returns:
        Ascending grid indices.
    """
    rng = np.random.default_rng(0)
    size = int(np.clip(max(problem.rows.n, problem.cols.n) // 16, 1024, 2048))
    rows, cols = _sample(rng, problem, size)
    complete = rows.size == problem.rows.n and cols.size == problem.cols.n
    bins = _score(problem, rows, cols)
    histogram = np.bincount(bins[bins >= 0], minlength=problem.grid.size)
    negatives = max(int(histogram.sum()), 1)
    share = np.concatenate([np.cumsum(histogram[::-1])[::-1], [0]]) / negatives

    most = int(np.clip(_ZONE_CELLS // problem.classes.size, *_ZONE_POINTS))
    zones = []
    for target in sorted(far, reverse=True):
        centre = _first_at_most(share, target)
        error = 0.0 if complete else _standard_error(bins, centre, target)
        low = _first_at_most(share, min(target + _STANDARD_ERRORS * error, 1.0)) - _SLACK
        high = _first_at_most(share, max(target - _STANDARD_ERRORS * error, target / 20)) + _SLACK
        low, high = max(low, 0), min(high, problem.grid.size - 1)
        zones.append(np.unique(np.linspace(low, high, min(high - low + 1, most)).astype(np.int64)))
    interior = _interior(problem, zones[0][-1], zones[-1][0])
    return np.unique(np.concatenate([*zones, interior]))


def find_thresholds(
    queries: EmbeddingSet, references: EmbeddingSet | None, metric: str, far: Sequence[float] = (1e-2, 1e-1)
) -> np.ndarray:
    """Grid indices of the class thresholds at which `count_pairs` would begin; see `look`."""
    return look(Problem.build(queries, references, metric), far)


def exact_window(problem: Problem, counts: PairCounts, far: Sequence[float]) -> np.ndarray:
    """The thresholds of the given FARs, now known from the counts of all pairs, and equal steps between them."""
    exact = [index for index in (counts.index_at_far(f) for f in far) if index < problem.grid.size]
    if not exact:
        return np.empty(0, dtype=np.int64)
    return np.unique(np.concatenate([exact, _interior(problem, min(exact), max(exact))]))


def _interior(problem: Problem, low: int, high: int) -> np.ndarray:
    points = int(np.clip(_TABLE_CELLS // problem.classes.size, 128, 256))
    return np.linspace(low, max(high, low), points).astype(np.int64)


def _first_at_most(share: np.ndarray, target: float) -> int:
    """Lowest index at which a falling sequence is at most the target."""
    return int(np.searchsorted(-share, -target))


def _sample(rng: np.random.Generator, problem: Problem, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions among the sorted rows and columns; disjoint within one set unless all are taken."""
    if problem.half:
        if problem.rows.n <= 2 * size:
            everything = np.arange(problem.rows.n)
            return everything, everything
        both = rng.choice(problem.rows.n, 2 * size, replace=False)
        return np.sort(both[:size]), np.sort(both[size:])
    rows, cols = (np.sort(rng.choice(n, min(n, size), replace=False)) for n in (problem.rows.n, problem.cols.n))
    return rows, cols


def _score(problem: Problem, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bins of the scores between sampled rows and columns; -1 where the pair is positive."""
    left, right = problem.rows.gather(rows), problem.cols.gather(cols)
    grid: ScoreGrid = problem.grid
    bins = np.empty((rows.size, cols.size), np.int32)
    for at in range(0, rows.size, 256):
        part = left[at : at + 256]
        scores = scores_between(part, right, grid.metric)
        scores *= np.float32(1 / grid.step)
        scores += np.float32(0.5)
        bins[at : at + 256] = np.floor(scores)
        bins[at : at + 256] += grid.zero_bin
        same = problem.rows.codes[rows[at : at + 256], None] == problem.cols.codes[None, cols]
        bins[at : at + 256][same] = -1
    np.minimum(bins, grid.size - 1, out=bins)
    return bins


def _standard_error(bins: np.ndarray, index: int, target: float) -> float:
    """Standard error of the sampled FAR at a grid index, rows and columns drawn independently."""
    accepted, negative = bins >= index, bins >= 0
    variance = target / max(int(np.count_nonzero(negative)), 1)
    for axis in (0, 1):
        rates = accepted.sum(axis=axis) / np.maximum(negative.sum(axis=axis), 1)
        variance += rates.var() / rates.size
    return float(variance**0.5)
