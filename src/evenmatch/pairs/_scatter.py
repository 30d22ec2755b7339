"""How a class's accepted pairs are spread over its samples: what its sampling noise is estimated from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba as nb
import numpy as np
from threadpoolctl import threadpool_limits

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._cpu import available_cores
from evenmatch.pairs._kernel import euclidean_tile
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

__all__ = ["SampleScatter", "sample_scatter"]

#: samples of a class that are looked at; of a larger class the noise is small, and these tell how small
_MOST_SAMPLES = 256
#: samples that the negatives are taken from: a share of all, between these numbers
_REFERENCES = (128, 512)
_REFERENCE_SHARE = 160
_BATCH_ROWS = 64
_SEED = 0


@dataclass(frozen=True, eq=False)
class SampleScatter:
    """Sums over the samples of each class, for K classes and T thresholds.

    With ``s_a`` the accepted positive pairs of sample a among those taken of its class, and ``g_a`` and ``h_a`` the
    shares of its negative pairs that are rejected, against two disjoint random sets of samples:

    Attributes:
        thresholds: ascending, ``(T,)``.
        taken: samples of each class that were looked at, ``(K,)`` int64: all, or 256 random ones of a larger class.
        reference_rows: source rows of the two random sets.
        references: how many of either set lie outside the class, ``(K, 2)`` int64.
        accepted: accepted positive pairs among those taken, ``Σ s_a / 2``, ``(K, T)`` float64, as the next ones.
        accepted_squares: ``Σ s_a²``.
        rejected: ``Σ g_a`` and ``Σ h_a``, ``(K, T, 2)``.
        rejected_product: ``Σ g_a·h_a``.
        accepted_rejected: ``Σ s_a·(g_a + h_a)/2``.
    """

    thresholds: np.ndarray
    taken: np.ndarray
    reference_rows: tuple[np.ndarray, np.ndarray]
    references: np.ndarray
    accepted: np.ndarray
    accepted_squares: np.ndarray
    rejected: np.ndarray
    rejected_product: np.ndarray
    accepted_rejected: np.ndarray


@nb.njit(nogil=True, cache=True)
def _scatter_batch(scores, against, codes, n_first, reference_codes, outside, scale, zero_bin, top, first, rungs,
                   accepted, squares, rejected, product, mixed):  # fmt: skip
    """Add one batch of samples, sorted by class and whole classes only, to the sums of their classes."""
    width = accepted.shape[1] + 1
    positive = np.empty(width, np.int64)
    negative = np.empty((2, width), np.int64)
    half_step = np.float32(0.5)
    start = 0
    while start < codes.size:
        code = codes[start]
        stop = start
        while stop < codes.size and codes[stop] == code:
            stop += 1
        for a in range(start, stop):
            positive[:] = 0
            negative[:] = 0
            for b in range(start, stop):
                if b != a:
                    bin_ = min(max(np.int32(np.floor(scores[a, b] * scale + half_step) + zero_bin), 0), top)
                    if bin_ >= first:
                        positive[rungs[bin_ - first]] += 1
            for b in range(reference_codes.size):
                if reference_codes[b] != code:
                    bin_ = min(max(np.int32(np.floor(against[a, b] * scale + half_step) + zero_bin), 0), top)
                    if bin_ >= first:
                        negative[0 if b < n_first else 1, rungs[bin_ - first]] += 1
            for t in range(width - 2, -1, -1):
                if t < width - 2:
                    positive[t + 1] += positive[t + 2]
                    negative[0, t + 1] += negative[0, t + 2]
                    negative[1, t + 1] += negative[1, t + 2]
                s = positive[t + 1]
                g = 1.0 - negative[0, t + 1] / max(outside[code, 0], 1)
                h = 1.0 - negative[1, t + 1] / max(outside[code, 1], 1)
                accepted[code, t] += s / 2
                squares[code, t] += s * s
                rejected[code, t, 0] += g
                rejected[code, t, 1] += h
                product[code, t] += g * h
                mixed[code, t] += s * (g + h) / 2
        start = stop


def sample_scatter(
    embeddings: EmbeddingSet, thresholds: np.ndarray, *, metric: str = "cosine", threads: int | None = None
) -> SampleScatter:
    """Count every sample's own accepted pairs: its positives, and its negatives against a few hundred samples.

    Time is that of 200 to 600 columns of the matrix of scores, whatever n: a few percent of the pass over all pairs.
    Memory is K·T sums. The random samples are the same in every call.

    Args:
        embeddings: n samples.
        thresholds: grid thresholds, ascending, ``(T,)``.
        metric: as in ``count_pairs``.
        threads: worker threads; by default one a core.

    Raises:
        InputError: a threshold is not one of the grid.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
        >>> data = EmbeddingSet.from_arrays(x, [i // 6 for i in range(60)])
        >>> from evenmatch.pairs import ScoreGrid
        >>> scatter = sample_scatter(data, ScoreGrid.cosine().threshold(np.array([20000, 30000])))
        >>> scatter.accepted.shape, scatter.taken.tolist()
        ((10, 2), [6, 6, 6, 6, 6, 6, 6, 6, 6, 6])
    """
    problem = Problem.build(embeddings, None, metric)
    side, grid = problem.rows, problem.grid
    indices = np.round((thresholds - grid.low) / grid.step).astype(np.int64)
    if not np.allclose(grid.threshold(indices), thresholds, rtol=0, atol=1e-6 * grid.step):
        raise InputError("a threshold lies between those of the grid; give grid thresholds")
    ladder = Ladder.build(grid, indices)
    rng = np.random.default_rng(_SEED)
    n_references = min(side.n, int(np.clip(side.n // _REFERENCE_SHARE, *_REFERENCES)))
    drawn = rng.choice(side.n, n_references, replace=False)
    right, reference_codes, n_first = side.take(side.order[drawn]), side.codes[drawn], n_references // 2
    n_classes, width = problem.classes.size, ladder.thresholds.size
    outside = np.stack(
        [
            part.size - np.bincount(part, minlength=n_classes)
            for part in (reference_codes[:n_first], reference_codes[n_first:])
        ],
        axis=1,
    )
    sums = [np.zeros((n_classes, width, *more)) for more in ((), (), (2,), (), ())]
    right_squares = (right * right).sum(axis=1)

    def count(rows: np.ndarray) -> None:
        left = side.take(side.order[rows])
        scores, against = left @ left.T, left @ right.T
        if metric == "euclidean":
            squares = (left * left).sum(axis=1)
            euclidean_tile(scores, left, left, squares, squares)
            euclidean_tile(against, left, right, squares, right_squares)
        _scatter_batch(
            scores, against, side.codes[rows], n_first, reference_codes, outside, np.float32(1 / grid.step),
            np.float32(grid.zero_bin), np.int32(grid.size - 1), ladder.first, ladder.rungs, *sums,
        )  # fmt: skip

    # batches hold whole classes, so that no two threads add to the same sums
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads or available_cores()) as pool:
        for _ in pool.map(count, _batches(side.starts, side.stops, rng)):
            pass
    taken = np.minimum(side.sizes, _MOST_SAMPLES)
    rows = side.order[drawn]
    return SampleScatter(ladder.thresholds, taken, (rows[:n_first], rows[n_first:]), outside, *sums)


def _batches(starts: np.ndarray, stops: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Sorted positions of whole classes, or of 256 random samples of a larger one, about 64 at a time."""
    held: list[np.ndarray] = []
    size = 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        members = np.arange(start, stop)
        if members.size > _MOST_SAMPLES:
            members = np.sort(rng.choice(members, _MOST_SAMPLES, replace=False))
        if size and size + members.size > _BATCH_ROWS:
            yield np.concatenate(held)
            held, size = [], 0
        held.append(members)
        size += members.size
    if size:
        yield np.concatenate(held)
