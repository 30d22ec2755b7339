"""From an engine's raw counters to `PairCounts`; the same for every engine."""

from __future__ import annotations

import numpy as np

from evenmatch.pairs._counts import GroupCounts, PairCounts
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

__all__ = ["assemble"]


def assemble(
    problem: Problem,
    ladder: Ladder,
    arrays: dict[str, np.ndarray],
    best_pos: np.ndarray,
    best_neg: np.ndarray,
    cols_best: tuple[np.ndarray, np.ndarray] | None = None,
) -> PairCounts:
    """Turn slots into accepted counts, in place, and put the samples back into their own order.

    Args:
        problem: samples and classes.
        ladder: thresholds of the class tables.
        arrays: int64 counters by name: ``pooled_pos`` and ``pooled_neg`` over the bins of the grid; ``table_pos`` and
            ``table_neg`` over classes × slots, flat; ``group_pos`` and ``group_neg`` over group pairs × slots, flat.
        best_pos: best positive scores of the sorted samples, ``(n,)`` float32.
        best_neg: best negative scores of them.
        cols_best: both for the sorted samples of the other side, across two sets.

    Returns:
        The counts.
    """
    n_classes, width = problem.classes.size, ladder.width

    def accepted(name: str, rows: int) -> np.ndarray:
        table = arrays[name].reshape(rows, width)
        for at in range(0, rows, 4096):  # a part at a time, so that no second table is made
            part = table[at : at + 4096]
            part[:] = np.cumsum(part[:, ::-1], axis=1)[:, ::-1]
        return table[:, 1:]

    groups = None
    if problem.group_names is not None:
        n_groups = problem.group_names.size
        parts = list(problem.group_totals())
        for name in ("group_pos", "group_neg"):
            matrix = accepted(name, n_groups**2).reshape(n_groups, n_groups, -1)
            if problem.half:
                matrix = matrix + matrix.transpose(1, 0, 2) * (1 - np.eye(n_groups, dtype=np.int64))[:, :, None]
            parts.append(matrix)
        sizes = np.bincount(problem.rows.groups, minlength=n_groups)
        groups = GroupCounts(problem.group_names, *parts, sizes=sizes, directed=not problem.half)
    best_positive, best_negative, codes = (np.empty(problem.rows.n, dtype) for dtype in ("f4", "f4", "i8"))
    best_positive[problem.rows.order] = best_pos
    best_negative[problem.rows.order] = best_neg
    codes[problem.rows.order] = problem.rows.codes
    reference_best = None
    if cols_best is not None:
        reference_best = np.empty((2, problem.cols.n), np.float32)
        reference_best[:, problem.cols.order] = cols_best
    positives, negatives = problem.class_totals()
    return PairCounts(
        grid=problem.grid,
        classes=problem.classes,
        thresholds=ladder.thresholds,
        positives=positives,
        negatives=negatives,
        positives_accepted=accepted("table_pos", n_classes),
        negatives_accepted=accepted("table_neg", n_classes),
        pooled_positives=arrays["pooled_pos"],
        pooled_negatives=arrays["pooled_neg"],
        best_positive=best_positive,
        best_negative=best_negative,
        codes=codes,
        groups=groups,
        reference_best=reference_best,
    )
