"""Confidence intervals for the population of classes, by bootstrap over classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri

from evenmatch.measures._consistency import Consistency
from evenmatch.measures._retrieval import hits_at_1
from evenmatch.pairs import PairCounts

__all__ = ["bca_intervals", "class_intervals", "paired_intervals"]

_CHUNK_CELLS = 2**22
_JACKKNIFE_PARTS = 200
_EER_COLUMNS = 256
_FEWEST_CLASSES = 10

Statistics = Callable[[np.ndarray], dict[str, np.ndarray]]


def class_intervals(
    counts: PairCounts,
    result: Consistency,
    *,
    eps: float,
    threshold: float,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Intervals for OPIS, ε-OPIS, recall@1, EER, and FAR and FRR at one threshold, for other classes of the same kind.

    Classes, not pairs, are drawn with replacement, because pairs that share a sample or a class are not independent.
    A negative pair belongs to two classes and is weighted by both: to first order in the weights w the accepted
    negatives of a resample are ``A/2 + Σ (w_i - 1)·a_i`` with a_i those of class i and A = Σ a_i. The calibration range
    and every U_i stay as measured. The intervals are BCa (Efron, JASA 82, 1987), its acceleration from a jackknife
    over 200 parts of the classes.

    Args:
        counts: the counts, with ``threshold`` among the class thresholds.
        result: what `consistency` made of them.
        eps: share of classes in ε-OPIS.
        threshold: where FAR and FRR are meant.
        confidence: in (0, 1).
        resamples: bootstrap resamples; time and memory grow with resamples × K.
        seed: of the resampling; the same seed gives the same intervals.

    Returns:
        ``opis``, ``eps_opis``, ``recall_at_1``, ``far`` and ``frr``, each ``(low, high)``, and ``eer`` where it lies at
        thresholds at which the classes were counted; empty below 10 classes, whose resamples are too few to say
        anything. ε-OPIS of fewer than 100 classes is covered somewhat less often than stated (about 90% at 60 classes
        for a nominal 95%): its worst tenth is then a handful of classes.
    """
    if counts.classes.size < _FEWEST_CLASSES:
        return {}
    return bca_intervals(
        class_statistics(counts, result, eps, threshold),
        counts.classes.size,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def paired_intervals(
    base: tuple[PairCounts, Consistency, float],
    other: tuple[PairCounts, Consistency, float],
    *,
    eps: float,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Intervals for what the second model has more than the first, both measured on the same classes.

    Each resample draws the same classes for both, so that what makes a class hard for either model cancels out. The
    rest is as in `class_intervals`.

    Args:
        base: counts, consistency and the threshold where FAR and FRR are meant, of the first model.
        other: the same of the second, over the same classes in the same order.
        eps: share of classes in ε-OPIS.
        confidence: in (0, 1).
        resamples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        For each quantity of `class_intervals` that both have, the ``(low, high)`` of other minus base.

    Raises:
        ValueError: the classes differ.
    """
    if not np.array_equal(base[0].classes, other[0].classes):
        raise ValueError("paired intervals need the same classes in both counts")
    of_base = class_statistics(base[0], base[1], eps, base[2])
    of_other = class_statistics(other[0], other[1], eps, other[2])

    def differences(drawn: np.ndarray) -> dict[str, np.ndarray]:
        first, second = of_base(drawn), of_other(drawn)
        return {name: _minus(second[name], first[name]) for name in first}

    if base[0].classes.size < _FEWEST_CLASSES:
        return {}
    return bca_intervals(differences, base[0].classes.size, confidence=confidence, resamples=resamples, seed=seed)


def class_statistics(counts: PairCounts, result: Consistency, eps: float, threshold: float) -> Statistics:
    """The audited quantities as functions of how often each class was drawn, ``(r, K)`` → ``(r,)`` each."""
    column = counts.column(threshold)
    hits, has_positive = hits_at_1(counts)
    size = counts.classes.size
    class_hits = np.bincount(counts.codes[hits & has_positive], minlength=size).astype(float)
    class_queries = np.bincount(counts.codes[has_positive], minlength=size).astype(float)
    false_accepts = counts.negatives_accepted[:, column].astype(float)
    negatives = counts.negatives.astype(float)
    true_accepts = counts.positives_accepted[:, column].astype(float)
    positives = counts.positives.astype(float)

    columns = _columns_around_eer(counts)
    false_curve = counts.negatives_accepted[:, columns].astype(float)
    true_curve = counts.positives_accepted[:, columns].astype(float)

    worst_first = np.argsort(result.class_utility[result.defined], kind="stable")
    classes = result.defined[worst_first]
    curves = result.curves[worst_first]
    squares = np.square(curves) @ result.weights

    def statistics(drawn: np.ndarray) -> dict[str, np.ndarray]:
        weights = drawn[:, classes].astype(float)
        n = weights.sum(axis=1)
        n[n == 0] = np.nan
        mean = weights @ curves / n[:, None]
        n_worst = np.maximum(np.ceil(eps * n - 1e-9), 1)
        before = np.cumsum(weights, axis=1) - weights
        of_worst = np.clip(n_worst[:, None] - before, 0, weights)
        worst = of_worst @ curves / n_worst[:, None]
        excess = drawn - 1.0
        far_curve = _ratio(
            np.maximum(false_curve.sum(axis=0) / 2 + excess @ false_curve, 0),
            (negatives.sum() / 2 + excess @ negatives)[:, None],
        )
        return {
            "opis": weights @ squares / n - np.square(mean) @ result.weights,
            "eps_opis": np.square(worst - mean) @ result.weights,
            "recall_at_1": _ratio(drawn @ class_hits, drawn @ class_queries),
            "far": _ratio(
                np.maximum(false_accepts.sum() / 2 + excess @ false_accepts, 0),
                negatives.sum() / 2 + excess @ negatives,
            ),
            "frr": 1.0 - _ratio(drawn @ true_accepts, drawn @ positives),
            "eer": _crossing(far_curve, 1.0 - _ratio(drawn @ true_curve, (drawn @ positives)[:, None])),
        }

    return statistics


def _columns_around_eer(counts: PairCounts) -> np.ndarray:
    """Some of the class thresholds if the pooled FAR and FRR meet among them, else none; few where K is large."""
    far = counts.negatives_accepted.sum(axis=0) / max(int(counts.negatives.sum()), 1)
    frr = 1.0 - counts.positives_accepted.sum(axis=0) / max(int(counts.positives.sum()), 1)
    if not ((far > frr).any() and (far <= frr).any()):
        return np.empty(0, dtype=np.int64)
    most = int(np.clip(_CHUNK_CELLS // counts.classes.size, 32, _EER_COLUMNS))
    return np.unique(np.linspace(0, counts.thresholds.size - 1, most).astype(np.int64))


def bca_intervals(
    statistics: Statistics, n_classes: int, *, confidence: float, resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """BCa intervals of statistics of class weights (Efron, JASA 82, 1987).

    Args:
        statistics: maps weights ``(r, K)`` to named values ``(r,)``; weights of 1 give the estimates themselves.
        n_classes: K.
        confidence: in (0, 1).
        resamples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        For each name its ``(low, high)``; both are the estimate where no resample differs from it. A statistic that
        is infinite in any resample has no interval, and resamples in which it is NaN are left out.
    """
    rng = np.random.default_rng(seed)
    parts = min(n_classes, _JACKKNIFE_PARTS)
    part_of = rng.permutation(n_classes) % parts
    estimate = statistics(np.ones((1, n_classes)))
    rows = max(1, _CHUNK_CELLS // n_classes)
    drawn = [statistics(_draw(rng, min(rows, resamples - at), n_classes)) for at in range(0, resamples, rows)]
    left_out = [
        statistics((part_of != np.arange(at, min(at + rows, parts))[:, None]).astype(float))
        for at in range(0, parts, rows)
    ]
    alpha = (1 - confidence) / 2
    intervals = {}
    for name, value in estimate.items():
        sample, jackknife = (np.concatenate([each[name] for each in part]) for part in (drawn, left_out))
        if np.isinf(sample).any() or np.isinf(jackknife).any():
            continue
        sample, jackknife = sample[~np.isnan(sample)], jackknife[~np.isnan(jackknife)]
        if not sample.size or not jackknife.size:
            intervals[name] = (float(value[0]), float(value[0]))
            continue
        influence = jackknife.mean() - jackknife
        spread = np.square(influence).sum() ** 1.5
        acceleration = float(np.power(influence, 3).sum() / (6 * spread)) if spread > 0 else 0.0
        below = (np.count_nonzero(sample < value[0]) + np.count_nonzero(sample <= value[0])) / (2 * sample.size)
        bias = float(ndtri(np.clip(below, 1 / sample.size, 1 - 1 / sample.size)))
        levels = []
        for level in (alpha, 1 - alpha):
            z = bias + float(ndtri(level))
            levels.append(float(ndtr(bias + z / max(1 - acceleration * z, 1e-3))))
        low, high = np.quantile(sample, levels)
        intervals[name] = (float(low), float(high))
    return intervals


def _draw(rng: np.random.Generator, rows: int, n_classes: int) -> np.ndarray:
    """How often each class is drawn in each of ``rows`` resamples, ``(rows, K)``."""
    picks = rng.integers(0, n_classes, (rows, n_classes))
    picks += np.arange(rows)[:, None] * n_classes
    return np.bincount(picks.ravel(), minlength=rows * n_classes).reshape(rows, n_classes).astype(float)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN where a resample has nothing to take a share of."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _minus(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The difference; infinite where either is."""
    known = np.isfinite(above) & np.isfinite(below)
    unknown = np.where(np.isnan(above) | np.isnan(below), np.nan, np.inf)
    return np.subtract(above, below, out=unknown, where=known)


def _crossing(far: np.ndarray, frr: np.ndarray) -> np.ndarray:
    """The rate at which FAR and FRR meet, ``(r, T)`` → ``(r,)``; infinite where that is not at any of the columns."""
    if not far.shape[1]:
        return np.full(len(far), np.inf)
    gap = far - frr
    after = np.argmax(gap <= 0, axis=1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(gap))
    above, below = gap[rows, before], gap[rows, after]
    meets = (above > 0) & (below <= 0)
    share = np.divide(above, above - below, out=np.zeros_like(above), where=meets)
    found = np.where(meets, far[rows, before] + share * (far[rows, after] - far[rows, before]), np.inf)
    return np.where(np.isnan(gap).any(axis=1), np.nan, found)
