"""The score grid: the fixed, fine set of thresholds at which all pairs together are counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenmatch.errors import InputError

__all__ = ["COSINE_STEP", "ScoreGrid"]

COSINE_STEP = 5e-5


@dataclass(frozen=True)
class ScoreGrid:
    """Equally spaced thresholds over the whole score range.

    Threshold ``b`` is ``low + b * step`` and opens bin ``b``, so that a score is accepted at threshold ``b`` if and
    only if its bin is ``b`` or higher. Thresholds lie half a step beside round numbers: a score that is exactly 0,
    0.5 or 1 in exact arithmetic stays in one bin however float32 rounds it.

    Attributes:
        metric: ``"cosine"`` or ``"euclidean"``.
        low: the lowest threshold, at or below every score.
        step: distance between thresholds, in the unit of the score (5e-5 for cosine).
        size: number of bins.
    """

    metric: str
    low: float
    step: float
    size: int

    @classmethod
    def cosine(cls) -> ScoreGrid:
        """The grid over [-1, 1] with step 5e-5."""
        return cls("cosine", -1.0 - COSINE_STEP / 2, COSINE_STEP, 40001)

    @classmethod
    def euclidean(cls, diameter: float) -> ScoreGrid:
        """A grid over ``[-diameter, 0]`` with 40,000 steps; ``diameter`` bounds every distance from above."""
        step = max(diameter, 1e-30) / 40000
        return cls("euclidean", -40000.5 * step, step, 40001)

    def threshold(self, index: int | np.ndarray) -> np.ndarray:
        """Thresholds of the given bins; index ``size`` stands for ``+inf``, which rejects everything."""
        index = np.asarray(index)
        return np.where(index >= self.size, np.inf, self.low + index * self.step)

    @property
    def zero_bin(self) -> int:
        """The bin with score 0 in its middle."""
        return round(-self.low / self.step - 0.5)

    @property
    def thresholds(self) -> np.ndarray:
        """All thresholds, shape ``(size,)``, ascending, without ``+inf``."""
        return self.low + np.arange(self.size) * self.step

    def index_at_or_above(self, threshold: float) -> int:
        """Index of the lowest grid threshold that is ≥ ``threshold``; ``size`` (that is ``+inf``) if there is none."""
        if math.isnan(threshold):
            raise InputError("a threshold is NaN; give a number in the range of the scores")
        if threshold == math.inf:
            return self.size
        index = math.ceil(max((threshold - self.low) / self.step, 0.0) - 1e-6)
        return min(index, self.size)

    def bin_of(self, score: float) -> int:
        """The bin that holds a score, by the arithmetic that the engines use."""
        return int(np.clip(np.floor((score - self.low) / self.step), 0, self.size - 1))
