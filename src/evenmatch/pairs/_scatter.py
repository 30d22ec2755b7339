"""How a class's accepted pairs are spread over its samples: what its sampling noise is estimated from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba as nb
import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._cpu import available_cores
from evenmatch.pairs._kernel import euclidean_tile
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem
from evenmatch.pairs._scores import scores_between

__all__ = ["SampleScatter", "sample_scatter"]

#: samples of a class that are looked at; of a larger class the noise is small, and these tell how small
_MOST_SAMPLES = 256
#: samples that the negatives are taken from: a share of all, between these numbers
_REFERENCES = (128, 512)
_REFERENCE_SHARE = 160
_BATCH_ROWS = 512
#: so few are done before threads have begun
_BATCHES_ALONE = 10
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
def _to_bins(scores, scale, zero_bin, top, bins):
    """Bins of the grid, as in the pass over all pairs."""
    for i in range(scores.size):
        bin_ = np.int32(np.floor(scores[i] * scale + np.float32(0.5)) + zero_bin)
        bins[i] = min(max(bin_, np.int32(0)), top)


@nb.njit(nogil=True, cache=True)
def _scatter_batch(left, against, euclidean, codes, n_first, reference_codes, outside, scale, zero_bin, top, first,
                   rungs, accepted, squares, rejected, product, mixed):  # fmt: skip
    """Add one batch of samples, sorted by class and whole classes only, to the sums of their classes."""
    width = accepted.shape[1] + 1
    positive = np.empty(width, np.int64)
    negative = np.empty((2, width), np.int64)
    bins = np.empty(max(_MOST_SAMPLES, reference_codes.size), np.int32)
    halves = (0, n_first, reference_codes.size)
    start = 0
    while start < codes.size:
        code = codes[start]
        stop = start
        while stop < codes.size and codes[stop] == code:
            stop += 1
        mine = left[start:stop]
        scores = np.dot(mine, mine.T)
        if euclidean:
            lengths = (mine * mine).sum(axis=1)
            euclidean_tile(scores, mine, mine, lengths, lengths)
        share = 1 / np.maximum(outside[code], 1)
        for a in range(stop - start):
            positive[:] = 0
            negative[:] = 0
            for b in range(a):  # the lower half is the upper one but for the last bit
                scores[b, a] = scores[a, b]
            _to_bins(scores[a], scale, zero_bin, top, bins)
            for b in range(stop - start):
                if bins[b] >= first and b != a:
                    positive[rungs[bins[b] - first]] += 1
            _to_bins(against[start + a], scale, zero_bin, top, bins)
            for half in range(2):
                own = negative[half]
                for b in range(halves[half], halves[half + 1]):
                    if bins[b] >= first and reference_codes[b] != code:
                        own[rungs[bins[b] - first]] += 1
            s, g, h = 0, 1.0, 1.0
            for t in range(width - 2, -1, -1):
                s += positive[t + 1]
                g -= share[0] * negative[0, t + 1]
                h -= share[1] * negative[1, t + 1]
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
    right, reference_codes, n_first = side.gather(drawn), side.codes[drawn], n_references // 2
    n_classes, width = problem.classes.size, ladder.thresholds.size
    outside = np.stack(
        [
            part.size - np.bincount(part, minlength=n_classes)
            for part in (reference_codes[:n_first], reference_codes[n_first:])
        ],
        axis=1,
    )
    sums = [np.zeros((n_classes, width, *more)) for more in ((), (), (2,), (), ())]

    def count(rows: np.ndarray) -> None:
        left = side.gather(rows)
        _scatter_batch(
            left, scores_between(left, right, metric), metric == "euclidean", side.codes[rows], n_first,
            reference_codes, outside, np.float32(1 / grid.step), np.float32(grid.zero_bin), np.int32(grid.size - 1),
            ladder.first, ladder.rungs, *sums,
        )  # fmt: skip

    # batches hold whole classes, so that no two threads add to the same sums
    batches, threads = list(_batches(side.starts, side.stops, rng)), threads or available_cores()
    with one_blas_thread():
        if len(batches) <= _BATCHES_ALONE or threads == 1:
            for rows in batches:
                count(rows)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(count, batches):
                    pass
    taken = np.minimum(side.sizes, _MOST_SAMPLES)
    rows = side.order[drawn]
    return SampleScatter(ladder.thresholds, taken, (rows[:n_first], rows[n_first:]), outside, *sums)


def _batches(starts: np.ndarray, stops: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Sorted positions of whole classes, or of 256 random samples of a larger one, at most 512 at a time."""
    first = last = 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        large = stop - start > _MOST_SAMPLES
        if last > first and (large or stop - first > _BATCH_ROWS):
            yield np.arange(first, last)
            first = start
        if large:
            yield np.sort(start + rng.choice(stop - start, _MOST_SAMPLES, replace=False))
            first = stop
        last = stop
    if last > first:
        yield np.arange(first, last)
