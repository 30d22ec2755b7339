"""A threshold on a new domain, from its scores without labels."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from evenmatch.calibration._curves import ScoreCurves
from evenmatch.calibration._objective import Objective
from evenmatch.calibration._origin import Origin
from evenmatch.calibration._point import CAUTIONS, CalibrationData, OperatingPoint
from evenmatch.calibration._share import MatchShare, classes_of, variance_ratio
from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.measures import ClassRate
from evenmatch.pairs import UnlabeledCounts

if TYPE_CHECKING:
    from evenmatch.embeddings import EmbeddingSet

__all__ = ["FEWEST_SAMPLES", "Transfer", "curves_of", "transfer_counts", "transfer_target"]

FEWEST_SAMPLES = 200
_FEWEST_ACCEPTED = 30
_MOST_SHARE = 0.1
_LEAST_SEPARATION = 0.2
_CAUTION = "anything that its labelled evidence must vouch for: its rates are estimates from data without labels"


@dataclass(frozen=True)
class Transfer:
    """A threshold for new data without labels, and what is known about it.

    Attributes:
        threshold: the lowest one of the grid whose estimated FAR meets the target; accept if score ≥ threshold.
        target: the FAR asked for.
        far: estimated FAR at the threshold, over the negative pairs of the new data.
        far_ci: confidence interval of the FAR among these very pairs, for data whose matches score as those of the
            calibration data do.
        untouched_far, untouched_far_ci: the same at the threshold of the point that was transferred.
        accepted: share of all pairs accepted at the threshold, matches and others; exact.
        positives: estimated share of matches among all pairs, or the one given.
        positives_ci: its confidence interval; both ends the same if it was given.
        method: how the share was estimated: ``"neighbours"``, ``"curves"`` or ``"given"``.
        assumed: what the estimate rests on.
        thin: why the evidence is too thin to ship the threshold; empty if it is not.
        confidence: of the intervals.
        samples: of the new data, copies left out.
        copies: rows that repeat another row exactly and were left out.
        source: the point that was transferred.
    """

    threshold: float
    target: float
    far: float
    far_ci: tuple[float, float]
    untouched_far: float
    untouched_far_ci: tuple[float, float]
    accepted: float
    positives: float
    positives_ci: tuple[float, float]
    method: str
    assumed: tuple[str, ...]
    thin: tuple[str, ...]
    confidence: float
    samples: int
    copies: int
    source: OperatingPoint
    _point: OperatingPoint

    @property
    def point(self) -> OperatingPoint:
        """The operating point for the new domain, which says in ``origin`` that it saw no labels.

        Raises:
            UnreachableTargetError: the evidence is too thin; says why and what would help.
        """
        if self.thin:
            raise UnreachableTargetError(
                f"the evidence is too thin to ship this threshold: {'; '.join(self.thin)}; pass more samples, "
                "positives=… if their share is known, or label some pairs and calibrate"
            )
        return self._point

    def summary(self) -> dict[str, Any]:
        """Everything as a dict that JSON can hold."""
        own = {name: value for name, value in vars(self).items() if name not in ("source", "_point")}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        return {
            **lists,
            "metric": self.source.metric,
            "source": {"threshold": self.source.threshold, "far": self.source.far, "name": self.source.data.name},
        }

    def __repr__(self) -> str:
        thin = f", too thin: {len(self.thin)} reasons" if self.thin else ""
        return (
            f"Transfer(threshold={self.threshold:.6g} ({self.source.metric}), FAR={self.far:.3g} in "
            f"[{self.far_ci[0]:.3g}, {self.far_ci[1]:.3g}], positives={self.positives:.3g}{thin})"
        )


def curves_of(point: OperatingPoint) -> ScoreCurves:
    """The curves that a point carries.

    Raises:
        InputError: it has none; says how to get a point that has.
    """
    if point.curves is None:
        raise InputError(
            "this operating point does not carry the score curves that data without labels are compared with (fewer "
            "than 20 classes, an audit that counted elsewhere, a transferred point, or an older version); calibrate "
            "on labelled embeddings"
        )
    return point.curves


def transfer_counts(
    point: OperatingPoint,
    counts: UnlabeledCounts,
    share: MatchShare,
    method: str,
    data: EmbeddingSet,
    *,
    far: float | None = None,
    confidence: float | None = None,
    copies: int = 0,
) -> Transfer:
    """The threshold at which the FAR of counted pairs without labels is estimated to meet the target.

    ``FAR(t) = (A(t) - π·TAR(t)) / (1 - π)`` with A the exact share of all pairs accepted, π the share of matches and
    TAR the curve of the calibration data. The threshold is the lowest one of the grid where this meets the target.
    The variance of the estimate is ``((TAR - FAR)/(1 - π))²·Var π + (π/(1 - π))²·Var TAR``, the second from the spread
    between classes of the calibration data, taken for both sides.

    Args:
        point: the point to transfer, with its curves.
        counts: of the pairs of the new data, counted at the levels of the curves.
        share: of matches among them.
        method: how that was found, ``"neighbours"``, ``"curves"`` or ``"given"``.
        data: the new data, for the evidence.
        far: the target; by default that of the point, or the FAR that it realised.
        confidence: of the intervals; by default the point's.
        copies: rows left out.

    Raises:
        UnreachableTargetError: only rejecting every pair would meet the target, or it is no rate.
        InputError: the point has no curves, or fewer than 200 samples.
    """
    curves = curves_of(point)
    if counts.n < FEWEST_SAMPLES:
        raise InputError(
            f"there are {counts.n} samples without labels and at least {FEWEST_SAMPLES} are needed to estimate a FAR; "
            "pass more of them"
        )
    target, confidence = transfer_target(point, far, confidence)
    pi = share.value
    thresholds = counts.grid.thresholds
    tar = curves.tar_at(thresholds)
    estimate = (counts.shares[:-1] - pi * tar) / (1 - pi)
    met = np.flatnonzero(estimate <= target)
    if not met.size:
        raise UnreachableTargetError(
            f"only rejecting every pair would give FAR ≤ {target:g}: {counts.shares[-2]:.3%} of all pairs have the "
            "highest possible score; look for copies of one item, or ask for less"
        )
    index = int(met[0])
    ratio = variance_ratio(curves.classes, pi, counts.n)
    at_target = _error(curves, float(thresholds[index]), float(estimate[index]), share, ratio)
    old = min(counts.grid.index_at_or_above(point.threshold), counts.grid.size - 1)
    at_old = _error(curves, float(thresholds[old]), float(estimate[old]), share, ratio)
    reach = float(stdtrit(curves.classes - 1, 0.5 + confidence / 2))

    def around(value: float, error: float) -> tuple[float, float]:
        return max(value - reach * error, 0.0), min(max(value, 0.0) + reach * error, 1.0)

    positives_ci = (max(pi - reach * share.standard_error, 0.0), min(pi + reach * share.standard_error, 1.0))
    value = max(float(estimate[index]), 0.0)
    result: dict[str, Any] = {
        "threshold": float(thresholds[index]),
        "target": target,
        "far": value,
        "far_ci": around(value, at_target),
        "untouched_far": max(float(estimate[old]), 0.0),
        "untouched_far_ci": around(float(estimate[old]), at_old),
        "accepted": float(counts.shares[index]),
        "positives": pi,
        "positives_ci": positives_ci,
        "method": method,
        "assumed": _assumed(method),
        "thin": _thin(counts, share, target, at_target),
        "confidence": confidence,
        "samples": counts.n,
        "copies": copies,
    }
    shipped = _ship(point, curves, result, at_target, counts, data)
    return Transfer(**result, source=point, _point=shipped)


def transfer_target(point: OperatingPoint, far: float | None, confidence: float | None) -> tuple[float, float]:
    """The FAR to keep and the confidence of the intervals, which are the point's by default.

    Raises:
        UnreachableTargetError: the target is no rate that can be estimated.
        InputError: the confidence is not between 0 and 1.
    """
    confidence = point.confidence if confidence is None else confidence
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; give a number between 0 and 1, as 0.95")
    target = far if far is not None else point.target if point.objective.kind == "far" else point.far
    if target is None or not 0 < target < 1:
        raise UnreachableTargetError(f"a false accept rate of {target} cannot be estimated; give far= between 0 and 1")
    return float(target), confidence


def _error(curves: ScoreCurves, threshold: float, far: float, share: MatchShare, ratio: tuple[float, float]) -> float:
    """Standard error of the estimated FAR."""
    tar = float(curves.tar_at(np.array([threshold]))[0])
    size = len(curves.level_thresholds)
    level = size + curves.nearest_level(threshold)
    spread = curves.matrix[level, level] * (1 + ratio[1]) * (tar * (1 - tar)) ** 2
    pi = share.value
    variance = ((tar - far) * share.standard_error / (1 - pi)) ** 2 + (pi / (1 - pi)) ** 2 * spread
    return math.sqrt(max(float(variance), 0.0))


def _assumed(method: str) -> tuple[str, ...]:
    matches = "matches score at the threshold as those of the calibration data do"
    pairs = "pairs within the new data are compared as they come, each with each"
    if method == "given":
        return matches, pairs, "the share of matches is the one that was given"
    if method == "curves":
        return matches, pairs, "where other pairs of the calibration data are rare (FAR ≤ 0.1%), so they are here"
    return matches, pairs, "averaged with their neighbours, pairs score as those of the calibration data do"


def _thin(counts: UnlabeledCounts, share: MatchShare, target: float, error: float) -> tuple[str, ...]:
    reasons = []
    if target * counts.n_pairs < _FEWEST_ACCEPTED:
        reasons.append(
            f"of {counts.n_pairs} pairs fewer than {_FEWEST_ACCEPTED} are expected to be false accepts at the target"
        )
    if error > target / 2:
        reasons.append(f"the FAR is known to a standard error of {error:.2g} only, more than half of the target")
    if share.value > _MOST_SHARE:
        reasons.append(f"{share.value:.1%} of the pairs seem to match, so this is no open world of many classes")
    if share.separation < _LEAST_SEPARATION:
        reasons.append("matches do not stand out from other pairs, so their share cannot be told")
    return tuple(reasons)


def _ship(
    point: OperatingPoint,
    curves: ScoreCurves,
    result: dict[str, Any],
    error: float,
    counts: UnlabeledCounts,
    data: EmbeddingSet,
) -> OperatingPoint:
    """The point for the new domain; the spread between classes is that of the calibration data."""
    pi, far = result["positives"], result["far"]
    classes = max(round(classes_of(pi, counts.n)), 2)
    ratio = variance_ratio(curves.classes, pi, counts.n)
    between, old = point.far_evidence.standard_error, point.far_evidence
    spread = None
    if between is not None and 0 < far < 1:
        spread = math.sqrt(between**2 * ratio[0] + (error / (far * (1 - far))) ** 2)
    tar = float(curves.tar_at(np.array([result["threshold"]]))[0])
    level = len(curves.level_thresholds) + curves.nearest_level(result["threshold"])
    of_tar = math.sqrt(max(curves.matrix[level, level], 0.0) * (1 + ratio[1])) if 0 < tar < 1 else None
    scale = classes / max(old.classes, 1)
    positives = round(pi * counts.n_pairs)
    return OperatingPoint(
        threshold=result["threshold"],
        metric=point.metric,
        objective=Objective("far", result["target"]),
        guarantee="mean",
        guarantee_classes=None,
        confidence=result["confidence"],
        far_evidence=ClassRate(
            far,
            spread,
            classes,
            old.effective_classes * scale,
            max(min(old.degrees_of_freedom, classes - 1.0), 1.0),
            True,
        ),
        frr_evidence=ClassRate(1 - tar, of_tar, classes, float(classes), max(classes - 1.0, 1.0), False),
        data=CalibrationData(
            name=data.name,
            samples=counts.n,
            references=None,
            dim=data.dim,
            classes=classes,
            positives=positives,
            negatives=counts.n_pairs - positives,
            fingerprint=data.fingerprint,
        ),
        probability=None,
        not_for=(_CAUTION, *CAUTIONS),
        origin=Origin(
            method=result["method"],
            positives=pi,
            positives_ci=result["positives_ci"],
            far_ci=result["far_ci"],
            assumed=result["assumed"],
            calibrated_on=asdict(point.data),
        ),
    )
