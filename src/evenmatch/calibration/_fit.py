"""From counts to an operating point."""

from __future__ import annotations

import numpy as np

from evenmatch.calibration._objective import Objective, choose_threshold, require_shippable
from evenmatch.calibration._point import CalibrationData, OperatingPoint
from evenmatch.calibration._probability import ScoreCalibrator
from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.measures import ClassRate, InsufficientCountsError, class_rates, class_rates_at
from evenmatch.pairs import PairCounts

__all__ = ["GUARANTEES", "calibrate_counts", "check_guarantee"]

GUARANTEES = ("mean", "upper")


def check_guarantee(objective: Objective, guarantee: str, n_classes: int | None, confidence: float) -> None:
    """Refuse what cannot be promised.

    Raises:
        InputError: names the argument and what it may be.
    """
    if guarantee not in GUARANTEES:
        raise InputError(f"guarantee {guarantee!r} is unknown; use 'mean' or 'upper'")
    if guarantee == "upper" and objective.kind not in ("far", "frr"):
        raise InputError("guarantee='upper' holds a rate below a target; give far=… or frr=…, or use guarantee='mean'")
    if n_classes is not None and guarantee != "upper":
        raise InputError("n_classes belongs to guarantee='upper'; point.far_interval(n) gives the interval for any n")
    if n_classes is not None and n_classes < 2:
        raise InputError(f"n_classes is {n_classes}; a deployment has at least 2 classes")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; give a number between 0 and 1, as 0.95")


def calibrate_counts(
    counts: PairCounts,
    objective: Objective,
    data: CalibrationData,
    *,
    confidence: float = 0.95,
    guarantee: str = "mean",
    n_classes: int | None = None,
    probability: ScoreCalibrator | None = None,
) -> OperatingPoint:
    """The operating point that meets an objective on counted pairs.

    Args:
        counts: counts whose class thresholds surround the threshold that will be chosen.
        objective: what to achieve.
        data: what was counted.
        confidence: of the intervals, in (0, 1).
        guarantee: ``"mean"``: the realised rate meets the target. ``"upper"``: the upper end of the prediction interval
            for ``n_classes`` new classes meets it, too; the threshold is the lowest counted class threshold (for an FRR
            the highest) that does.
        n_classes: by default as many as were calibrated on.
        probability: kept in the point.

    Raises:
        UnreachableTargetError: no threshold meets the objective; says what can be met.
        InsufficientCountsError: the classes were not counted where the intervals need them.
    """
    check_guarantee(objective, guarantee, n_classes, confidence)
    index = choose_threshold(counts, objective)
    if guarantee == "upper":
        n_classes = counts.classes.size if n_classes is None else n_classes
        threshold, far, frr = _upper(counts, objective, index, n_classes, confidence)
    else:
        require_shippable(counts, objective, index)
        threshold = float(counts.grid.threshold(index))
        far, frr = class_rates_at(counts, threshold)
    return OperatingPoint(
        threshold=threshold,
        metric=counts.grid.metric,
        objective=objective,
        guarantee=guarantee,
        guarantee_classes=n_classes,
        confidence=confidence,
        far_evidence=far,
        frr_evidence=frr,
        data=data,
        probability=probability,
    )


def _upper(
    counts: PairCounts, objective: Objective, index: int, n_classes: int, confidence: float
) -> tuple[float, ClassRate, ClassRate]:
    """The first counted class threshold, from the permissive side, whose predicted upper end meets the target."""
    target = objective.target if objective.target is not None else 0.0
    false_accepts = counts.negatives_accepted
    far = class_rates(false_accepts, counts.negatives, false_accepts.sum(axis=0) / 2, counts.n_negatives, True)
    rejected = counts.positives[:, None] - counts.positives_accepted
    frr = class_rates(rejected, counts.positives, rejected.sum(axis=0), counts.n_positives, False)
    order = range(counts.thresholds.size)
    rates = far if objective.kind == "far" else frr
    uppers = np.array([rate.prediction(n_classes, confidence)[1] for rate in rates])
    name = objective.kind.upper()
    # what these classes allow by themselves: no prediction meets the target beyond it
    best = float(counts.grid.threshold(min(index, counts.grid.size - 1)))
    for column in order if objective.kind == "far" else reversed(order):
        if uppers[column] <= target:
            threshold = float(counts.thresholds[column])
            beyond = threshold - best if objective.kind == "far" else best - threshold
            if column == (0 if objective.kind == "far" else order[-1]) and beyond > counts.grid.step / 2:
                raise InsufficientCountsError(
                    f"these counts do not suffice: the upper end of the {name} stays below {target:g} wherever their "
                    "classes were counted; pass the embeddings, or audit with far=(…, …) that reaches further"
                )
            return threshold, far[column], frr[column]
    if not rates or not rates[-1 if objective.kind == "far" else 0].scarce:
        raise InsufficientCountsError(
            f"these counts do not suffice: where their classes were counted, the upper end of the {name} for "
            f"{n_classes} new classes stays above {target:g}; pass the embeddings, or audit with far=(…, …) further out"
        )
    raise UnreachableTargetError(
        f"{rates[0].classes} classes cannot certify {name} {target:g} for "
        f"{n_classes} new classes at confidence {confidence:g}; the tightest certifiable is "
        f"{_rounded_up(float(uppers.min()))}; calibrate on more classes, or use guarantee='mean'"
    )


def _rounded_up(rate: float) -> str:
    """A rate with two digits that is not below the one given."""
    text = f"{rate:.1e}"
    if float(text) < rate:
        digits, _, exponent = text.partition("e")
        text = f"{float(digits) + 0.1:.1f}e{exponent}"
    return f"{float(text):g}"
