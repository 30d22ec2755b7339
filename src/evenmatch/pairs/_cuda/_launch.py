"""How the kernel is launched: its tile shapes by kind of device, and the lists of tiles of a pair of blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.pairs._cuda._blocks import Block
from evenmatch.pairs._cuda._tally import Tally
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

if TYPE_CHECKING:
    import torch

__all__ = ["Job", "Shape", "can_count_directly", "jobs", "launch", "shape_for", "shape_for_all", "window_start"]


@dataclass(frozen=True)
class Shape:
    """Tile sizes and launch settings.

    Attributes:
        rows, cols, depth: a tile, and how many dimensions are multiplied at a time.
        span: tiles along each side of the squares in which tiles are taken, so that vectors are found in the L2 cache.
        warps, stages: of a program.
        programs: how many programs share the tiles of a launch.
        pairs: how many pairs a launch may have: a fraction of a second, so that progress shows and Ctrl-C is heard.
        registers: the most that a thread may have, so that two programs fit on a multiprocessor; None for no limit.
        window: whether there is shared memory for a window of the pooled histogram. Triton asks the driver for more
            than 48 KiB only where its own tiles need that much, so small tiles and the window exclude each other.
    """

    rows: int
    cols: int
    depth: int
    span: int
    warps: int
    stages: int
    programs: int
    pairs: int
    registers: int | None = None
    window: bool = False

    def options(self, pure: bool) -> dict[str, Any]:
        """Launch settings as Triton takes them; the few tiles with masks need more registers."""
        options: dict[str, Any] = {"num_warps": self.warps, "num_stages": self.stages, "enable_fp_fusion": True}
        return options | ({"maxnreg": self.registers} if pure and self.registers else {})


def shape_for(device: torch.device, parts: int) -> Shape:
    """The shape for a device; on a CPU that of Triton's interpreter, which pays by the operation."""
    if device.type == "cpu":
        return Shape(256, 256, 64, span=1, warps=4, stages=1, programs=1, pairs=2**18)
    import torch

    properties = torch.cuda.get_device_properties(device)
    programs = 2 * properties.multi_processor_count
    depth, stages = (64, 2) if parts == 1 else (32, 3)
    if (properties.major, properties.minor) not in ((8, 0), (9, 0), (10, 0), (10, 3)):
        # 99 KiB of shared memory a program: small tiles, and no room for the window
        return Shape(64, 64, depth, span=32, warps=4, stages=2, programs=programs, pairs=2**32)
    if properties.major == 8:
        return Shape(128, 128, depth, span=16, warps=8, stages=3, programs=programs, pairs=2**33, window=True)
    # of one part, two programs a multiprocessor: one multiplies while the other counts
    registers = 128 if parts == 1 else None
    return Shape(
        128, 128, depth, span=16, warps=8, stages=stages, programs=programs, pairs=2**34, registers=registers,
        window=True,
    )  # fmt: skip


def shape_for_all(devices: list[torch.device], parts: int) -> Shape:
    """The shape of the device with the least shared memory, so that all take the same tiles."""
    shapes = [shape_for(device, parts) for device in devices]
    least = min(shapes, key=lambda shape: (shape.rows * shape.cols, shape.pairs))
    return replace(least, programs=max(shape.programs for shape in shapes))


@dataclass(frozen=True, eq=False)
class Job:
    """The tiles of one launch: squares of tiles, and those of them that need masks, each ``(n, 2)`` int32."""

    spans: np.ndarray
    mixed: np.ndarray
    pairs: int


