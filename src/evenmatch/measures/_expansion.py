"""The utility of classes as a quadratic in their rates; docs/debiased-opis.md says what it is for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenmatch.measures._utility import utility
from evenmatch.pairs import PairCounts

__all__ = ["Expansion", "centred"]


@dataclass(frozen=True, eq=False)
class Expansion:
    """Utility around the mean TAR and TNR of D classes at T thresholds.

    Attributes:
        tar: ``(D, T)``, as ``tnr``.
        beta: weight of TAR in the utility.
        slopes: ∂U/∂TAR and ∂U/∂TNR at the means, or what stands for them, ``(T,)`` each.
        bends: ∂²U/∂TAR², ∂²U/∂TAR∂TNR and ∂²U/∂TNR², ``(T,)`` each.
    """

    tar: np.ndarray
    tnr: np.ndarray
    beta: float
    slopes: tuple[np.ndarray, np.ndarray]
    bends: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, counts: PairCounts, thresholds: np.ndarray, classes: np.ndarray, beta: float) -> Expansion:
        """Taylor's, for some classes at some of the counted thresholds."""
        cells = np.ix_(classes, counts.columns(thresholds))
        tar = counts.positives_accepted[cells] / counts.positives[classes, None]
        tnr = 1.0 - counts.negatives_accepted[cells] / counts.negatives[classes, None]
        m, v, b = tar.mean(axis=0), tnr.mean(axis=0), beta**2
        below = np.maximum(b * v + m, 1e-12)
        slopes = (1 + b) * b * v**2 / below**2, (1 + b) * m**2 / below**2
        scale = 2 * (1 + b) * b / below**3
        return cls(tar, tnr, beta, slopes, (-scale * v**2, scale * m * v, -scale * m**2))

    @cached_property
    def centre(self) -> tuple[np.ndarray, np.ndarray]:
        return self.tar.mean(axis=0), self.tnr.mean(axis=0)

    @cached_property
    def deviations(self) -> tuple[np.ndarray, np.ndarray]:
        return self.tar - self.centre[0], self.tnr - self.centre[1]

    @cached_property
    def linear(self) -> np.ndarray:
        x, y = self.deviations
        return self.slopes[0] * x + self.slopes[1] * y

    @cached_property
    def quadratic(self) -> np.ndarray:
        """Half the second-order form in the deviations, less its mean over classes."""
        (x, y), (xx, xy, yy) = self.deviations, self.bends
        return centred((xx * x * x + 2 * xy * x * y + yy * y * y) / 2)

    @cached_property
    def squared(self) -> np.ndarray:
        """What of it is in TAR alone."""
        return self.bends[0] / 2 * centred(np.square(self.deviations[0]))

    def shrunk(self, share: float) -> np.ndarray:
        """Utility where every class has come nearer to the mean, to ``share`` of its deviation, less its mean."""
        (m, v), (x, y) = self.centre, self.deviations
        return centred(utility(m + share * x, v + share * y, self.beta))

    def fitted(self, share: float) -> Expansion:
        """The quadratic in TAR that fits the classes best, in least squares, once they have come nearer.

        Unlike Taylor's it leaves next to nothing, even where TARs range from 0 to 1.
        """
        (m, v), x = self.centre, share * self.deviations[0]
        (slope, other), (bend, *bends) = self.slopes, self.bends
        rest = centred(utility(m + x, np.broadcast_to(v, x.shape), self.beta) - slope * x - bend / 2 * x * x)
        squares = centred(x * x)
        xx, xq, qq = (x * x).mean(axis=0), (x * squares).mean(axis=0), (squares * squares).mean(axis=0)
        by_x, by_q = (rest * x).mean(axis=0), (rest * squares).mean(axis=0)
        determinant = xx * qq - xq * xq
        known = determinant > 1e-9 * xx * qq  # two kinds of classes, or one: Taylor's will do
        determinant = np.where(known, determinant, 1.0)
        slope = slope + np.where(known, by_x * qq - by_q * xq, 0.0) / determinant
        bend = bend + 2 * np.where(known, by_q * xx - by_x * xq, 0.0) / determinant
        return replace(self, slopes=(slope, other), bends=(bend, *bends))


def centred(values: np.ndarray) -> np.ndarray:
    """Less the mean over classes."""
    return values - values.mean(axis=0)
