"""FAR and FRR with what is known about them for classes that nobody has seen: standard errors over classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

from evenmatch.errors import InputError
from evenmatch.pairs import PairCounts

__all__ = ["ClassRate", "InsufficientCountsError", "class_rates", "class_rates_at"]

#: Fewer independent units than this with an error among them say too little about the spread between classes.
_FEWEST_UNITS = 5
#: Between neighbouring counted thresholds the FAR may differ by this factor for the spread there to be used.
_CLOSE = 1.5


class InsufficientCountsError(InputError):
    """The classes were not counted where an interval needs them."""


@dataclass(frozen=True)
class ClassRate:
    """An error rate over classes, with its uncertainty for other classes of the same kind.

    The standard error is that of the delete-one-class jackknife on the logit scale. Leaving class i out removes every
    pair with an end in it, so the counts of each class alone give it exactly, for a negative pair's both classes too.

    Attributes:
        value: the exact share of the pairs counted, in [0, 1].
        standard_error: of ``logit(value)`` over classes; None if the value is 0 or 1, or fewer than 3 classes remain.
        classes: how many classes have such pairs.
        effective_classes: ``(Σ e_i)² / Σ e_i²`` with e_i the errors of class i: on how many classes they rest.
        degrees_of_freedom: of the t interval.
        both_ends: whether each pair belongs to two classes (FAR) or to one (FRR).
    """

    value: float
    standard_error: float | None
    classes: int
    effective_classes: float
    degrees_of_freedom: float
    both_ends: bool

    @property
    def scarce(self) -> bool:
        """Whether the errors rest on too few classes for their spread to be trusted."""
        return not self.effective_classes >= _FEWEST_UNITS * (2 if self.both_ends else 1)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Confidence interval for the population of classes.

        ``expit(logit(v) ± t·s)``. With scarce errors the upper end is at least the bound that holds for any
        distribution when none is seen, ``1 - α^(1/m)`` with m independent units: classes for FRR, and disjoint pairs
        of classes, ⌊K/2⌋, for FAR. For FAR the degrees of freedom are K - 1, because the jackknife of a statistic of
        pairs is too wide already (Efron and Stein, Annals of Statistics 9, 1981); for FRR those of Satterthwaite
        (Biometrics Bulletin 2, 1946), ``2K/(κ - 1)`` with κ the kurtosis of the influences.

        Args:
            confidence: in (0, 1).
        """
        return self._interval(confidence, 1.0)

    def prediction(self, n_classes: int, confidence: float) -> tuple[float, float]:
        """Interval for the rate realised on ``n_classes`` other classes with about as many samples each.

        Adds the variance of that sample of classes to that of this one. It falls as 1/m with the m new classes; for
        a rate of pairs the part that falls as 1/m² counts when there are few, so that the ratio of the variances is
        taken as ``max(K/m, (K/m)²/2)``, which is not below the true one (Hoeffding, Annals of Mathematical Statistics
        19, 1948).

        Args:
            n_classes: m, at least 2.
            confidence: in (0, 1).

        Raises:
            InputError: fewer than 2 classes.
        """
        if n_classes < 2:
            raise InputError(f"n_classes is {n_classes}; a deployment has at least 2 classes")
        ratio = self.classes / n_classes
        return self._interval(confidence, math.sqrt(1 + (max(ratio, ratio**2 / 2) if self.both_ends else ratio)))

    def _interval(self, confidence: float, inflation: float) -> tuple[float, float]:
        if not 0 < confidence < 1:
            raise InputError(f"confidence is {confidence:g}; give a number between 0 and 1, as 0.95")
        alpha = (1 - confidence) / 2
        units = self.classes // 2 if self.both_ends else self.classes
        unseen = 1.0 - alpha ** (1 / units) if units else 1.0
        if self.standard_error is None:
            if self.classes < 3 or 0 < self.value < 1:
                return 0.0, 1.0
            return (0.0, unseen) if self.value == 0 else (1.0 - unseen, 1.0)
        reach = float(stdtrit(self.degrees_of_freedom, 1 - alpha)) * self.standard_error * inflation
        centre = float(logit(self.value))
        low, high = float(expit(centre - reach)), float(expit(centre + reach))
        return low, max(high, unseen) if self.scarce else high


