"""The counters of one device, and their sum over all devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

if TYPE_CHECKING:
    import torch

__all__ = ["Tally", "totals"]

# a cell of a class table never exceeds the pairs of its class
_INT32_PAIRS = 2**31 - 1
_COPIES = 16
_COPY_BYTES = 64 * 2**20


class Tally:
    """Counters on a device; of every table first the half of the negative pairs, then that of the positive ones.

    Attributes:
        pooled: ``(copies, 2, grid size)`` int64; copies, so that programs seldom wait for one another's cells.
        table: ``(2, classes × slots)``, int32 where no class has 2³¹ pairs, int64 else, so that nothing overflows.
        groups: ``(copies, 2, groups² × slots)`` int64.
        best: ``(2, n)`` int32: scores whose bits are reordered so that integers compare as the scores do; across two
            sets those of the m columns stand behind, ``(2, n + m)``.
        best_cols: where those of the columns begin.
        rungs, splits: those of the `Ladder`, or one unused number.
    """

    def __init__(self, problem: Problem, ladder: Ladder, device: torch.device) -> None:
        import torch

        def zeros(shape: tuple[int, ...], dtype: torch.dtype = torch.int64) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        most = max(int(totals.max()) for totals in problem.class_totals())
        group_cells = 1 if problem.group_names is None else problem.group_names.size**2 * ladder.width
        self.device = device
        self.pooled = zeros((_COPIES, 2, problem.grid.size))
        self.table = zeros(
            (2, problem.classes.size * ladder.width), torch.int32 if most <= _INT32_PAIRS else torch.int64
        )
        self.groups = zeros((_COPIES if 16 * _COPIES * group_cells <= _COPY_BYTES else 1, 2, group_cells))
        lowest = int(_reordered(np.array([-np.inf], np.float32).view(np.int32))[0])
        self.best_cols = 0 if problem.half else problem.rows.n
        n_best = problem.rows.n + (0 if problem.half else problem.cols.n)
        self.best = torch.full((2, n_best), lowest, dtype=torch.int32, device=device)
        self.rungs = torch.from_numpy(ladder.rungs if ladder.rungs.size else np.zeros(1, np.int32)).to(device)
        self.splits = torch.from_numpy(ladder.splits if ladder.splits.size else np.zeros(1, np.float32)).to(device)


def _reordered(bits: np.ndarray) -> np.ndarray:
    """Bits of float32 as int32 of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def totals(tallies: list[Tally]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """The counters of all devices together, under the names that `assemble` takes, and the best scores.

    Returns:
        The counters, int64 and flat; the best positive and the best negative scores, float32, of the rows and, across
        two sets, of the columns behind them.
    """
    arrays: dict[str, np.ndarray] = {}
    for tally in tallies:
        for name, counted in (
            ("pooled", tally.pooled.sum(dim=0)),
            ("table", tally.table),
            ("group", tally.groups.sum(dim=0)),
        ):
            for half, sign in zip(counted, ("neg", "pos"), strict=True):
                own = half.cpu().numpy().astype(np.int64, copy=False)
                key = f"{name}_{sign}"
                arrays[key] = own if key not in arrays else np.add(arrays[key], own, out=arrays[key])
    best = np.maximum.reduce([tally.best.cpu().numpy() for tally in tallies])
    negative, positive = _reordered(best).view(np.float32)
    return arrays, positive, negative