def jobs(problem: Problem, rows: range, cols: range, shape: Shape) -> Iterator[Job]:
    """All pairs between two blocks in squares of tiles, as many at a time as one launch takes.

    A square is mixed if it may hold a positive pair, the diagonal or an edge.
    """
    height, width = shape.span * shape.rows, shape.span * shape.cols
    row_codes, col_codes = problem.rows.codes, problem.cols.codes
    at = max(shape.pairs // (height * width), 1)
    starts = np.arange(0, len(cols), width)
    stops = np.minimum(starts + width, len(cols))
    spans, mixed, pairs = [], [], 0

    def job() -> Job:
        return Job(np.concatenate(spans).astype(np.int32), np.concatenate(mixed).astype(np.int32), pairs)

    for row in range(0, len(rows), height):
        row_stop = min(row + height, len(rows))
        first, last = rows.start + row, rows.start + row_stop - 1
        kept = cols.start + stops - 1 > first if problem.half else np.full(starts.size, True)
        begins, ends = starts[kept], stops[kept]
        apart = (row_codes[last] < col_codes[cols.start + begins]) | (
            col_codes[cols.start + ends - 1] < row_codes[first]
        )
        whole = (ends - begins == width) & (row_stop - row == height)
        squares = np.stack([np.full(begins.size, row), begins], axis=1)
        for part in range(0, len(squares), at):
            chosen = slice(part, part + at)
            spans.append(squares[chosen])
            mixed.append(squares[chosen][~(apart & whole)[chosen]])
            pairs += (row_stop - row) * int((ends - begins)[chosen].sum())
            if sum(map(len, spans)) >= at:
                yield job()
                spans, mixed, pairs = [], [], 0
    if spans:
        yield job()


def window_start(problem: Problem, width: int) -> int:
    """The first of ``width`` bins that hold most scores, by a sample of pairs."""
    rng = np.random.default_rng(0)
    left, right = (side.gather(rng.integers(0, side.n, 512)) for side in (problem.rows, problem.cols))
    scores = left @ right.T
    if problem.grid.metric == "euclidean":
        squares = (left * left).sum(axis=1)[:, None] + (right * right).sum(axis=1)[None, :] - 2 * scores
        scores = -np.sqrt(np.maximum(squares, 0))
    bins = np.clip(np.floor((scores - problem.grid.low) / problem.grid.step), 0, problem.grid.size - 1)
    below = np.concatenate([[0], np.cumsum(np.bincount(bins.astype(np.int64).ravel(), minlength=problem.grid.size))])
    return int(np.argmax(below[width:] - below[:-width]))


def can_count_directly(ladder: Ladder, tally: Tally) -> bool:
    """Whether a problem is one of those that ``_ptx`` counts; whether the device does so is another question."""
    addressed = max(tally.table.shape[1], tally.groups.shape[2]) < 2**31
    return tally.table.element_size() == 4 and addressed and not ladder.splits.size


def launch(
    job: Job, problem: Problem, ladder: Ladder, tally: Tally, rows: Block, cols: Block, shape: Shape, window: int | None
) -> None:
    """Start the kernel on the current device: for the tiles without masks, then for those with.

    ``window`` is the first bin that is counted in shared memory; None to count in plain Triton.
    """
    import torch

    from evenmatch.pairs._cuda._triton import count_tiles

    kernel: Any = count_tiles  # Triton makes constexpr of what is passed
    n_groups = 0 if problem.group_names is None else problem.group_names.size
    for squares, pure in ((job.spans, True), (job.mixed, False)):
        if not len(squares):
            continue
        n_tiles = len(squares) * shape.span**2
        kernel[(min(shape.programs, n_tiles),)](
            rows.parts, cols.parts, rows.parts.stride(0), cols.parts.stride(0), rows.codes,
            cols.codes, rows.groups, cols.groups, rows.squares, cols.squares, rows.start, cols.start, rows.n, cols.n,
            torch.from_numpy(squares).to(tally.device), n_tiles, tally.pooled, len(tally.pooled), tally.table,
            tally.table.shape[1], ladder.width, tally.groups, len(tally.groups), tally.groups.shape[2], n_groups,
            tally.best, tally.best.shape[1], tally.best_cols, tally.rungs, tally.splits, ladder.first,
            1 / problem.grid.step, problem.grid.zero_bin, problem.grid.size, window or 0,
            HALF=problem.half, EUCLIDEAN=problem.grid.metric == "euclidean", GROUPS=n_groups > 0,
            SPLITS=ladder.splits.size > 0, PARTS=len(rows.parts), DIM=rows.parts.shape[2],
            BM=shape.rows, BN=shape.cols, BK=shape.depth,
            SPAN=shape.span, PURE=pure, DIRECT=pure and window is not None, **shape.options(pure),
        )  # fmt: skip
