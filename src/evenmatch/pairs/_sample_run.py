"""One estimate: tasks that fill tables, and what the tables say about all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evenmatch.errors import InputError
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem, Side
from evenmatch.pairs._sample_kernel import count_positive, count_sampled
from evenmatch.pairs._sample_plan import ANCHOR_PARTS, REPLICATES, SamplePlan, draw
from evenmatch.pairs._scores import scores_between

__all__ = ["SampleRun"]

_MOST_IN_INT32 = 2**31 - 1  # pairs of a class
_TASK_ROWS = 256
_POSITIVE_ROWS = 64
_TILE_COLS = 1024
_MOST_KNOTS = 32
_KNOT_CELLS = 2**26


@dataclass(frozen=True)
class _Task:
    """Anchors ``start … stop`` of a direction against all references, or (direction -1) positive pairs of classes."""

    direction: int
    start: int
    stop: int


class _Direction:
    """Anchors of one side, references of the other (within one set: of the same)."""

    def __init__(self, problem: Problem, anchors: Side, others: Side, plan: SamplePlan, rng: np.random.Generator):
        size = problem.classes.size
        self.anchors, self.others = anchors, others
        self.rows = draw(rng, anchors, plan.anchors)
        self.row_codes = anchors.codes[self.rows]
        self.sizes = np.bincount(self.row_codes, minlength=size)
        rank = np.arange(self.rows.size) - (np.cumsum(self.sizes) - self.sizes)[self.row_codes]
        self.parts = rank % ANCHOR_PARTS
        self.references = rng.choice(others.n, min(plan.references, others.n), replace=False)
        self.groups = np.array_split(np.arange(self.references.size), min(REPLICATES, self.references.size))
        self.reference_codes = others.codes[self.references]
        self.negatives = anchors.sizes * (others.n - others.sizes)
        other_references = np.stack(
            [part.size - np.bincount(self.reference_codes[part], minlength=size) for part in self.groups]
        )
        self.counted = self.sizes * other_references  # (g, K)

    @cached_property
    def vectors(self) -> np.ndarray:
        return self.others.gather(self.references)


class _Tally:
    """Counters of one thread."""

    def __init__(self, directions: int, grid_size: int) -> None:
        self.pooled_neg = np.zeros((directions, REPLICATES, grid_size + 1), np.int64)
        self.pooled_pos = np.zeros(grid_size, np.int64)
        self.bins, self.kept = np.empty(_TILE_COLS, np.int32), np.empty(_TILE_COLS + 1, np.int64)
        self.buffer = np.empty(0, np.float32)

    def scores(self, left: np.ndarray, right: np.ndarray, metric: str) -> np.ndarray:
        size = len(left) * len(right)
        if self.buffer.size < size:
            self.buffer = np.empty(size, np.float32)
        return scores_between(left, right, metric, out=self.buffer[:size].reshape(len(left), len(right)))


class SampleRun:
    """What is drawn, and the tables that the tasks fill; no two tasks touch the same class."""

    def __init__(self, problem: Problem, ladder: Ladder, plan: SamplePlan, seed: int) -> None:
        self.problem, self.ladder, self.seed = problem, ladder, seed
        self.pairs_planned, self.pairs_done = max(plan.pairs, 1), 0
        rng = np.random.default_rng(seed)
        n_classes, width, size = problem.classes.size, ladder.width, problem.grid.size
        rows, cols = problem.rows, problem.cols
        self.directions = [_Direction(problem, rows, cols, plan, rng)]
        if not problem.half:
            self.directions.append(_Direction(problem, cols, rows, plan, rng))
        self.positive = [draw(rng, side, plan.positive_samples) for side in ([rows] if problem.half else [rows, cols])]
        self.positive_sizes = [np.minimum(side.sizes, plan.positive_samples) for side in (rows, cols)]
        a, b = self.positive_sizes
        self.positives_counted = a * (a - 1) // 2 if problem.half else a * b
        self.positives, self.negatives = problem.class_totals()
        self._require_negatives()

        self.knots = _knots(problem, ladder)
        self.knot_ladder = Ladder.build(problem.grid, self.knots)
        n_knots = self.knots.size + 1
        self.anchors_drawn = any((each.sizes < each.anchors.sizes).any() for each in self.directions)
        self.positives_drawn = bool((self.positives_counted < self.positives).any())
        most = max(self.positives_counted.max(), *(each.counted.sum(axis=0).max() for each in self.directions))
        kind = np.int32 if most <= _MOST_IN_INT32 else np.int64
        self.table_pos = np.zeros((n_classes, width), kind)
        self.table_neg = [np.zeros((n_classes, width), kind) for _ in self.directions]
        self.knot_tables = [np.zeros((REPLICATES, n_classes, n_knots), kind) for _ in self.directions]
        self.part_tables = [
            np.zeros((ANCHOR_PARTS if self.anchors_drawn else 0, n_classes, n_knots), kind) for _ in self.directions
        ]
        self.knot_positive = np.zeros((n_classes, n_knots), kind)
        self.half_positive = np.zeros((2, n_classes if self.positives_drawn else 0, n_knots), kind)
        self.pooled_neg = np.zeros((len(self.directions), REPLICATES, size), np.int64)
        self.pooled_pos = np.zeros(size, np.int64)
        # whole-number weights, so that sums do not depend on their order
        self.unit_neg = _unit(2 * int(self.negatives.sum()))
        self.unit_pos = _unit(int(self.positives.sum()))

    def _require_negatives(self) -> None:
        counted = sum(each.counted.sum(axis=0) for each in self.directions)
        missing = np.flatnonzero((self.negatives > 0) & (counted == 0))
        if missing.size:
            raise InputError(
                f"the sample has no negative pair of class {self.problem.classes[missing[0]]!r} "
                f"({missing.size} such classes); give a larger budget"
            )

    def tally(self) -> _Tally:
        """Counters for one thread."""
        return _Tally(len(self.directions), self.problem.grid.size)

    def add(self, tally: _Tally) -> None:
        """Take over the counters of a thread that is done."""
        self.pooled_neg += tally.pooled_neg[..., :-1]
        self.pooled_pos += tally.pooled_pos

    def tasks(self, shuffled: bool = False) -> Iterator[_Task]:
        """Tasks that own their classes; a probe takes negative ones in random order."""
        tasks = [_Task(at, *span) for at, each in enumerate(self.directions) for span in _spans(each.sizes, _TASK_ROWS)]
        if shuffled:
            order = np.random.default_rng(0).permutation(len(tasks))
            return (tasks[at] for at in order)
        tasks += [_Task(-1, *span) for span in _class_spans(self.positive_sizes, _POSITIVE_ROWS)]
        return iter(tasks)

    def do(self, task: _Task, tally: _Tally) -> int:
        """Carry out a task; returns how many pairs it scored."""
        return self._positive(task, tally) if task.direction < 0 else self._negative(task, tally)

    def _negative(self, task: _Task, tally: _Tally) -> int:
        direction, grid = self.directions[task.direction], self.problem.grid
        rows = slice(task.start, task.stop)
        codes = direction.row_codes[rows]
        left = direction.anchors.gather(direction.rows[rows])
        counted = direction.counted.sum(axis=0)
        weights = np.rint(direction.negatives / np.maximum(counted, 1) * self.unit_neg).astype(np.int64)[codes]
        table, parts = self.table_neg[task.direction], self.part_tables[task.direction]
        scale, zero_bin, first, rungs, splits, first_knot, knot_rungs = self._settings
        for replicate, part in enumerate(direction.groups):
            for at in range(part[0], part[-1] + 1, _TILE_COLS):
                stop = min(at + _TILE_COLS, part[-1] + 1)
                for top in range(0, left.shape[0], _TASK_ROWS):
                    own = slice(top, top + _TASK_ROWS)
                    scores = tally.scores(left[own], direction.vectors[at:stop], grid.metric)
                    count_sampled(
                        scores, codes[own], direction.reference_codes[at:stop], weights[own],
                        direction.parts[rows][own], scale, zero_bin, first, rungs, splits, first_knot, knot_rungs,
                        tally.bins, tally.kept, tally.pooled_neg[task.direction, replicate], table,
                        self.knot_tables[task.direction][replicate], parts,
                    )  # fmt: skip
        return left.shape[0] * direction.references.size

    def _positive(self, task: _Task, tally: _Tally) -> int:
        problem = self.problem
        sides = [problem.rows] if problem.half else [problem.rows, problem.cols]
        parts, halves, vectors = [], [], []
        for side, drawn, sizes in zip(sides, self.positive, self.positive_sizes, strict=False):
            ends = np.concatenate([[0], np.cumsum(sizes)])
            span = slice(ends[task.start], ends[task.stop])
            codes = side.codes[drawn[span]]
            parts.append(codes)
            rank = np.arange(span.start, span.stop) - ends[codes]
            # only what is drawn can err, so that a side that is there as a whole is not split
            halves.append(np.where(sizes[codes] < side.sizes[codes], rank >= sizes[codes] // 2, -1))
            vectors.append(side.gather(drawn[span]))
        left, right = vectors[0], vectors[-1]
        if not len(left) or not len(right):
            return 0
        counted = np.maximum(self.positives_counted, 1)
        weights = np.rint(self.positives / counted * self.unit_pos).astype(np.int64)[parts[0]]
        scale, zero_bin, first, rungs, splits, first_knot, knot_rungs = self._settings
        for at in range(0, len(left), _TASK_ROWS):
            own = slice(at, at + _TASK_ROWS)
            skip = at if problem.half else 0  # the pairs before lie in the lower half
            scores = tally.scores(left[own], right[skip:], problem.grid.metric)
            count_positive(
                scores, parts[0][own], parts[-1][skip:], problem.half, weights[own], halves[0][own], halves[-1][skip:],
                scale, zero_bin, first, rungs, splits, first_knot, knot_rungs, tally.pooled_pos, self.table_pos,
                self.knot_positive, self.half_positive,
            )  # fmt: skip
        return int(self.positives_counted[task.start : task.stop].sum())

    @property
    def _settings(self) -> tuple[Any, ...]:
        grid, ladder = self.problem.grid, self.ladder
        scale, zero_bin = np.float32(1 / grid.step), np.float32(grid.zero_bin)
        knots = self.knot_ladder
        return (
            scale, zero_bin, np.int32(ladder.first), ladder.rungs, ladder.splits, np.int32(knots.first), knots.rungs,
        )  # fmt: skip


def _knots(problem: Problem, ladder: Ladder) -> np.ndarray:
    """Grid bins over the class thresholds and a quarter of their span beyond, denser where they are."""
    if not ladder.thresholds.size:
        return np.empty(0, np.int64)
    grid = problem.grid
    half = int(np.clip(_KNOT_CELLS // (problem.classes.size * REPLICATES), 16, _MOST_KNOTS)) // 2
    low, high = np.quantile(ladder.thresholds, [0.02, 0.98])
    reach = max((high - low) / 4, 8 * grid.step)
    inside = np.quantile(ladder.thresholds, np.linspace(0, 1, half))
    around = np.concatenate(
        [np.linspace(low - reach, low, half // 2), np.linspace(high, high + reach, half - half // 2)]
    )
    bins = np.floor((np.concatenate([inside, around]) - grid.low) / grid.step)
    return np.unique(np.clip(bins, 0, grid.size - 1).astype(np.int64))


def _unit(total: int) -> int:
    """By how much weights may be scaled so that their sum stays within 62 bits."""
    return 2 ** max(61 - max(total, 1).bit_length(), 0)


def _spans(sizes: np.ndarray, rows: int) -> list[tuple[int, int]]:
    """Consecutive samples of whole classes, at least ``rows`` where there are so many."""
    ends = np.cumsum(sizes)
    found, start = [], 0
    while start < ends[-1]:
        stop = int(ends[np.searchsorted(ends, min(start + rows, ends[-1]))])
        found.append((start, stop))
        start = stop
    return found


def _class_spans(sizes: list[np.ndarray], rows: int) -> list[tuple[int, int]]:
    """Consecutive classes with about ``rows`` samples each time, or one large class."""
    ends = np.concatenate([[0], np.cumsum(np.maximum(*sizes))])
    found, start = [], 0
    while start < ends.size - 1:
        stop = max(int(np.searchsorted(ends, ends[start] + rows, side="right")) - 1, start + 1)
        found.append((start, stop))
        start = stop
    return found
