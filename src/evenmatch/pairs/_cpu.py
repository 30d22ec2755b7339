"""The CPU engine: one thread a core takes tile after tile, multiplies it and counts it while it is in the cache."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evenmatch.errors import InputError
from evenmatch.pairs._assemble import assemble
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._kernel import count_tile, euclidean_tile
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

__all__ = ["CpuEngine", "available_cores", "count_cpu"]

TILE_ROWS = 256
TILE_COLS = 1024
# A cell of an int32 table grows by at most one per pair of a tile.
_TILES_BEFORE_DRAIN = 2**31 // (TILE_ROWS * TILE_COLS) - 1
_BLOCK_BYTES = 256 * 2**20
_TABLE_BYTES = 2**30

Progress = Callable[[float], None]


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class CpuEngine:
    """The engine ``"cpu"``; see `count_cpu` for its time and memory.

    Attributes:
        precision: ``"exact"`` (float32), or ``"fast"``: bfloat16 products (see ``count_bfloat16``) on processors with
            AVX512-BF16, and float32 on others; the ``arithmetic`` of the counts says which it was.
        threads: worker threads; by default one for each core at hand.
    """

    precision: str = "exact"
    threads: int | None = None
    name: ClassVar[str] = "cpu"

    def __post_init__(self) -> None:
        if self.precision not in ("exact", "fast"):
            raise InputError(f"precision {self.precision!r} is not available on the CPU; use 'exact' or 'fast'")

    def __call__(self, problem: Problem, ladder: Ladder, *, progress: Progress | None = None) -> PairCounts:
        if self.precision == "fast":
            from evenmatch.pairs._bfloat16 import count_bfloat16, has_bfloat16

            if has_bfloat16():
                return count_bfloat16(problem, ladder, threads=self.threads, progress=progress)
        return count_cpu(problem, ladder, threads=self.threads, progress=progress)


class _Tally:
    """Counters of one thread, or of the whole run; 32-bit in the threads because half the cache traffic is theirs."""

    def __init__(self, problem: Problem, width: int, dtype: type[np.signedinteger]) -> None:
        cells = problem.classes.size * width
        group_cells = 0 if problem.group_names is None else problem.group_names.size**2 * width
        size = problem.grid.size
        self.arrays = {
            "pooled_pos": np.zeros(size, dtype),
            "pooled_neg": np.zeros(size, dtype),
            "table_pos": np.zeros(cells, dtype),
            "table_neg": np.zeros(cells, dtype),
            "group_pos": np.zeros(group_cells, dtype),
            "group_neg": np.zeros(group_cells, dtype),
        }
        self.best_pos = np.full(problem.rows.n, -np.inf, np.float32)
        self.best_neg = np.full(problem.rows.n, -np.inf, np.float32)
        self.cols_best_pos = self.best_pos if problem.half else np.full(problem.cols.n, -np.inf, np.float32)
        self.cols_best_neg = self.best_neg if problem.half else np.full(problem.cols.n, -np.inf, np.float32)

    def drain(self, total: _Tally) -> None:
        for name, array in self.arrays.items():
            total.arrays[name] += array
            array[:] = 0
        for name in ("best_pos", "best_neg", "cols_best_pos", "cols_best_neg"):
            best = getattr(total, name)
            np.maximum(best, getattr(self, name), out=best)


class _Run:
    """The state that the threads of one run share."""

    def __init__(self, problem: Problem, ladder: Ladder, tiles: tuple[int, int]) -> None:
        self.problem, self.ladder = problem, ladder
        self.tile_rows, self.tile_cols = tiles
        self.total = _Tally(problem, ladder.width, np.int64)
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.pairs_done = 0
        self.row_base = problem.rows.codes.astype(np.int64) * ladder.width
        self.col_base = self.row_base if problem.half else problem.cols.codes.astype(np.int64) * ladder.width
        n_groups = 0 if problem.group_names is None else problem.group_names.size
        self.group_row = problem.rows.groups.astype(np.int64) * n_groups * ladder.width
        self.group_col = problem.cols.groups.astype(np.int64) * ladder.width
        self.scale = np.float32(1 / problem.grid.step)
        self.zero_bin = np.float32(problem.grid.zero_bin)

    def tiles(self, row_block: range, col_block: range) -> Iterator[tuple[int, int, int, int]]:
        for row in range(row_block.start, row_block.stop, self.tile_rows):
            row_end = min(row + self.tile_rows, row_block.stop)
            for col in range(col_block.start, col_block.stop, self.tile_cols):
                col_end = min(col + self.tile_cols, col_block.stop)
                if not self.problem.half or col_end > row + 1:
                    yield row, row_end, col, col_end

    def work(self, queue: Iterator[tuple[int, int, int, int]], tally: _Tally, rows: Block, cols: Block) -> None:
        """Take tiles from the queue until it is empty."""
        problem, ladder = self.problem, self.ladder
        buffer = np.empty(self.tile_rows * self.tile_cols, np.float32)
        bins = np.empty(self.tile_cols, np.uint32)
        kept = np.empty(self.tile_cols + 1, np.uint32)
        own = tally.arrays
        since_drain = 0
        while not self.stop.is_set():
            with self.lock:
                tile = next(queue, None)
            if tile is None:
                break
            row, row_end, col, col_end = tile
            left, right = rows.slice(row, row_end), cols.slice(col, col_end)
            scores = buffer[: (row_end - row) * (col_end - col)].reshape(row_end - row, col_end - col)
            rows.multiply(row, cols, col, scores)
            if problem.grid.metric == "euclidean":
                euclidean_tile(scores, left, right, rows.squares(row, row_end), cols.squares(col, col_end))
            count_tile(
                scores, row, col, problem.half, problem.rows.codes, problem.cols.starts, problem.cols.stops,
                self.row_base, self.col_base, self.scale, self.zero_bin, np.int32(problem.grid.size - 1), bins, kept,
                np.uint32(ladder.first), ladder.rungs, ladder.splits, own["pooled_pos"], own["pooled_neg"],
                own["table_pos"], own["table_neg"], own["group_pos"], own["group_neg"], self.group_row, self.group_col,
                tally.best_pos, tally.best_neg, tally.cols_best_pos, tally.cols_best_neg,
            )  # fmt: skip
            since_drain += 1
            with self.lock:
                self.pairs_done += scores.size
                if since_drain >= _TILES_BEFORE_DRAIN:
                    tally.drain(self.total)
                    since_drain = 0
        with self.lock:
            tally.drain(self.total)


class Block:
    """Consecutive sorted samples, loaded."""

    def __init__(self, problem: Problem, span: range, cols: bool) -> None:
        self.start, self.stop = span.start, span.stop
        self.vectors = (problem.cols if cols else problem.rows).block(span.start, span.stop)
        self._squares = np.empty(0, np.float32)
        if problem.grid.metric == "euclidean":
            self._squares = np.einsum("ij,ij->i", self.vectors, self.vectors)

    def prepare_columns(self) -> None:
        """Whatever must be done once before threads use this block as columns."""

    def multiply(self, row: int, col_block: Block, col: int, scores: np.ndarray) -> None:
        """Products of samples from ``row`` on with those of ``col_block`` from ``col`` on, into ``scores``."""
        rows, cols = scores.shape
        np.matmul(self.slice(row, row + rows), col_block.slice(col, col + cols).T, out=scores)

    def slice(self, start: int, stop: int) -> np.ndarray:
        return self.vectors[start - self.start : stop - self.start]

    def squares(self, start: int, stop: int) -> np.ndarray:
        return self._squares[start - self.start : stop - self.start]


def _blocks(n: int, rows: int) -> list[range]:
    return [range(at, min(at + rows, n)) for at in range(0, n, rows)]


def count_cpu(
    problem: Problem,
    ladder: Ladder,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    tiles: tuple[int, int] = (TILE_ROWS, TILE_COLS),
    block_bytes: int = _BLOCK_BYTES,
    block: type[Block] | None = None,
) -> PairCounts:
    """Count every pair of a problem, exactly in float32 scores.

    Time is that of the float32 product of half the matrix, n²·d operations, plus about a nanosecond a pair and core.
    Memory does not depend on n², nor on the size of vectors that lie in files: at most two blocks of vectors
    (``block_bytes`` each), some 30 bytes a sample and 8 more (across two sets 16) for each thread, and class tables of
    K·(T+1) cells: 16 bytes a cell for the result and 8 a thread. Where the tables of all threads would exceed 1 GiB,
    fewer threads are used.

    Args:
        problem: samples and classes.
        ladder: thresholds at which every class is counted.
        threads: worker threads; by default one for each core at hand.
        progress: called from the calling thread with the share of pairs done, in [0, 1], a few times a second.
        tiles: rows and columns of a tile, for tests; any size gives the same counts.
        block_bytes: vectors held at a time on each side.
        block: how vectors are held and multiplied; in float32 by default.

    Returns:
        The counts. An interrupt (Ctrl-C) stops all threads at their next tile and is raised again.
    """
    run = _Run(problem, ladder, tiles)
    block = Block if block is None else block
    table_bytes = 8 * problem.classes.size * ladder.width
    n_threads = max(1, min(threads or available_cores(), _TABLE_BYTES // max(table_bytes, 1)))
    tallies = [_Tally(problem, ladder.width, np.int32) for _ in range(n_threads)]
    # blocks begin where tiles do, so that the same pairs share a tile, and its rounding, whatever the blocks are
    step = math.lcm(*tiles)
    block_rows = max(step, block_bytes // (4 * problem.rows.source.dim) // step * step)
    with one_blas_thread(), ThreadPoolExecutor(n_threads, thread_name_prefix="evenmatch") as pool:
        for i, row_span in enumerate(_blocks(problem.rows.n, block_rows)):
            rows = block(problem, row_span, cols=False)
            for j, col_span in enumerate(_blocks(problem.cols.n, block_rows)):
                if problem.half and j < i:
                    continue
                cols = rows if problem.half and i == j else block(problem, col_span, cols=True)
                cols.prepare_columns()
                queue = run.tiles(row_span, col_span)
                try:
                    jobs = [pool.submit(run.work, queue, tally, rows, cols) for tally in tallies]
                    while (state := wait(jobs, timeout=0.2, return_when=FIRST_EXCEPTION)).not_done:
                        for job in state.done:
                            job.result()
                        if progress is not None:
                            progress(min(run.pairs_done / problem.n_pairs, 1.0))
                    for job in jobs:
                        job.result()
                except BaseException:
                    run.stop.set()
                    raise
    del tallies
    if progress is not None:
        progress(1.0)
    best = (run.total.best_pos, run.total.best_neg)
    cols_best = None if problem.half else (run.total.cols_best_pos, run.total.cols_best_neg)
    return assemble(problem, ladder, run.total.arrays, *best, cols_best)
