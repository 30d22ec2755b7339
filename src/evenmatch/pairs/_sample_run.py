"""One estimate: tasks that fill tables, and what the tables say about all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenmatch.errors import InputError
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._kernel import euclidean_tile
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem, Side
from evenmatch.pairs._sample_kernel import count_positive, count_sampled
from evenmatch.pairs._sample_plan import REPLICATES, SamplePlan, draw
from evenmatch.pairs._sampling import Sampling

__all__ = ["SampleRun"]

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
        self.second_half = rank >= (self.sizes // 2)[self.row_codes]
        self.references = rng.choice(others.n, plan.references, replace=False)
        self.groups = np.array_split(np.arange(self.references.size), min(REPLICATES, self.references.size))
        self.reference_codes = others.codes[self.references]
        self.negatives = anchors.sizes * (others.n - others.sizes)
        other_references = np.stack(
            [part.size - np.bincount(self.reference_codes[part], minlength=size) for part in self.groups]
        )
        self.counted = self.sizes * other_references  # (g, K)

    @cached_property
    def vectors(self) -> np.ndarray:
        return self.others.take(self.others.order[self.references])


class _Tally:
    """Counters of one thread."""

    def __init__(self, grid_size: int) -> None:
        self.pooled_neg = np.zeros((REPLICATES, grid_size + 1), np.int64)
        self.pooled_pos = np.zeros(grid_size, np.int64)
        self.bins, self.kept = np.empty(_TILE_COLS, np.int32), np.empty(_TILE_COLS + 1, np.int64)
        self.buffer = np.empty(0, np.float32)

    def scores(self, left: np.ndarray, right: np.ndarray, metric: str) -> np.ndarray:
        size = len(left) * len(right)
        if self.buffer.size < size:
            self.buffer = np.empty(size, np.float32)
        scores = self.buffer[:size].reshape(len(left), len(right))
        np.matmul(left, right.T, out=scores)
        if metric == "euclidean":
            euclidean_tile(scores, left, right, (left * left).sum(axis=1), (right * right).sum(axis=1))
        return scores


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
        self.table_pos = np.zeros((n_classes, width), np.int32)
        self.table_neg = [np.zeros((n_classes, width), np.int32) for _ in self.directions]
        self.knot_tables = [
            np.zeros((REPLICATES, n_classes, n_knots), np.int32) for _ in self.directions
        ]
        self.half_tables = [
            np.zeros((n_classes if self.anchors_drawn else 0, n_knots), np.int32) for _ in self.directions
        ]
        self.knot_positive = np.zeros((n_classes, n_knots), np.int32)
        self.half_positive = np.zeros((2, n_classes if self.positives_drawn else 0, n_knots), np.int32)
        self.pooled_neg = np.zeros((REPLICATES, size), np.int64)
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
        return _Tally(self.problem.grid.size)

    def add(self, tally: _Tally) -> None:
        """Take over the counters of a thread that is done."""
        self.pooled_neg += tally.pooled_neg[:, :-1]
        self.pooled_pos += tally.pooled_pos

    def tasks(self, shuffled: bool = False) -> Iterator[_Task]:
        """Tasks that own their classes; a probe takes negative ones in random order."""
        tasks = [
            _Task(at, *span)
            for at, each in enumerate(self.directions)
            for span in _spans(each.sizes, _TASK_ROWS)
        ]
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
        left = direction.anchors.take(direction.anchors.order[direction.rows[rows]])
        counted = direction.counted.sum(axis=0)
        weights = np.rint(direction.negatives / np.maximum(counted, 1) * self.unit_neg).astype(np.int64)[codes]
        table, halves = self.table_neg[task.direction], self.half_tables[task.direction]
        settings = self._settings
        for replicate, part in enumerate(direction.groups):
            for at in range(part[0], part[-1] + 1, _TILE_COLS):
                stop = min(at + _TILE_COLS, part[-1] + 1)
                for top in range(0, left.shape[0], _TASK_ROWS):
                    own = slice(top, top + _TASK_ROWS)
                    scores = tally.scores(left[own], direction.vectors[at:stop], grid.metric)
                    count_sampled(
                        scores, codes[own], direction.reference_codes[at:stop], weights[own],
                        direction.second_half[rows][own], *settings, tally.bins, tally.kept,
                        tally.pooled_neg[replicate], table, self.knot_tables[task.direction][replicate], halves,
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
            halves.append((rank >= sizes[codes] // 2).astype(np.int64))
            vectors.append(side.take(side.order[drawn[span]]))
        left, right = vectors[0], vectors[-1]
        if not len(left) or not len(right):
            return 0
        counted = np.maximum(self.positives_counted, 1)
        weights = np.rint(self.positives / counted * self.unit_pos).astype(np.int64)[parts[0]]
        for at in range(0, len(left), _TASK_ROWS):
            own = slice(at, at + _TASK_ROWS)
            skip = at if problem.half else 0  # the pairs before lie in the lower half
            scores = tally.scores(left[own], right[skip:], problem.grid.metric)
            count_positive(
                scores, parts[0][own], parts[-1][skip:], problem.half, weights[own], halves[0][own], halves[-1][skip:],
                *self._settings, tally.pooled_pos, self.table_pos, self.knot_positive, self.half_positive,
            )  # fmt: skip
        return int(self.positives_counted[task.start : task.stop].sum())

    @property
    def _settings(self) -> tuple[object, ...]:
        grid, ladder = self.problem.grid, self.ladder
        scale, zero_bin = np.float32(1 / grid.step), np.float32(grid.zero_bin)
        knots = self.knot_ladder
        return (
            scale, zero_bin, np.int32(ladder.first), ladder.rungs, ladder.splits, np.int32(knots.first), knots.rungs,
        )  # fmt: skip

    def result(self) -> PairCounts:
        """The tables, scaled to all pairs."""
        problem = self.problem
        n_negatives, n_positives = int(self.negatives.sum()) // 2, int(self.positives.sum())
        counted = [each.counted.sum(axis=0) for each in self.directions]
        accepted = sum(
            _share(_accepted(table), each.counted.sum(axis=0)[:, None]) * each.negatives[:, None]
            for table, each in zip(self.table_neg, self.directions, strict=True)
        )
        tar = _share(_accepted(self.table_pos), self.positives_counted[:, None])
        codes = np.empty(problem.rows.n, np.int64)
        codes[problem.rows.order] = problem.rows.codes
        unknown = np.full(problem.rows.n, -np.inf, np.float32)
        sampling = Sampling(
            seed=self.seed,
            pairs=int(sum(each.sum() for each in counted) + self.positives_counted.sum()),
            positives=self.positives_counted,
            negatives=np.sum(counted, axis=0),
            reference_share=max(each.references.size / each.others.n for each in self.directions),
            knots=self.knot_ladder.thresholds,
            knot_tar=_share(_accepted(self.knot_positive), self.positives_counted[:, None]).astype(np.float32),
            replicate_far=self._replicate_far(),
            replicate_pooled=self.pooled_neg,
            far_noise=self._far_noise(),
            tar_noise=self._tar_noise(),
        )
        return PairCounts(
            grid=problem.grid,
            classes=problem.classes,
            thresholds=self.ladder.thresholds,
            positives=self.positives,
            negatives=self.negatives,
            positives_accepted=np.rint(tar * self.positives[:, None]).astype(np.int64),
            negatives_accepted=np.rint(accepted).astype(np.int64),
            pooled_positives=_scaled(self.pooled_pos, n_positives),
            pooled_negatives=_scaled(self.pooled_neg.sum(axis=0), n_negatives),
            best_positive=unknown,
            best_negative=unknown,
            codes=codes,
            sampling=sampling,
        )

    def _replicate_far(self) -> np.ndarray:
        total = np.zeros((REPLICATES, self.problem.classes.size, self.knots.size))
        for tables, each in zip(self.knot_tables, self.directions, strict=True):
            overall = _share(_accepted(tables.sum(axis=0)), each.counted.sum(axis=0)[:, None])
            for replicate in range(len(each.groups)):
                counted = each.counted[replicate][:, None]
                far = np.where(counted > 0, _share(_accepted(tables[replicate]), counted), overall)
                total[replicate] += far * _share(each.negatives, self.negatives)[:, None]
        return total.astype(np.float32)

    def _far_noise(self) -> np.ndarray:
        if not self.anchors_drawn:
            return np.empty((0, self.knots.size), np.float32)
        noise = np.zeros((self.problem.classes.size, self.knots.size))
        for tables, halves, each in zip(self.knot_tables, self.half_tables, self.directions, strict=True):
            n, drawn = each.anchors.sizes, each.sizes
            first, second = drawn // 2, drawn - drawn // 2
            per_anchor = _share(each.counted.sum(axis=0), drawn)
            in_second = _accepted(halves)
            in_first = _accepted(tables.sum(axis=0)) - in_second
            difference = _share(in_first, (first * per_anchor)[:, None]) - _share(
                in_second, (second * per_anchor)[:, None]
            )
            # halves of a and b anchors differ by S²(1/a + 1/b), the mean of A of n errs by S²(1/A - 1/n)
            variance = _share(1, drawn) - _share(1, n)
            spread = _share(1, first) + _share(1, second)
            factor = np.sqrt(np.where((first > 0) & (n > drawn), _share(variance, spread), 0.0))
            noise += factor[:, None] * difference * _share(each.negatives, self.negatives)[:, None]
        return noise.astype(np.float32)

    def _tar_noise(self) -> np.ndarray:
        if not self.positives_drawn:
            return np.empty((0, self.knots.size), np.float32)
        first, second = [(size // 2, size - size // 2) for size in self.positive_sizes]
        tar = []
        for half in (0, 1):
            a, b = (first[half], second[half]) if not self.problem.half else (first[half], first[half] - 1)
            pairs = a * b // 2 if self.problem.half else a * b
            tar.append(_share(_accepted(self.half_positive[half]), pairs[:, None]))
        share = _share(self.positives_counted, self.positives)
        # to first order a statistic of pairs has 4 times the variance when it has a quarter of the pairs
        factor = np.where(share < 1, np.sqrt(np.maximum(1 - np.sqrt(share), 0)) / 2, 0.0)
        return (factor[:, None] * (tar[0] - tar[1])).astype(np.float32)


def _knots(problem: Problem, ladder: Ladder) -> np.ndarray:
    """Grid bins over the class thresholds and a quarter of their span beyond, denser where they are."""
    if not ladder.thresholds.size:
        return np.empty(0, np.int64)
    grid = problem.grid
    half = int(np.clip(_KNOT_CELLS // (problem.classes.size * REPLICATES), 16, _MOST_KNOTS)) // 2
    low, high = np.quantile(ladder.thresholds, [0.02, 0.98])
    reach = max((high - low) / 4, 8 * grid.step)
    inside = np.quantile(ladder.thresholds, np.linspace(0, 1, half))
    around = np.concatenate([np.linspace(low - reach, low, half // 2), np.linspace(high, high + reach, half - half // 2)])
    bins = np.floor((np.concatenate([inside, around]) - grid.low) / grid.step)
    return np.unique(np.clip(bins, 0, grid.size - 1).astype(np.int64))


def _accepted(table: np.ndarray) -> np.ndarray:
    """Slots → accepted at each threshold."""
    return np.cumsum(table[:, ::-1], axis=1, dtype=np.int64)[:, ::-1][:, 1:]


def _share(part: np.ndarray | int, whole: np.ndarray) -> np.ndarray:
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)


def _scaled(histogram: np.ndarray, total: int) -> np.ndarray:
    """A histogram of weights as whole pairs that sum to ``total``."""
    cumulative = np.cumsum(histogram[::-1], dtype=np.float64)
    if not cumulative[-1]:
        return np.zeros(histogram.size, np.int64)
    edges = np.rint(cumulative * (total / cumulative[-1])).astype(np.int64)
    return np.diff(edges, prepend=0)[::-1].copy()


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
