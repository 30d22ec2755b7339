"""Which class each class is mistaken for: candidates by class centres, then every pair between the two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._cpu import available_cores
from evenmatch.pairs._problem import Problem, Side
from evenmatch.pairs._scores import scores_between

__all__ = ["ClassNeighbours", "class_neighbours"]

_MOST_SAMPLES = 256
_TILE = 1024
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
    scored. A class whose samples lie in several places can be mistaken for one whose centre is far; its FAR over all
    classes in ``by_class`` shows that.

    Args:
        embeddings: n samples.
        threshold: accept iff score ≥ threshold.
        candidates: C, neighbours of each class, at least 1; capped at K - 1.
        metric: ``"cosine"`` or ``"euclidean"``.
        threads: worker threads; by default one a core.

    Raises:
        InputError: fewer than 1 candidate, or data that `count_pairs` would refuse, too.

    Examples:
        >>> x = np.eye(3)[[0, 0, 1, 1, 2, 2]] + [[0, 0, 0], [0, 0.9, 0]] * 3
        >>> found = class_neighbours(EmbeddingSet.from_arrays(x, list("aabbcc")), 0.5, candidates=1)
        >>> found.classes[found.neighbours[0, 0]] == "b"
        True
    """
    if candidates < 1:
        raise InputError(f"candidates is {candidates}; ask for at least 1 neighbour of each class")
    problem = Problem.build(embeddings, None, metric)
    side, n_classes = problem.rows, problem.classes.size
    candidates = min(candidates, n_classes - 1)
    rng = np.random.default_rng(_SEED)
    members = [
        np.arange(start, stop) if stop - start <= _MOST_SAMPLES
        else np.sort(start + rng.choice(stop - start, _MOST_SAMPLES, replace=False))
        for start, stop in zip(side.starts.tolist(), side.stops.tolist(), strict=True)
    ]  # fmt: skip
    nearest = np.empty((n_classes, candidates), np.int64)
    accepted, mean, deviation = (np.empty((n_classes, candidates)) for _ in range(3))
    overlap = np.full((n_classes, candidates), np.nan)
    own_mean, own_deviation = np.full(n_classes, np.nan), np.full(n_classes, np.nan)
    centres = _centres(side)
    squares = (centres * centres).sum(axis=1)

    def work(start: int) -> None:
        stop = min(start + _TILE, n_classes)
        nearest[start:stop] = _nearest(centres, squares, start, stop, candidates, metric)
        for code in range(start, stop):
            mine = side.gather(members[code])
            own = np.sort(scores_between(mine, mine, metric)[np.triu_indices(len(mine), 1)])
            if own.size:
                own_mean[code], own_deviation[code] = own.mean(dtype=np.float64), own.std(dtype=np.float64)
            for rank, other in enumerate(nearest[code]):
                scores = scores_between(mine, side.gather(members[other]), metric)
                accepted[code, rank] = np.count_nonzero(scores >= np.float32(threshold)) / scores.size
                if own.size:
                    below = np.searchsorted(own, scores, "left") + np.searchsorted(own, scores, "right")
                    overlap[code, rank] = below.mean() / (2 * own.size)
                mean[code, rank], deviation[code, rank] = scores.mean(dtype=np.float64), scores.std(dtype=np.float64)

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads or available_cores()) as pool:
        for _ in pool.map(work, range(0, n_classes, _TILE)):
            pass
    return ClassNeighbours(
        problem.classes, float(threshold), nearest, accepted, mean, deviation, overlap, own_mean, own_deviation
    )


def _centres(side: Side) -> np.ndarray:
    """Mean of the vectors of each class, ``(K, d)`` float32."""
    sums = np.zeros((side.starts.size, side.source.dim))
    for at in range(0, side.n, 4096):
        codes = side.codes[at : at + 4096]
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        sums[codes[first]] += np.add.reduceat(side.block(at, min(at + 4096, side.n)), first, axis=0)
    return (sums / side.sizes[:, None]).astype(np.float32)


def _nearest(centres: np.ndarray, squares: np.ndarray, start: int, stop: int, count: int, metric: str) -> np.ndarray:
    """The ``count`` classes nearest to classes ``start … stop``, nearest first."""
    rows = np.arange(start, stop)
    best = np.full((rows.size, count), -np.inf, np.float32)
    found = np.zeros((rows.size, count), np.int64)
    for at in range(0, len(centres), 4 * _TILE):
        part = centres[at : at + 4 * _TILE]
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
