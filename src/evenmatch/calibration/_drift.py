"""A drift alarm for a shipped point: do new data without labels still score as those it was calibrated on?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import f as f_distribution

from evenmatch.calibration._curves import ScoreCurves
from evenmatch.calibration._point import OperatingPoint
from evenmatch.calibration._share import classes_of, spread_on_both_sides
from evenmatch.calibration._transfer import FEWEST_SAMPLES, curves_of
from evenmatch.errors import InputError
from evenmatch.pairs import UnlabeledCounts

__all__ = ["DriftCheck", "drift_counts"]

_ROUNDS = 8
_MOST_SHARE = 0.5


@dataclass(frozen=True)
class DriftCheck:
    """Whether data without labels score as those that a point was calibrated on.

    Attributes:
        drift: whether the alarm fires: ``p_value < alpha``.
        p_value: of the hypothesis that these are other classes and samples of the same kind.
        alpha: the false-alarm rate allowed.
        statistic: Hotelling's T² over the levels.
        far: at the levels, of the calibration data.
        accepted: share of all pairs accepted there.
        expected: what share would be, with the share of matches that fits best.
        accepted_at_threshold: share of all pairs accepted at the point's threshold, matches and others.
        expected_at_threshold: what it would be.
        positives: the share of matches that fits best.
        classes: how many classes that would be, were they of equal size.
        samples: of the new data, copies left out.
        copies: rows that repeat another row exactly and were left out.
        threshold: of the point.
        metric: of the point.
    """

    drift: bool
    p_value: float
    alpha: float
    statistic: float
    far: tuple[float, ...]
    accepted: tuple[float, ...]
    expected: tuple[float, ...]
    accepted_at_threshold: float
    expected_at_threshold: float
    positives: float
    classes: float
    samples: int
    copies: int
    threshold: float
    metric: str

    def summary(self) -> dict[str, Any]:
        """Everything as a dict that JSON can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def drift_counts(point: OperatingPoint, counts: UnlabeledCounts, *, alpha: float = 0.01, copies: int = 0) -> DriftCheck:
    """Test counted pairs without labels against the curves of a point.

    Null hypothesis: the new data are other classes, or other samples of the same ones, drawn as those of the
    calibration data; how many matches there are among them is left open. Then the share accepted at level l is
    ``A_l = π·TAR_l + (1 - π)·FAR_l`` up to the spread of the classes on both sides (the covariance that the point
    carries, once for each side, more where the new classes are fewer) and the spread of the new samples. π is fitted
    by generalised least squares, and what remains at the L levels is Hotelling's T² (Annals of Mathematical Statistics
    2, 1931), on which ``(ν - L + 2)/(ν(L - 1))·T²`` is F distributed with L - 1 and ν - L + 2 degrees of freedom.
    For normal influences ν would be K - 1; a few classes carry most of the false accepts, so half of that is taken.

    The jackknife of a statistic of pairs is too wide (Efron and Stein, Annals of Statistics 9, 1981), which makes the
    test careful, and few classes with many false accepts give it heavy tails, which does the opposite at small
    ``alpha``; ``studies/transfer`` counts how often it fires.

    Args:
        point: with curves.
        counts: of the pairs of the new data, counted at the levels of the curves.
        alpha: the false-alarm rate, in (0, 1).
        copies: rows left out.

    Raises:
        InputError: alpha is no rate, the point has no curves, or fewer than 200 samples.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha:g}; give a false-alarm rate between 0 and 1, as 0.01")
    curves = curves_of(point)
    if counts.n < FEWEST_SAMPLES:
        raise InputError(
            f"there are {counts.n} samples without labels and at least {FEWEST_SAMPLES} are needed to tell drift from "
            "chance; pass more of them"
        )
    # the new grid may have moved a level by a step, so both sides are taken where it did
    far, tar = curves.far_at(counts.thresholds), curves.tar_at(counts.thresholds)
    accepted = counts.accepted.sum(axis=0) / 2 / counts.n_pairs
    share, statistic = _fit(curves, counts, far, tar, accepted)
    levels, df = far.size, (curves.classes - 1) / 2
    scaled = statistic * (df - levels + 2) / (df * (levels - 1))
    p_value = float(f_distribution.sf(scaled, levels - 1, df - levels + 2))
    index = counts.grid.index_at_or_above(point.threshold)
    here = np.array([min(point.threshold, float(counts.grid.thresholds[-1]))])
    tar_here, far_here = float(curves.tar_at(here)[0]), float(curves.far_at(here)[0])
    return DriftCheck(
        drift=p_value < alpha,
        p_value=p_value,
        alpha=alpha,
        statistic=statistic,
        far=tuple(far.tolist()),
        accepted=tuple(accepted.tolist()),
        expected=tuple((share * tar + (1 - share) * far).tolist()),
        accepted_at_threshold=float(counts.shares[index]),
        expected_at_threshold=share * tar_here + (1 - share) * far_here,
        positives=share,
        classes=classes_of(share, counts.n),
        samples=counts.n,
        copies=copies,
        threshold=point.threshold,
        metric=point.metric,
    )


def _fit(
    curves: ScoreCurves, counts: UnlabeledCounts, far: np.ndarray, tar: np.ndarray, accepted: np.ndarray
) -> tuple[float, float]:
    """The share of matches that fits best and the T² of what remains; in rounds, as the weights depend on the share."""
    share, statistic = curves.positives, 0.0
    for _ in range(_ROUNDS):
        slopes = np.hstack([np.diag((1 - share) * far * (1 - far)), np.diag(share * tar * (1 - tar))])
        spread = slopes @ spread_on_both_sides(curves, share, counts.n) @ slopes.T
        # on the scale of the rates, so that no level is lost in the inversion
        scale = 1 / np.sqrt(np.diag(spread) + np.diag(counts.covariance))
        weights = scale[:, None] * np.linalg.pinv((spread + counts.covariance) * np.outer(scale, scale)) * scale
        gap = tar - far
        share = float(np.clip(gap @ weights @ (accepted - far) / (gap @ weights @ gap), 0.0, _MOST_SHARE))
        rest = accepted - far - share * gap
        statistic = float(rest @ weights @ rest)
    return share, statistic
