"""The k best-scoring references of every query, by brute force in tiles."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba as nb
import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._cpu import Block, available_cores
from evenmatch.pairs._kernel import euclidean_tile
from evenmatch.pairs._problem import Problem

__all__ = ["Neighbours", "nearest_neighbours"]

_TILE_ROWS = 256
_TILE_COLS = 1024
_BLOCK_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The best references of each of n queries, best first.

    Attributes:
        same: whether the reference shares the query's class, ``(n, k)`` bool. Where scores tie, references of other
            classes come first, so that a tie never counts as a success.
        scores: their scores, ``(n, k)`` float32, ``-inf`` where there are fewer than k references.
        positives: references of the query's class, ``(n,)`` int64.
    """

    same: np.ndarray
    scores: np.ndarray
    positives: np.ndarray


@nb.njit(nogil=True, cache=True)
def _push(heap, same, row, key, flag):
    """Replace the root (the worst kept) of a row's min-heap and restore its order."""
    k = heap.shape[1]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= k:
            break
        if child + 1 < k and heap[row, child + 1] < heap[row, child]:
            child += 1
        if heap[row, child] >= key:
            break
        heap[row, at] = heap[row, child]
        same[row, at] = same[row, child]
        at = child
    heap[row, at] = key
    same[row, at] = flag


@nb.njit(nogil=True, cache=True)
def _offer_tile(scores, row0, col0, exclude_self, row_codes, col_codes, heap, same):
    for r in range(scores.shape[0]):
        row = row0 + r
        worst = heap[row, 0]
        for c in range(scores.shape[1]):
            score = scores[r, c]
            if score > worst and not (exclude_self and row == col0 + c):
                flag = row_codes[row] == col_codes[col0 + c]
                # one step down, so that a positive loses its ties
                key = np.nextafter(score, np.float32(-np.inf)) if flag else score
                if key > worst:
                    _push(heap, same, row, key, flag)
                    worst = heap[row, 0]


def nearest_neighbours(
    queries: EmbeddingSet,
    references: EmbeddingSet | None = None,
    *,
    k: int,
    metric: str = "cosine",
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Neighbours:
    """Find every query's k best references exactly; without ``references``, among the other queries.

    Time is that of the full float32 product, n·m·d·2 operations; memory 5·n·k bytes beside two blocks of vectors.

    Args:
        queries: n embeddings.
        references: m embeddings, or None for the queries themselves (a sample is never its own neighbour).
        k: neighbours of each query, ≥ 1; capped at the number of references.
        metric: ``"cosine"`` or ``"euclidean"``.
        threads: worker threads; by default one a core.
        progress: called with the share of work done, in [0, 1].

    Raises:
        InputError: k < 1, or data that `count_pairs` would refuse too.
    """
    if k < 1:
        raise InputError(f"k is {k}; ask for at least 1 neighbour")
    problem = Problem.build(queries, references, metric)
    rows, cols = problem.rows, problem.cols
    k = min(k, cols.n - problem.half)
    heap = np.full((rows.n, k), -np.inf, np.float32)
    same = np.zeros((rows.n, k), bool)
    block_rows = max(_TILE_COLS, _BLOCK_BYTES // (4 * queries.dim))
    done = 0

    def strip(start: int, stop: int, row_block: Block, col_block: Block) -> None:
        left = row_block.slice(start, stop)
        buffer = np.empty((stop - start) * _TILE_COLS, np.float32)
        for col in range(col_block.start, col_block.stop, _TILE_COLS):
            col_end = min(col + _TILE_COLS, col_block.stop)
            right = col_block.slice(col, col_end)
            scores = buffer[: (stop - start) * (col_end - col)].reshape(stop - start, col_end - col)
            np.matmul(left, right.T, out=scores)
            if metric == "euclidean":
                euclidean_tile(scores, left, right, row_block.squares(start, stop), col_block.squares(col, col_end))
            _offer_tile(scores, start, col, problem.half, rows.codes, cols.codes, heap, same)

    with one_blas_thread(), ThreadPoolExecutor(threads or available_cores()) as pool:
        for row_at in range(0, rows.n, block_rows):
            row_block = Block(problem, range(row_at, min(row_at + block_rows, rows.n)), cols=False)
            for col_at in range(0, cols.n, block_rows):
                col_block = Block(problem, range(col_at, min(col_at + block_rows, cols.n)), cols=True)
                jobs = [
                    pool.submit(strip, at, min(at + _TILE_ROWS, row_block.stop), row_block, col_block)
                    for at in range(row_block.start, row_block.stop, _TILE_ROWS)
                ]
                try:
                    for job in jobs:
                        job.result()
                        done += _TILE_ROWS * (col_block.stop - col_block.start)
                        if progress is not None:
                            progress(min(done / (rows.n * cols.n), 1.0))
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
    best_first = np.argsort(-heap, axis=1, kind="stable")
    scores_out, same_out = np.empty_like(heap), np.empty_like(same)
    scores_out[rows.order] = np.take_along_axis(heap, best_first, axis=1)
    same_out[rows.order] = np.take_along_axis(same, best_first, axis=1)
    scores_out[same_out] = np.nextafter(scores_out[same_out], np.float32(np.inf))  # undo the step down of the keys
    positives = np.empty(rows.n, np.int64)
    positives[rows.order] = cols.sizes[rows.codes] - problem.half
    return Neighbours(same_out, scores_out, positives)
