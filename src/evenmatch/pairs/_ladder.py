"""Class thresholds in the form in which the engines look them up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenmatch.errors import InputError
from evenmatch.pairs._grid import ScoreGrid

__all__ = ["Ladder"]


@dataclass(frozen=True, eq=False)
class Ladder:
    """The thresholds at which every class is counted, for a score whose grid bin is known.

    Most thresholds are grid thresholds, for which the bin alone decides. A threshold of the user's own may lie inside
    a bin; only scores of that bin are then compared with it.

    Attributes:
        thresholds: ``(T,)`` float64, ascending.
        first: the lowest bin that holds or opens at a threshold.
        rungs: for each bin from ``first`` on, how many thresholds every score of the bin reaches, ``(size - first,)``.
        splits: the threshold inside the bin, or ``+inf``, ``(size - first,)`` float32; empty if there is none.
    """

    thresholds: np.ndarray
    first: int
    rungs: np.ndarray
    splits: np.ndarray

    @property
    def width(self) -> int:
        """Slots in a row of a class table: one below the lowest threshold, one from each threshold to the next."""
        return self.thresholds.size + 1

    @classmethod
    def build(cls, grid: ScoreGrid, indices: np.ndarray, extra: tuple[float, ...] = ()) -> Ladder:
        """From grid indices and further thresholds of any value.

        The grid of euclidean scores ends at the longest distance of the data; a lower threshold accepts every pair.

        Raises:
            InputError: a threshold is not finite or one that no score can have, or two lie in one bin of the grid.
        """
        opening = np.unique(np.asarray(indices, dtype=np.int64))
        inside: dict[int, float] = {}
        below: list[float] = []
        for threshold in sorted(set(extra)):
            if grid.metric == "euclidean" and -np.inf < threshold < grid.low:
                below.append(threshold)
                continue
            if not grid.low <= threshold <= grid.low + grid.size * grid.step:
                high = grid.low + grid.size * grid.step
                raise InputError(
                    f"threshold {threshold:g} is outside the scores' range [{grid.low:.6g}, {high:.6g}]; "
                    f"{grid.metric} scores never leave it"
                )
            above = grid.index_at_or_above(threshold)
            if above < grid.size and abs(grid.threshold(above) - threshold) <= 1e-6 * grid.step:
                opening = np.union1d(opening, [above])
                continue
            bin_ = above - 1
            if bin_ in inside:
                raise InputError(
                    f"thresholds {inside[bin_]:g} and {threshold:g} are closer than the grid's step {grid.step:g}; "
                    "give one of them"
                )
            inside[bin_] = threshold
        values = np.concatenate([below, grid.threshold(opening), np.array(list(inside.values()), dtype=np.float64)])
        opening = np.concatenate([np.zeros(len(below), dtype=np.int64), opening])
        bins = list(opening) + list(inside)
        first = int(min(bins)) if bins else grid.size
        steps = np.zeros(grid.size - first + 1, dtype=np.int32)
        np.add.at(steps, opening - first, 1)
        np.add.at(steps, np.array(list(inside), dtype=np.int64) + 1 - first, 1)
        splits = np.empty(0, dtype=np.float32)
        if inside:
            splits = np.full(grid.size - first, np.inf, dtype=np.float32)
            for bin_, threshold in inside.items():
                rounded = np.float32(threshold)
                splits[bin_ - first] = (
                    np.nextafter(rounded, np.float32(np.inf)) if float(rounded) < threshold else rounded
                )
        return cls(np.sort(values), first, np.cumsum(steps[:-1], dtype=np.int32), splits)
