"""A run of the CUDA engine: blocks are put on the devices, which share their tiles, one host thread a device."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs._assemble import assemble
from evenmatch.pairs._blas import one_blas_thread
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cpu import available_cores
from evenmatch.pairs._cuda._blocks import Block, bytes_per_row, load_block
from evenmatch.pairs._cuda._launch import Job, Shape, can_count_directly, jobs, launch, shape_for_all, window_start
from evenmatch.pairs._cuda._ptx import WINDOW
from evenmatch.pairs._cuda._tally import Tally, totals
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem, Side

__all__ = ["Pass", "count_cuda"]

PARTS = {"exact": 3, "fast": 1}
_HOST_BYTES = 256 * 2**20  # of blocks where the kernel is interpreted
_DEVICE_SHARE = 0.85  # of the free memory, for blocks
# Triton's interpreter keeps the state of a launch in one place
_INTERPRETER = threading.Lock()

Progress = Callable[[float], None]


def count_cuda(
    problem: Problem,
    ladder: Ladder,
    *,
    devices: list[torch.device],
    precision: str = "exact",
    threads: int | None = None,
    block_rows: int | None = None,
    progress: Progress | None = None,
) -> PairCounts:
    """Count every pair of a problem on GPUs; see `CudaEngine`.

    Device memory holds the counters (4 bytes a cell of the two class tables, 8 where a class has 2³¹ pairs) and one
    block of vectors, or two where not all fit into one: 2 bytes a number in ``"fast"``, 6 in ``"exact"``.

    Raises:
        InputError: the counters or the smallest blocks do not fit into device memory.
    """
    shape, parts = shape_for_all(devices, PARTS[precision]), PARTS[precision]
    unit, largest = max(shape.rows, shape.cols), max(problem.rows.n, problem.cols.n)
    while True:
        groups = problem.group_names is not None
        direct = all(_direct_works(str(device), precision, groups, shape) for device in devices)
        run = Pass(problem, ladder, devices, shape, parts, direct=direct)
        rows = min(block_rows or run.rows_that_fit(), largest)
        try:
            run.count(rows, threads or available_cores(), progress)
            break
        except torch.cuda.OutOfMemoryError as error:
            if rows <= unit:
                raise InputError(
                    f"not even {unit:,} vectors fit into the memory of {devices[0]} beside the counters; "
                    "free some of it, or use device='cpu'"
                ) from error
        # what was counted is counted again, in blocks half as large
        block_rows = max(rows // 2, unit)
        del run
    if progress is not None:
        progress(1.0)
    arrays, positive, negative = totals(run.tallies)
    n = problem.rows.n
    counts = assemble(
        problem, ladder, arrays, positive[:n], negative[:n], None if problem.half else (positive[n:], negative[n:])
    )
    return replace(counts, arithmetic="float32" if precision == "exact" else "bfloat16")


@lru_cache(maxsize=64)
def _direct_works(device: str, precision: str, groups: bool = False, shape: Shape | None = None) -> bool:
    """Whether a device counts a small problem, in a shape or in its own, with PTX as it does in plain Triton."""
    if device == "cpu":
        return False
    rng = np.random.default_rng(0)
    vectors, order = rng.normal(size=(1500, 64)).astype(np.float32), np.arange(1500)
    data = EmbeddingSet.from_arrays(vectors, order % 150, groups=order % 4 if groups else None)
    problem = Problem.build(data)
    ladder = Ladder.build(problem.grid, np.arange(20_000, 32_000, 100))
    counted = []
    try:
        shape = shape or shape_for_all([torch.device(device)], PARTS[precision])
        if not shape.window:
            return False
        for direct in (True, False):
            run = Pass(problem, ladder, [torch.device(device)], shape, PARTS[precision], direct=direct)
            run.count(data.n, 1, None)
            counted.append(totals(run.tallies)[0])
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler or a driver may raise
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    else:
        if all(np.array_equal(counted[0][name], counted[1][name]) for name in counted[0]):
            return True
        reason = "its counts differ"
    warnings.warn(
        f"counting in shared memory does not work on {device} ({reason}); the slower plain kernel is used",
        RuntimeWarning,
        stacklevel=2,
    )
    return False


class Pass:
    """One pass over the pairs: what the host threads of its devices share.

    Args:
        problem: samples and classes.
        ladder: thresholds at which every class is counted.
        devices: where to count, each with counters of its own.
        shape: of the tiles.
        parts: bfloat16 parts of a number.
        direct: whether to count in the GPU's own instructions where the problem allows it.

    Raises:
        InputError: the counters do not fit into device memory.
    """

    def __init__(
        self, problem: Problem, ladder: Ladder, devices: list[torch.device], shape: Shape, parts: int, *, direct: bool
    ) -> None:
        self.problem, self.ladder, self.shape, self.parts = problem, ladder, shape, parts
        self.tallies = [_tally(problem, ladder, device) for device in devices]
        # Triton's interpreter multiplies no bfloat16; float32 holds the same values
        self.storage = torch.float32 if devices[0].type == "cpu" else torch.bfloat16
        direct = direct and can_count_directly(ladder, self.tallies[0])
        self.window = window_start(problem, WINDOW.value - 1) if direct else None
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.pairs_done = 0

    @property
    def unit(self) -> int:
        """What the rows of a block are padded to a multiple of."""
        return max(self.shape.rows, self.shape.cols)

    def rows_that_fit(self) -> int:
        """Rows of a block: all of them, or as many as fit twice."""
        each = bytes_per_row(self.problem.rows.source.dim, self.parts, self.shape.depth, self.storage.itemsize)
        free = min(_free_bytes(tally.device) for tally in self.tallies)
        if self.problem.half and (self.problem.rows.n + self.unit) * each <= free:
            return self.problem.rows.n
        # whole tiles, so that padding is not multiplied
        return max(free // (2 * each) // self.unit * self.unit, self.unit)

    def count(self, rows: int, threads: int, progress: Progress | None) -> None:
        """Walk the pairs of blocks of ``rows`` samples; within one set only those on and above the diagonal."""
        problem = self.problem
        with (
            one_blas_thread(),  # of Triton's interpreter
            ThreadPoolExecutor(threads, thread_name_prefix="evenmatch-host") as preparing,
            ThreadPoolExecutor(len(self.tallies), thread_name_prefix="evenmatch-gpu") as pool,
        ):
            for i, row_span in enumerate(_blocks(problem.rows.n, rows)):
                left = self.load(problem.rows, row_span, preparing, threads)
                for j, col_span in enumerate(_blocks(problem.cols.n, rows)):
                    if problem.half and j < i:
                        continue
                    same = problem.half and i == j
                    right = left if same else self.load(problem.cols, col_span, preparing, threads)
                    self.count_between(left, right, row_span, col_span, pool, progress)
                    del right  # before the next one is loaded

    def load(self, side: Side, span: range, preparing: ThreadPoolExecutor, threads: int) -> list[Block]:
        """Put a block on every device."""
        return load_block(
            side, span, [tally.device for tally in self.tallies], parts=self.parts, row_unit=self.unit,
            dim_unit=self.shape.depth, dtype=self.storage, pool=preparing, threads=threads,
        )  # fmt: skip

    def count_between(
        self, left: list[Block], right: list[Block], rows: range, cols: range, pool: ThreadPoolExecutor,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        """Count the pairs of two blocks, their tiles shared by all devices."""
        queue = jobs(self.problem, rows, cols, self.shape)
        try:
            work = [pool.submit(self._work, queue, *each) for each in zip(self.tallies, left, right, strict=True)]
            while (state := wait(work, timeout=0.2, return_when=FIRST_EXCEPTION)).not_done:
                for done in state.done:
                    done.result()
                if progress is not None:
                    progress(min(self.pairs_done / self.problem.n_pairs, 1.0))
            for done in work:
                done.result()
        except BaseException:
            self.stop.set()
            raise

    def _work(self, queue: Iterator[Job], tally: Tally, rows: Block, cols: Block) -> None:
        """Launch job after job until there is none; at most two are under way at a time."""
        under_way: deque[tuple[torch.cuda.Event | None, Job]] = deque()
        on_gpu = tally.device.type == "cuda"
        with torch.cuda.device(tally.device) if on_gpu else contextlib.nullcontext():
            while not self.stop.is_set():
                with self.lock:
                    job = next(queue, None)
                if job is None:
                    break
                with contextlib.nullcontext() if on_gpu else _INTERPRETER:
                    launch(job, self.problem, self.ladder, tally, rows, cols, self.shape, self.window)
                under_way.append((torch.cuda.Event() if on_gpu else None, job))
                if (event := under_way[-1][0]) is not None:
                    event.record()
                if len(under_way) == 2:
                    self._finish(*under_way.popleft())
            while under_way:
                self._finish(*under_way.popleft())

    def _finish(self, event: torch.cuda.Event | None, job: Job) -> None:
        if event is not None:
            event.synchronize()
        with self.lock:
            self.pairs_done += job.pairs


def _tally(problem: Problem, ladder: Ladder, device: torch.device) -> Tally:
    try:
        return Tally(problem, ladder, device)
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            f"the counters of {problem.classes.size:,} classes at {ladder.thresholds.size:,} thresholds do not fit "
            f"into the memory of {device}; free some of it, or use device='cpu'"
        ) from error


def _free_bytes(device: torch.device) -> int:
    if device.type == "cpu":
        return _HOST_BYTES
    torch.cuda.empty_cache()  # what a failed attempt has left
    return int(_DEVICE_SHARE * torch.cuda.mem_get_info(device)[0])


def _blocks(n: int, rows: int) -> list[range]:
    return [range(at, min(at + rows, n)) for at in range(0, n, rows)]