def class_rates(
    errors: np.ndarray, pairs: np.ndarray, total_errors: np.ndarray, total_pairs: int, both_ends: bool
) -> list[ClassRate]:
    """One rate for each threshold.

    Args:
        errors: wrong decisions on the pairs of each class, ``(K, T)``.
        pairs: pairs of each class, ``(K,)``.
        total_errors: all wrong decisions, ``(T,)``; half the sum over classes if each pair has two.
        total_pairs: all pairs.
        both_ends: whether each pair belongs to two classes.
    """
    kept = pairs > 0
    errors, pairs = errors[kept], pairs[kept]
    k = pairs.size
    rest = total_pairs - pairs
    usable = k >= 3 and bool((rest > 0).all())
    rates = []
    for column, total in enumerate(total_errors):
        own = errors[:, column].astype(float)
        value = float(total / total_pairs) if total_pairs else math.nan
        squares = float(np.square(own).sum())
        effective = float(own.sum() ** 2 / squares) if squares else 0.0
        spread, freedom = None, max(k - 1.0, 1.0)
        if usable and 0 < value < 1:
            left_out = (total - own) / rest
            influence = left_out - left_out.mean()
            variance = float(np.square(influence).sum())
            spread = math.sqrt((k - 1) / k * variance) / (value * (1 - value))
            kurtosis = k * float(np.power(influence, 4).sum()) / variance**2 if variance > 0 else 1.0
            if not both_ends and kurtosis > 1:
                freedom = float(np.clip(2 * k / (kurtosis - 1), 1.0, freedom))
        rates.append(ClassRate(value, spread, k, effective, freedom, both_ends))
    return rates


def class_rates_at(counts: PairCounts, threshold: float) -> tuple[ClassRate, ClassRate]:
    """FAR and FRR at a threshold of the grid, with their spread over classes.

    The rates are exact. Where the classes were counted at the threshold itself, so is their spread; between two counted
    thresholds whose FARs are within a factor of 1.5, the wider spread of the two is taken.

    Raises:
        InsufficientCountsError: the classes were not counted there or near it; the message says what was.
    """
    index = counts.grid.index_at_or_above(threshold)
    step = counts.grid.step
    near = np.flatnonzero(np.abs(counts.thresholds - threshold) <= 1e-6 * step)
    if near.size:
        columns = near[:1]
    else:
        above = int(np.searchsorted(counts.thresholds, threshold))
        columns = np.array([above - 1, above])
        if above in (0, counts.thresholds.size) or not _close(counts, columns):
            raise InsufficientCountsError(_not_counted(counts, threshold))
    far = class_rates(
        counts.negatives_accepted[:, columns],
        counts.negatives,
        counts.negatives_accepted[:, columns].sum(axis=0) / 2,
        counts.n_negatives,
        True,
    )
    rejected = counts.positives[:, None] - counts.positives_accepted[:, columns]
    frr = class_rates(rejected, counts.positives, rejected.sum(axis=0), counts.n_positives, False)
    if near.size:
        return far[0], frr[0]
    exact_far = float(counts.accepted_negatives[index] / counts.n_negatives)
    exact_frr = float(1 - counts.accepted_positives[index] / counts.n_positives)
    return _wider(far, exact_far), _wider(frr, exact_frr)


def _close(counts: PairCounts, columns: np.ndarray) -> bool:
    low, high = counts.negatives_accepted[:, columns].sum(axis=0)
    return bool(low <= _CLOSE * max(high, 1))


def _wider(ends: list[ClassRate], value: float) -> ClassRate:
    known = [end for end in ends if end.standard_error is not None] if 0 < value < 1 else []
    if not known:
        return ClassRate(value, None, ends[0].classes, 0.0, ends[0].degrees_of_freedom, ends[0].both_ends)
    return ClassRate(
        value,
        max(end.standard_error or 0.0 for end in known),
        ends[0].classes,
        min(end.effective_classes for end in known),
        min(end.degrees_of_freedom for end in known),
        ends[0].both_ends,
    )


def _not_counted(counts: PairCounts, threshold: float) -> str:
    if not counts.thresholds.size:
        return "no class was counted at any threshold; count with far=(…) or thresholds=[…]"
    far = counts.negatives_accepted[:, [0, -1]].sum(axis=0) / max(2 * counts.n_negatives, 1)
    here = counts.accepted_negatives[counts.grid.index_at_or_above(threshold)] / max(counts.n_negatives, 1)
    return (
        f"these counts do not suffice: their classes were counted where the FAR is {far[1]:.3g} to {far[0]:.3g}, and "
        f"at threshold {threshold:.6g} it is {here:.3g}; pass the embeddings, or audit with far=(…, …) around it"
    )
