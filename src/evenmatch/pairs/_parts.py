"""A problem cut into parts that any engine counts on its own, and the counts of parts, which merge."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import EvenmatchError
from evenmatch.pairs._counts import GroupCounts, PairCounts
from evenmatch.pairs._cpu import TILE_COLS, TILE_ROWS
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem, Side

__all__ = ["BlockGrid", "PartCounts", "count_part", "merged", "whole"]

#: samples; where a block begins, a tile of the CPU engine does
STEP = math.lcm(TILE_ROWS, TILE_COLS)
_PARTS_PER_THREAD = 4
_LARGEST_PART = 2**40  # multiply-adds: some ten seconds of a core
_PAIRS_PER_CELL = 660  # of class tables, which must be made, sent and merged: a twentieth of the time for counting


@dataclass(frozen=True)
class BlockGrid:
    """Both sides of a problem cut into blocks of sorted samples; a part is a pair of blocks.

    Attributes:
        row_edges, col_edges: where the blocks begin, and the end of the last.
        half: whether both are the same and a part (i, j) has i ≤ j.
    """

    row_edges: tuple[int, ...]
    col_edges: tuple[int, ...]
    half: bool

    @classmethod
    def plan(cls, problem: Problem, ladder: Ladder, threads: int, step: int = STEP) -> BlockGrid:
        """Choose blocks for so many threads: a few parts for each, none too long to lose.

        A part has tables for the classes of its own two blocks only, so merging all parts of b × b blocks moves
        b·K·T cells instead of b²·K·T. There are so many blocks at most that this costs a small share of the counting.
        """
        n = math.sqrt(2 * problem.n_pairs) if problem.half else math.sqrt(problem.n_pairs)
        square = 2 if problem.half else 1
        wanted = math.sqrt(square * threads * _PARTS_PER_THREAD)
        wanted = max(wanted, n * math.sqrt(problem.rows.source.dim / _LARGEST_PART))
        allowed = n**2 / (_PAIRS_PER_CELL * problem.classes.size * ladder.width)
        blocks = max(min(wanted, allowed), math.sqrt(square * threads), 1)
        edge = n / blocks
        rows, cols = (_edges(side.n, max(1, round(side.n / edge)), step) for side in (problem.rows, problem.cols))
        return cls(rows, cols, problem.half)

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """All parts as (row block, column block), the largest first."""
        rows, cols = range(len(self.row_edges) - 1), range(len(self.col_edges) - 1)
        every = [(i, j) for i, j in itertools.product(rows, cols) if not self.half or i <= j]
        return sorted(every, key=self.pairs, reverse=True)

    def pairs(self, part: tuple[int, int]) -> int:
        """Pairs of a part."""
        rows, cols = self.spans(part)
        return len(rows) * (len(rows) - 1) // 2 if self.half and part[0] == part[1] else len(rows) * len(cols)

    def spans(self, part: tuple[int, int]) -> tuple[range, range]:
        """The sorted rows and columns of a part."""
        rows, cols = (
            range(edges[at], edges[at + 1]) for edges, at in zip((self.row_edges, self.col_edges), part, strict=True)
        )
        return rows, cols


def _edges(n: int, blocks: int, step: int) -> tuple[int, ...]:
    inner = np.round(np.linspace(0, n, blocks + 1)[1:-1] / step).astype(np.int64) * step
    return tuple(np.unique([0, *inner[inner < n], n]).tolist())


@dataclass(frozen=True, eq=False)
class BlockCounts:
    """What parts counted for the samples of one block, and for the classes from the first of them to the last.

    Attributes:
        first: index of the first class.
        positives, negatives: pairs of each class, ``(k,)`` int64.
        positives_accepted, negatives_accepted: at each threshold, ``(k, T)`` int64.
        best: best positive and negative score of each sorted sample, ``(2, size)`` float32.
    """

    first: int
    positives: np.ndarray
    negatives: np.ndarray
    positives_accepted: np.ndarray
    negatives_accepted: np.ndarray
    best: np.ndarray

    def __add__(self, other: BlockCounts) -> BlockCounts:
        return BlockCounts(
            self.first,
            self.positives + other.positives,
            self.negatives + other.negatives,
            self.positives_accepted + other.positives_accepted,
            self.negatives_accepted + other.negatives_accepted,
            np.maximum(self.best, other.best),
        )


@dataclass(frozen=True, eq=False)
class PartCounts:
    """Counts of some parts of one problem; those of different parts merge.

    Attributes:
        parts: which parts, each with the seconds that it took and where.
        pooled: histograms of positive and negative pairs, ``(2, grid.size)`` int64.
        groups: the four tables of `GroupCounts` by name, where there are groups.
        rows, cols: counts by block; within one set all stand in ``rows``.
    """

    parts: tuple[tuple[tuple[int, int], float, str], ...]
    pooled: np.ndarray
    groups: Mapping[str, np.ndarray]
    rows: Mapping[int, BlockCounts]
    cols: Mapping[int, BlockCounts]


_GROUP_TABLES = ("positives", "negatives", "positives_accepted", "negatives_accepted")


def count_part(
    problem: Problem,
    grid: BlockGrid,
    part: tuple[int, int],
    count: Callable[[Problem], PairCounts],
    seconds: Callable[[], float],
    place: str = "",
) -> PartCounts:
    """Count one part as a problem of its own: within a block, or across two.

    Args:
        problem: the whole.
        grid: how it is cut.
        part: which part.
        count: an engine with its thresholds; across two blocks it must give ``reference_best``.
        seconds: a clock.
        place: where this happens, for the log.
    """
    started = seconds()
    rows, cols = grid.spans(part)
    row_classes, col_classes = (_classes(side, span) for side, span in ((problem.rows, rows), (problem.cols, cols)))
    classes = np.union1d(row_classes, col_classes)
    left = _sub_side(problem.rows, rows, classes)
    alone = problem.half and rows == cols
    own = Problem(
        problem.grid, classes, left, left if alone else _sub_side(problem.cols, cols, classes), problem.group_names
    )
    counts = count(own)
    if not alone and counts.reference_best is None:
        raise EvenmatchError("internal error: this engine does not give reference_best, so it cannot count parts")
    groups = {} if counts.groups is None else {name: getattr(counts.groups, name) for name in _GROUP_TABLES}
    if problem.half and not alone:  # an unordered pair across groups stands in both of its cells
        groups = {name: _both_ways(table) for name, table in groups.items()}
    mine = np.isin(classes, row_classes)
    best = np.stack([counts.best_positive, counts.best_negative])
    row_part = _block(counts, int(row_classes[0]), mine, best)
    col_parts: dict[int, BlockCounts] = {}
    if not alone and counts.reference_best is not None:
        # a class of both blocks stands with the rows; here it has zeros
        here = np.isin(classes, col_classes)
        col_part = _block(counts, int(col_classes[0]), here, counts.reference_best)
        for table in (
            col_part.positives, col_part.negatives, col_part.positives_accepted, col_part.negatives_accepted,
        ):  # fmt: skip
            table[mine[here]] = 0
        col_parts = {part[1]: col_part}
    return PartCounts(
        ((part, seconds() - started, place),),
        np.stack([counts.pooled_positives, counts.pooled_negatives]),
        groups,
        {part[0]: row_part} | (col_parts if problem.half else {}),
        {} if problem.half else col_parts,
    )


def merged(several: Iterable[PartCounts]) -> PartCounts:
    """The counts of all parts of several counts, which must not share any. Nothing that goes in is changed."""
    several = list(several)
    total = several[0]
    for other in several[1:]:
        total = PartCounts(
            total.parts + other.parts,
            total.pooled + other.pooled,
            {name: table + other.groups[name] for name, table in total.groups.items()},
            _joined(total.rows, other.rows),
            _joined(total.cols, other.cols),
        )
    return total


def whole(
    problem: Problem, grid: BlockGrid, ladder: Ladder, total: PartCounts, arithmetic: str = "float32"
) -> PairCounts:
    """The counts of the problem, from those of all of its parts, with the arithmetic that they were counted in."""
    done = sorted(part for part, _, _ in total.parts)
    if done != sorted(grid.parts):
        raise EvenmatchError(f"internal error: {len(done)} parts counted, {len(grid.parts)} expected; please report it")
    n_classes, width = problem.classes.size, ladder.thresholds.size
    tables = {name: np.zeros(n_classes, np.int64) for name in ("positives", "negatives")}
    tables |= {f"{name}_accepted": np.zeros((n_classes, width), np.int64) for name in list(tables)}
    best, cols_best = (np.empty((2, side.n), np.float32) for side in (problem.rows, problem.cols))
    for blocks, edges, side, scores in (
        (total.rows, grid.row_edges, problem.rows, best),
        (total.cols, grid.col_edges, problem.cols, cols_best),
    ):
        for at, block in blocks.items():
            for name, table in tables.items():
                table[block.first : block.first + block.positives.size] += getattr(block, name)
            scores[:, side.order[edges[at] : edges[at + 1]]] = block.best
    codes = np.empty(problem.rows.n, np.int64)
    codes[problem.rows.order] = problem.rows.codes
    groups = None
    if problem.group_names is not None:
        sizes = np.bincount(problem.rows.groups, minlength=problem.group_names.size)
        groups = GroupCounts(problem.group_names, **total.groups, sizes=sizes, directed=not problem.half)
    return PairCounts(
        grid=problem.grid,
        classes=problem.classes,
        thresholds=ladder.thresholds,
        positives=tables["positives"],
        negatives=tables["negatives"],
        positives_accepted=tables["positives_accepted"],
        negatives_accepted=tables["negatives_accepted"],
        pooled_positives=total.pooled[0],
        pooled_negatives=total.pooled[1],
        best_positive=best[0],
        best_negative=best[1],
        codes=codes,
        groups=groups,
        reference_best=None if problem.half else cols_best,
        arithmetic=arithmetic,
    )


def _classes(side: Side, span: range) -> np.ndarray:
    return np.arange(side.codes[span.start], side.codes[span.stop - 1] + 1)


def _sub_side(side: Side, span: range, classes: np.ndarray) -> Side:
    """A block as a side of its own, whose classes are numbered among those of the part."""
    rows, source = side.order[span.start : span.stop], side.source
    codes = np.searchsorted(classes, side.codes[span.start : span.stop])
    vectors = source.vectors
    samples = EmbeddingSet(
        vectors=vectors[rows] if isinstance(vectors, np.ndarray) else vectors.select(rows),
        labels=codes,
        groups=None,
        ids=None,
        name=source.name,
        classes=classes,
        codes=codes,
        group_names=None,
        group_codes=None,
        norms=source.norms[rows],
    )
    part = Side.build(samples, codes, classes.size, None, side.mean)
    return replace(part, groups=side.groups[span.start : span.stop] if side.groups.size else side.groups)


def _block(counts: PairCounts, first: int, mine: np.ndarray, best: np.ndarray) -> BlockCounts:
    return BlockCounts(
        first,
        counts.positives[mine],
        counts.negatives[mine],
        counts.positives_accepted[mine],
        counts.negatives_accepted[mine],
        best,
    )


def _both_ways(table: np.ndarray) -> np.ndarray:
    diagonal = np.eye(len(table), dtype=np.int64).reshape(len(table), len(table), *[1] * (table.ndim - 2))
    return table + table.swapaxes(0, 1) * (1 - diagonal)


def _joined(ours: Mapping[int, BlockCounts], theirs: Mapping[int, BlockCounts]) -> dict[int, BlockCounts]:
    both = {at: ours[at] + block if at in ours else block for at, block in theirs.items()}
    return {**ours, **both}
