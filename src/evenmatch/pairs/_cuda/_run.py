"""A run of the CUDA engine: blocks are put on the devices, which share their tiles, one host thread a device."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import torch

from evenmatch.errors import InputError
from evenmatch.pairs._assemble import assemble
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cpu import available_cores
from evenmatch.pairs._cuda._blocks import Block, bytes_per_row, load_block
from evenmatch.pairs._cuda._launch import Job, Shape, jobs, launch, shape_for
from evenmatch.pairs._cuda._tally import Tally, totals
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem, Side

__all__ = ["count_cuda"]

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
    shape, parts = shape_for(devices[0], PARTS[precision]), PARTS[precision]
    unit = max(shape.rows, shape.cols)
    while True:
        tallies = [_tally(problem, ladder, device) for device in devices]
        rows = block_rows or _rows_that_fit(problem, devices, shape, parts)
        try:
            _count_blocks(problem, ladder, tallies, shape, parts, rows, threads or available_cores(), progress)
            break
        except torch.cuda.OutOfMemoryError as error:
            largest = max(problem.rows.n, problem.cols.n)
            if min(rows, largest) <= unit:
                raise InputError(
                    f"not even {unit:,} vectors fit into the memory of {devices[0]} beside the counters; "
                    "free some of it, or use device='cpu'"
                ) from error
            # blocks already counted are counted again: the pass begins anew
            block_rows = max(min(rows, largest) // 2, unit)
            del tallies
    if progress is not None:
        progress(1.0)
    return assemble(problem, ladder, *totals(tallies))


def _tally(problem: Problem, ladder: Ladder, device: torch.device) -> Tally:
    try:
        return Tally(problem, ladder, device)
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            f"the counters of {problem.classes.size:,} classes at {ladder.thresholds.size:,} thresholds do not fit "
            f"into the memory of {device}; free some of it, or use device='cpu'"
        ) from error


def _rows_that_fit(problem: Problem, devices: list[torch.device], shape: Shape, parts: int) -> int:
    """Rows of a block: all of them, or as many as fit twice."""
    itemsize = _storage(devices[0]).itemsize
    if devices[0].type == "cuda":
        torch.cuda.empty_cache()  # what a failed attempt has left
    each = bytes_per_row(problem.rows.source.dim, parts, shape.depth, itemsize)
    free = min(
        _HOST_BYTES if device.type == "cpu" else int(_DEVICE_SHARE * torch.cuda.mem_get_info(device)[0])
        for device in devices
    )
    unit = max(shape.rows, shape.cols)
    if problem.half and (problem.rows.n + unit) * each <= free:
        return problem.rows.n
    # whole tiles, so that padding is not multiplied
    return max(free // (2 * each) // unit * unit, unit)


def _storage(device: torch.device) -> torch.dtype:
    # Triton's interpreter multiplies no bfloat16; float32 holds the same values
    return torch.float32 if device.type == "cpu" else torch.bfloat16


class _Shared:
    """What the host threads of a run share."""

    def __init__(self, problem: Problem, ladder: Ladder, shape: Shape) -> None:
        self.problem, self.ladder, self.shape = problem, ladder, shape
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.pairs_done = 0

    def work(self, queue: Iterator[Job], tally: Tally, rows: Block, cols: Block) -> None:
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
                    launch(job, self.problem, self.ladder, tally, rows, cols, self.shape)
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


def _count_blocks(
    problem: Problem, ladder: Ladder, tallies: list[Tally], shape: Shape, parts: int, rows: int, threads: int,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Walk the pairs of blocks; within one set only those on and above the diagonal."""
    shared = _Shared(problem, ladder, shape)
    devices = [tally.device for tally in tallies]
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="evenmatch-host") as preparing,
        ThreadPoolExecutor(len(tallies), thread_name_prefix="evenmatch-gpu") as pool,
    ):

        def load(side: Side, span: range) -> list[Block]:
            return load_block(
                side, span, devices, parts=parts, row_unit=max(shape.rows, shape.cols), dim_unit=shape.depth,
                dtype=_storage(devices[0]), pool=preparing, threads=threads,
            )  # fmt: skip

        for i, row_span in enumerate(_blocks(problem.rows.n, rows)):
            left = load(problem.rows, row_span)
            for j, col_span in enumerate(_blocks(problem.cols.n, rows)):
                if problem.half and j < i:
                    continue
                right = left if problem.half and i == j else load(problem.cols, col_span)
                queue = jobs(problem, row_span, col_span, shape)
                try:
                    work = [pool.submit(shared.work, queue, *each) for each in zip(tallies, left, right, strict=True)]
                    while (state := wait(work, timeout=0.2, return_when=FIRST_EXCEPTION)).not_done:
                        for done in state.done:
                            done.result()
                        if progress is not None:
                            progress(min(shared.pairs_done / problem.n_pairs, 1.0))
                    for done in work:
                        done.result()
                except BaseException:
                    shared.stop.set()
                    raise
                del right  # before the next one is loaded


def _blocks(n: int, rows: int) -> list[range]:
    return [range(at, min(at + rows, n)) for at in range(0, n, rows)]
