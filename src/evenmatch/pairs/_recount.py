"""What rounded vectors change: a random sample of pairs, scored with and without the rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba as nb
import numpy as np

from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem, Side
from evenmatch.pairs._scores import scores_between

__all__ = ["Recount", "recount"]

_REPLICATES = 16
_SIDE = 256
_MOST_OF_A_CLASS = 64


@dataclass(frozen=True, eq=False)
class Recount:
    """Pairs of independent random samples ("replicates") whose score fell elsewhere than in float32.

    Attributes:
        negatives: negative pairs scored twice in each replicate, ``(g,)`` int64.
        pooled_shift: pairs that the rounding brought into each bin of the grid less those it took away, negative
            pairs of each replicate, ``(g, grid.size)`` int32.
        replicate: of each pair whose thresholds changed, ``(m,)``.
        first, second: its classes; ``second`` is -1 for a positive pair.
        used, exact: how many class thresholds its score reaches as counted, and in float32.
        weight: how many pairs of the data it stands for within its replicate.
    """

    negatives: np.ndarray
    pooled_shift: np.ndarray
    replicate: np.ndarray
    first: np.ndarray
    second: np.ndarray
    used: np.ndarray
    exact: np.ndarray
    weight: np.ndarray

    @property
    def replicates(self) -> int:
        """Number of replicates."""
        return self.negatives.size


@nb.njit(nogil=True, cache=True)
def _compare(used, exact, row_codes, col_codes, genuine, triangle, scale, zero_bin, top, first, rungs, splits, shift,
             found):  # fmt: skip
    """Pairs of a tile whose slot differs, into ``found``; returns their number and how many pairs were looked at."""
    n_found = n_pairs = 0
    slots = np.zeros(2, np.int64)
    bins = np.zeros(2, np.int64)
    for r in range(used.shape[0]):
        for c in range(r + 1 if triangle else 0, used.shape[1]):
            if (row_codes[r] == col_codes[c]) != genuine:
                continue
            n_pairs += 1
            for which in range(2):
                score = used[r, c] if which == 0 else exact[r, c]
                place = np.int64(np.floor(score * scale + np.float32(0.5)) + zero_bin)
                place = min(max(place, 0), top)
                slot = 0
                if place >= first:
                    slot = rungs[place - first]
                    if splits.size:
                        slot += score >= splits[place - first]
                bins[which], slots[which] = place, slot
            if not genuine:
                shift[bins[0]] += 1
                shift[bins[1]] -= 1
            if slots[0] != slots[1]:
                found[n_found, 0], found[n_found, 1] = row_codes[r], col_codes[c]
                found[n_found, 2], found[n_found, 3] = slots[0], slots[1]
                n_found += 1
    return n_found, n_pairs


def recount(problem: Problem, ladder: Ladder, rounding: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> Recount:
    """Score a random sample of pairs with rounded vectors and in float32.

    Each of 16 replicates takes up to 256 random rows against 256 other random columns, whose negative pairs it
    compares, and the positive pairs among up to 64 samples each of as many random classes as make about 256 samples.

    Args:
        problem: what was counted.
        ladder: its class thresholds.
        rounding: float32 vectors to those whose scores were counted.
        seed: of the samples.
    """
    rng = np.random.default_rng(seed)
    negatives = np.zeros(_REPLICATES, np.int64)
    shift = np.zeros((_REPLICATES, problem.grid.size), np.int32)
    found: list[np.ndarray] = []
    settings = (
        np.float32(1 / problem.grid.step), np.float32(problem.grid.zero_bin), problem.grid.size - 1, ladder.first,
        ladder.rungs, ladder.splits,
    )  # fmt: skip

    def compare(rows: np.ndarray, cols: np.ndarray, genuine: bool, replicate: int) -> tuple[np.ndarray, int]:
        left, right = problem.rows.gather(rows), problem.cols.gather(cols)
        used = scores_between(rounding(left), rounding(right), problem.grid.metric)
        exact = scores_between(left, right, problem.grid.metric)
        buffer = np.empty((used.size, 4), np.int64)
        n_found, n_pairs = _compare(
            used, exact, problem.rows.codes[rows], problem.cols.codes[cols], genuine, genuine and problem.half,
            *settings, shift[replicate], buffer,
        )  # fmt: skip
        return buffer[:n_found], int(n_pairs)

    def keep(pairs: np.ndarray, replicate: int, weights: np.ndarray | float) -> None:
        found.append(np.column_stack([np.full(len(pairs), replicate), pairs, np.broadcast_to(weights, len(pairs))]))

    positives, totals = problem.class_totals()
    n_negatives = int(totals.sum()) // 2
    shared = np.flatnonzero(positives)
    largest = np.minimum(np.maximum(problem.rows.sizes, problem.cols.sizes)[shared], _MOST_OF_A_CLASS)
    n_classes = min(shared.size, max(1, int(_SIDE // largest.mean())))
    with one_blas_thread():
        for replicate in range(_REPLICATES):
            pairs, negatives[replicate] = compare(*_crossing(rng, problem), False, replicate)
            keep(pairs, replicate, n_negatives / max(negatives[replicate], 1))
            chosen = rng.choice(shared, n_classes, replace=False)
            rows = np.concatenate([_members(rng, problem.rows, code) for code in chosen])
            cols = rows if problem.half else np.concatenate([_members(rng, problem.cols, code) for code in chosen])
            pairs, _ = compare(rows, cols, True, replicate)
            a, b = (np.minimum(side.sizes, _MOST_OF_A_CLASS) for side in (problem.rows, problem.cols))
            sampled = a * (a - 1) // 2 if problem.half else a * b
            own = pairs[:, 0]
            pairs[:, 1] = -1
            keep(pairs, replicate, positives[own] / sampled[own] * (shared.size / n_classes))
    table = np.concatenate(found)
    whole = table[:, :5].astype(np.int64)
    return Recount(negatives, shift, *(whole[:, column] for column in range(5)), weight=table[:, 5])


def _crossing(rng: np.random.Generator, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Random rows and columns, without a sample in common."""
    if not problem.half:
        rows, cols = (rng.choice(n, min(n, _SIDE), replace=False) for n in (problem.rows.n, problem.cols.n))
        return rows, cols
    size = min(_SIDE, problem.rows.n // 2)
    both = rng.choice(problem.rows.n, 2 * size, replace=False)
    return both[:size], both[size:]


def _members(rng: np.random.Generator, side: Side, code: int) -> np.ndarray:
    own = np.arange(side.starts[code], side.stops[code])
    return own if own.size <= _MOST_OF_A_CLASS else np.sort(rng.choice(own, _MOST_OF_A_CLASS, replace=False))
