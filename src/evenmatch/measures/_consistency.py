"""Threshold consistency: utility curves, OPIS and ε-OPIS (arXiv 2307.04047)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenmatch.errors import InputError
from evenmatch.measures._estimate import SamplingError, sampling_error
from evenmatch.measures._utility import utility
from evenmatch.pairs import PairCounts

__all__ = ["Consistency", "consistency"]


@dataclass(frozen=True, eq=False)
class Consistency:
    """How much the classes differ at one threshold, for K classes of which D are defined and T thresholds.

    Attributes:
        opis: the mean over classes of the squared deviation of U_i from Ū, averaged over the range; in [0, 1/4],
            0 where all classes behave alike.
        eps_opis: the same deviation for the mean of the worst classes alone; in [0, 1].
        range: the calibration range ``(t_lo, t_hi)``.
        thresholds: the counted thresholds in the range, ``(T,)``; the first and last are its ends.
        weights: share of each threshold in a mean over the range (trapezoid rule), ``(T,)``, sums to 1.
        defined: indices of the classes with at least one positive and one negative pair, ``(D,)``.
        curves: their utility U_i(t), ``(D, T)``.
        mean_curve: Ū(t), ``(T,)``.
        class_utility: each class's mean utility over the range, ``(K,)``, NaN where undefined.
        class_opis: each class's share of OPIS, ``(K,)``, NaN where undefined; the shares sum to OPIS.
        worst: indices of the ⌈ε·D⌉ classes with the lowest mean utility, worst first.
        sampling_error: what was taken off for the noise of sampling, where the counts are an estimate, or None. A
            class's share of OPIS may then come out below 0; OPIS and ε-OPIS are not let below it.
    """

    opis: float
    eps_opis: float
    range: tuple[float, float]
    thresholds: np.ndarray
    weights: np.ndarray
    defined: np.ndarray
    curves: np.ndarray
    mean_curve: np.ndarray
    class_utility: np.ndarray
    class_opis: np.ndarray
    worst: np.ndarray
    sampling_error: SamplingError | None = None


def calibration_range(counts: PairCounts, far: tuple[float, float]) -> tuple[int, int]:
    """Columns of the class thresholds at which the FAR over all negative pairs falls to ``max(far)`` and ``min(far)``.

    Raises:
        InputError: the range is empty or unbounded on these pairs.
    """
    low, high = (counts.index_at_far(rate) for rate in (max(far), min(far)))
    if high == counts.grid.size:
        ties = counts.accepted_negatives[-2] / counts.n_negatives
        raise InputError(
            f"only rejecting every pair brings the FAR down to {min(far):g}: {ties:.2%} of the negative pairs have the "
            "highest possible score; look for copies of one item under different labels"
        )
    if low == high:
        raise InputError(
            f"the calibration range is empty: FAR {max(far):g} and FAR {min(far):g} have the same threshold "
            f"{float(counts.grid.threshold(low)):.6g} on {counts.n_negatives} negative pairs; "
            "give more samples, or rates that are further apart with far=(…, …)"
        )
    first, last = (counts.column(float(counts.grid.threshold(index))) for index in (low, high))
    return first, last


def consistency(
    counts: PairCounts, *, far: tuple[float, float] = (1e-2, 1e-1), beta: float = 1.0, eps: float = 0.1
) -> Consistency:
    """OPIS, ε-OPIS and the utility curves behind them (arXiv 2307.04047, section 3).

    Choices where the paper is silent: the means over classes give every defined class the same weight; the FAR that
    bounds the range is that of all negative pairs together; the integral is the trapezoid rule over every class
    threshold counted in the range (at least 128 where the grid has them: equal steps, denser towards the ends); ε-OPIS
    takes the ⌈ε·D⌉ classes whose mean utility over the range is lowest, one set for the whole range.

    Args:
        counts: counts whose class thresholds cover the range.
        far: the false accept rates that bound the range.
        beta: weight of TAR in the utility, > 0.
        eps: share of classes in ε-OPIS, in (0, 1].

    Raises:
        InputError: an argument is out of its range, or the pairs cannot support the calibration range.

    Examples:
        >>> from evenmatch.embeddings import EmbeddingSet
        >>> from evenmatch.pairs import count_pairs
        >>> x = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
        >>> result = consistency(count_pairs(EmbeddingSet.from_arrays(x, [i // 3 for i in range(60)])))
        >>> 0 < result.opis < 0.25
        True
    """
    check_arguments(far, beta, eps)
    first, last = calibration_range(counts, far)
    inside = slice(first, last + 1)
    thresholds = counts.thresholds[inside]
    defined = np.flatnonzero((counts.positives > 0) & (counts.negatives > 0))
    weights = range_weights(thresholds)

    curves = np.empty((defined.size, thresholds.size))
    for at in range(0, defined.size, 4096):  # a part at a time, so that memory stays near one table
        part = defined[at : at + 4096]
        tar = counts.positives_accepted[part, inside] / counts.positives[part, None]
        tnr = 1.0 - counts.negatives_accepted[part, inside] / counts.negatives[part, None]
        curves[at : at + 4096] = utility(tar, tnr, beta)
    mean_curve = curves.mean(axis=0)

    class_utility = np.full(counts.classes.size, np.nan)
    class_opis = np.full(counts.classes.size, np.nan)
    class_utility[defined] = curves @ weights
    for at in range(0, defined.size, 4096):
        part = slice(at, at + 4096)
        class_opis[defined[part]] = np.square(curves[part] - mean_curve) @ weights / defined.size
    n_worst = max(1, math.ceil(eps * defined.size - 1e-9))
    order = np.argsort(class_utility[defined], kind="stable")[:n_worst]
    eps_opis = float(np.square(curves[order].mean(axis=0) - mean_curve) @ weights)
    error = None
    if counts.sampling is not None:
        error = sampling_error(counts, counts.sampling, defined, far=far, beta=beta, n_worst=n_worst)
        class_opis[defined] -= error.class_opis
        eps_opis = max(eps_opis - error.eps_opis, 0.0)
    return Consistency(
        opis=max(float(np.nansum(class_opis)), 0.0),
        eps_opis=eps_opis,
        range=(float(thresholds[0]), float(thresholds[-1])),
        thresholds=thresholds,
        weights=weights,
        defined=defined,
        curves=curves,
        mean_curve=mean_curve,
        class_utility=class_utility,
        class_opis=class_opis,
        worst=defined[order],
        sampling_error=error,
    )


def range_weights(thresholds: np.ndarray) -> np.ndarray:
    """Share of each of some ascending thresholds in a mean over their range, by the trapezoid rule; sums to 1."""
    gaps = np.diff(thresholds)
    return (np.append(gaps, 0) + np.append(0, gaps)) / (2 * (thresholds[-1] - thresholds[0]))


def check_arguments(far: tuple[float, float], beta: float, eps: float) -> None:
    """Refuse rates, weights and shares that no data could make sense of.

    Raises:
        InputError: names the argument and its range.
    """
    if len(far) != 2 or not 0 < min(far) < max(far) < 1:
        raise InputError(f"far is {tuple(far)}; give two different false accept rates between 0 and 1, as (1e-2, 1e-1)")
    if not 1e-6 <= beta <= 1e6:
        raise InputError(f"beta is {beta:g}; give a weight above 0, from 1e-6 to 1e6")
    if not 0 < eps <= 1:
        raise InputError(f"eps is {eps:g}; give a share of the classes above 0 and at most 1")
