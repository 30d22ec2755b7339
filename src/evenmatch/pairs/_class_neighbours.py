"""Which class each class is mistaken for: candidates by class centres, then every pair between the two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba as nb
import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._cpu import available_cores
from evenmatch.pairs._kernel import euclidean_tile
from evenmatch.pairs._problem import Problem, Side

__all__ = ["ClassNeighbours", "class_neighbours"]

_MOST_SAMPLES = 256
_TILE = 64
_COLUMNS = 4096
_HELD_BYTES = 256 * 2**20
_FEW = 8
_SEED = 0


@dataclass(frozen=True, eq=False)
class ClassNeighbours:
    """For each of K classes, the C classes whose centres are nearest, and the scores of all pairs with them.

    Attributes:
        classes: labels, ``(K,)``.
        threshold: at which the pairs were accepted.
        neighbours: index of the classes with the nearest centres, nearest first, ``(K, C)`` int64.
        accepted: share of the pairs between the class and each of them with score ≥ threshold, ``(K, C)``.
        mean, deviation: mean and standard deviation of their scores, ``(K, C)``.
        overlap: chance that a random pair with the neighbour scores higher than a random positive pair of the class
            (a tie counts half), ``(K, C)`` in [0, 1]; 0 where they are separate, NaN for a single sample.
        own_mean, own_deviation: the same of the class's positive pairs, ``(K,)``; NaN for a single sample.
    """

    classes: np.ndarray
    threshold: float
    neighbours: np.ndarray
    accepted: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    overlap: np.ndarray
    own_mean: np.ndarray
    own_deviation: np.ndarray


def class_neighbours(
    embeddings: EmbeddingSet,
    threshold: float,
    *,
    candidates: int = 3,
    metric: str = "cosine",
    threads: int | None = None,
) -> ClassNeighbours:
    """Find the classes nearest to each class, and score every pair of samples between them.

    Centres are means of the (for cosine normalised) vectors. Finding candidates costs K²·d operations, n²/K² times less
    than all pairs; no K × K table is held, but tiles of it. Of a class of more than 256 samples 256 random ones are
    scored. Vectors of up to 256 MiB are held as float32, twice where a class has more than 256 samples; of larger sets
    those of a few classes at a time. A class whose samples lie in several places can be mistaken for one whose centre
    is far; its FAR over all classes in ``by_class`` shows that.

    Args:
        embeddings: n samples.
        threshold: accept iff score ≥ threshold.
        candidates: C, neighbours of each class, at least 1; capped at K - 1.
        metric: ``"cosine"`` or ``"euclidean"``.
        threads: worker threads; by default one a core.

    Raises:
        InputError: fewer than 1 candidate, a threshold that is NaN, or data that `count_pairs` would refuse, too.

    Examples:
        >>> x = np.eye(3)[[0, 0, 1, 1, 2, 2]] + [[0, 0, 0], [0, 0.9, 0]] * 3
        >>> found = class_neighbours(EmbeddingSet.from_arrays(x, list("aabbcc")), 0.5, candidates=1)
        >>> found.classes[found.neighbours[0, 0]] == "b"
        True
    """
    if candidates < 1:
        raise InputError(f"candidates is {candidates}; ask for at least 1 neighbour of each class")
    if np.isnan(threshold):
        raise InputError("the threshold is NaN; give a number in the range of the scores")
    problem = Problem.build(embeddings, None, metric)
    side, n_classes = problem.rows, problem.classes.size
    candidates = min(candidates, n_classes - 1)
    positions, edges = _members(side)
    prepared = side.block(0, side.n) if 4 * side.n * side.source.dim <= _HELD_BYTES else None
    centres = _centres(side, prepared)
    squares = (centres * centres).sum(axis=1)
    nearest = np.empty((n_classes, candidates), np.int64)
    pairs = np.full((4, n_classes, candidates), np.nan)
    own = np.full((2, n_classes), np.nan)

    every, limit = np.arange(n_classes), np.float32(threshold)
    threads = threads or available_cores()
    tile = max(1, min(_TILE, n_classes // (2 * threads)))
    held = prepared
    if prepared is not None and positions.size < side.n:
        held = prepared.take(positions, axis=0)

    def work(start: int) -> None:
        codes = every[start : start + tile]
        nearest[codes] = _nearest(centres, squares, start, start + codes.size, candidates, metric)
        if held is not None:
            _compare(held, edges, codes, nearest[codes], codes, limit, metric == "euclidean", pairs, own)
            return
        local = np.arange(candidates + 1)
        for code in codes:
            of_class = [positions[edges[c] : edges[c + 1]] for c in (code, *nearest[code])]
            few, ends = side.gather(np.concatenate(of_class)), np.cumsum([0, *(part.size for part in of_class)])
            _compare(few, ends, local[:1], local[None, 1:], every[code:], limit, metric == "euclidean", pairs, own)

    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, range(0, n_classes, tile)):
            pass
    return ClassNeighbours(problem.classes, float(threshold), nearest, *pairs, *own)


def _members(side: Side) -> tuple[np.ndarray, np.ndarray]:
    """Samples of each class that are scored, one class after the other, and where each class begins, ``(K + 1,)``."""
    rng, scored = np.random.default_rng(_SEED), np.ones(side.n, bool)
    for code in np.flatnonzero(side.sizes > _MOST_SAMPLES).tolist():
        start, stop = side.starts[code], side.stops[code]
        scored[start:stop] = False
        scored[start + rng.choice(stop - start, _MOST_SAMPLES, replace=False)] = True
    return np.flatnonzero(scored), np.append(0, np.minimum(side.sizes, _MOST_SAMPLES).cumsum())


@nb.njit(nogil=True, cache=True)
def _moments(scores):
    """Mean and standard deviation; NaN of nothing."""
    if scores.size == 0:
        return np.nan, np.nan
    total = 0.0
    for score in scores.ravel():
        total += score
    mean, squares = total / scores.size, 0.0
    for score in scores.ravel():
        squares += (score - mean) ** 2
    return mean, np.sqrt(squares / scores.size)


@nb.njit(nogil=True, cache=True)
def _buckets(own):
    """Where in ``own``, ascending, each of many buckets of equal width begins, and how many there are a unit."""
    if own.size == 0:
        return np.zeros(1, np.int64), 0.0
    low, buckets = own[0], 4 * own.size
    scale = buckets / (own[-1] - low) if own[-1] > low else 0.0
    first = np.zeros(buckets + 1, np.int64)
    for value in own:
        first[min(np.int64((value - low) * scale), buckets - 1) + 1] += 1
    for bucket in range(buckets):
        first[bucket + 1] += first[bucket]
    return first, scale


@nb.njit(nogil=True, cache=True)
def _share_below(own, first, scale, scores):
    """How often a score of ``own`` is lower than one of ``scores``; a tie is half."""
    low, count, buckets = own[0], own.size, first.size - 1
    twice = 0
    for score in scores:
        if score > own[-1]:
            twice += 2 * count
        elif score >= low:
            bucket = min(np.int64((score - low) * scale), buckets - 1)
            start, stop = first[bucket], first[bucket + 1]
            twice += 2 * start
            if stop - start > _FEW:
                part = own[start:stop]
                twice += np.searchsorted(part, score) + np.searchsorted(part, score, "right")
            else:
                for at in range(start, stop):
                    twice += (own[at] < score) + (own[at] <= score)
    return twice / (2 * count * scores.size)


@nb.njit(nogil=True, cache=True)
def _compare(vectors, edges, classes, near, into, threshold, euclidean, pairs, own_moments):
    """Describe the scores of each of ``classes`` with its neighbours ``near``, in the columns ``into`` of the results.

    ``vectors`` holds the members of class c from ``edges[c]`` to ``edges[c + 1]``.
    """
    for i in range(classes.size):
        left = vectors[edges[classes[i]] : edges[classes[i] + 1]]
        scores = _scores(left, left, euclidean)
        own = np.empty(len(left) * (len(left) - 1) // 2, np.float32)
        filled = 0
        for a in range(len(left)):
            own[filled : filled + a] = scores[a, :a]
            filled += a
        own.sort()
        own_moments[0, into[i]], own_moments[1, into[i]] = _moments(own)
        first, scale = _buckets(own)
        for rank in range(near.shape[1]):
            across = _scores(left, vectors[edges[near[i, rank]] : edges[near[i, rank] + 1]], euclidean).ravel()
            pairs[0, into[i], rank] = (across >= threshold).mean()
            pairs[1, into[i], rank], pairs[2, into[i], rank] = _moments(across)
            if own.size:
                pairs[3, into[i], rank] = _share_below(own, first, scale, across)


@nb.njit(nogil=True, cache=True)
def _scores(left, right, euclidean):
    scores = np.dot(left, right.T)
    if euclidean:
        euclidean_tile(scores, left, right, (left * left).sum(axis=1), (right * right).sum(axis=1))
    return scores


def _centres(side: Side, prepared: np.ndarray | None) -> np.ndarray:
    """Mean of the vectors of each class, ``(K, d)`` float32."""
    sums = np.zeros((side.starts.size, side.source.dim))
    for at in range(0, side.n, 4096):
        codes = side.codes[at : at + 4096]
        _add(side.block(at, at + codes.size) if prepared is None else prepared[at : at + codes.size], codes, sums)
    return (sums / side.sizes[:, None]).astype(np.float32)


@nb.njit(nogil=True, cache=True)
def _add(vectors, codes, sums):
    for i in range(codes.size):
        sums[codes[i]] += vectors[i]


def _nearest(centres: np.ndarray, squares: np.ndarray, start: int, stop: int, count: int, metric: str) -> np.ndarray:
    """The ``count`` classes nearest to classes ``start … stop``, nearest first."""
    rows = np.arange(start, stop)
    best = np.full((rows.size, count), -np.inf, np.float32)
    found = np.zeros((rows.size, count), np.int64)
    for at in range(0, len(centres), _COLUMNS):
        part = centres[at : at + _COLUMNS]
        scores = centres[start:stop] @ part.T
        if metric == "euclidean":
            scores = 2 * scores - squares[at : at + len(part)]
        inside = (rows >= at) & (rows < at + len(part))
        scores[np.flatnonzero(inside), rows[inside] - at] = -np.inf
        joined = np.concatenate([best, scores], axis=1)
        where = np.argpartition(-joined, count - 1, axis=1)[:, :count]
        index = np.concatenate([found, np.broadcast_to(np.arange(at, at + len(part)), scores.shape)], axis=1)
        best, found = np.take_along_axis(joined, where, axis=1), np.take_along_axis(index, where, axis=1)
    return np.take_along_axis(found, np.argsort(-best, axis=1, kind="stable"), axis=1)
