"""What the samples of a class add to the spread of the utilities; the derivation is in docs/debiased-opis.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenmatch.measures._consistency import Consistency, range_weights
from evenmatch.measures._expansion import Expansion, centred
from evenmatch.pairs import PairCounts, SampleScatter

__all__ = ["SamplingNoise", "noise_thresholds", "sampling_noise"]

_POINTS = 33
#: two disjoint pairs need four samples
_FEWEST_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class SamplingNoise:
    """What the samples at hand add to the spread of the utilities, averaged over the calibration range.

    Attributes:
        thresholds: where it was estimated, ``(T,)``, from one end of the range to the other.
        variance: what it adds to each class's squared deviation, linear in TAR and TNR, ``(K,)``; NaN for classes of
            fewer than 4 samples.
        curvature: what it adds to each class's terms of third and fourth order, ``(K,)``, NaN there, too.
        reliability: the variance of the classes without noise as a share of that with it, in [0, 1].
        trust: the same variance in units of its standard error were all classes alike, in [0, 1]: how far it shows
            that there is a spread at all.
    """

    thresholds: np.ndarray
    variance: np.ndarray
    curvature: np.ndarray
    reliability: float
    trust: float


def noise_thresholds(counts: PairCounts, result: Consistency) -> np.ndarray:
    """Up to 33 of the counted grid thresholds of the calibration range, about equally spaced, its ends among them."""
    grid = counts.grid
    positions = (result.thresholds - grid.low) / grid.step
    own = result.thresholds[np.abs(positions - np.round(positions)) <= 1e-6]
    wanted = np.linspace(own[0], own[-1], _POINTS)
    above = np.clip(np.searchsorted(own, wanted), 1, own.size - 1)
    return np.unique(np.where(wanted - own[above - 1] < own[above] - wanted, own[above - 1], own[above]))


def sampling_noise(counts: PairCounts, scatter: SampleScatter, *, beta: float = 1.0) -> SamplingNoise:
    """How much of the spread of the utilities is noise of the samples at hand.

    The variance of a class's TAR is estimated without bias from all pairs of disjoint pairs, which are independent, as
    is its covariance with the TNR; the closed forms are the mean over all splits of the class. Higher orders take the
    accepted pairs of a class for beta-binomial (Skellam, Journal of the Royal Statistical Society B 10, 1948).

    Args:
        counts: counts of pairs within one set.
        scatter: of the same embeddings, at `noise_thresholds`.
        beta: weight of TAR in the utility.
    """
    classes = np.flatnonzero((scatter.taken >= _FEWEST_SAMPLES) & (counts.positives > 0) & (counts.negatives > 0))
    variance, curvature = np.full(counts.classes.size, np.nan), np.full(counts.classes.size, np.nan)
    if classes.size < 2:
        return SamplingNoise(scatter.thresholds, variance, curvature, 0.0, 0.0)
    at, weights = Expansion.of(counts, scatter.thresholds, classes, beta), range_weights(scatter.thresholds)
    n = np.bincount(counts.codes, minlength=counts.classes.size)[classes, None].astype(float)
    one, two = _pair_components(scatter, classes)
    tar = (4 * (n - 2) * one + 2 * two) / (n * (n - 1))
    tnr, both = _rejection_noise(scatter, classes, n)

    def linear(at: Expansion, tar: np.ndarray, both: np.ndarray, tnr: np.ndarray) -> np.ndarray:
        a, c = at.slopes
        return (a * a * tar + 2 * a * c * both + c * c * tnr) @ weights

    spread = float((np.square(at.linear) @ weights).mean())
    signal = max(spread - (1 - 1 / classes.size) * float(linear(at, tar, both, tnr).mean()), 0.0)
    reliability = min(signal / max(spread, 1e-300), 1.0)
    shared = _shared(one, two)
    binomial = (1 + 2 * (n - 2) * shared) * 2 / (n * (n - 1))  # variance of a TAR as a share of TAR (1 - TAR)
    usual = linear(at, binomial * two.mean(axis=0), both.mean(axis=0), tnr.mean(axis=0))
    error = float(np.sqrt(2 * np.square(usual).sum())) / classes.size
    trust = min(signal / max(error, 1e-300), 1.0)

    at = at.fitted(reliability**0.5)
    variance[classes] = linear(at, tar, both, tnr)
    powers = _powers(at.tar, n, shared)
    third = _third_order(at, tar, both, tnr) - 2 * at.slopes[0] * at.bends[0] * np.square(binomial) * (
        powers[1] - 3 * powers[2] + 2 * powers[3]
    )
    curvature[classes] = (third + np.square(at.squared) - _fourth_order(at, powers)) @ weights
    return SamplingNoise(scatter.thresholds, variance, curvature, reliability, trust)


def _third_order(at: Expansion, tar: np.ndarray, both: np.ndarray, tnr: np.ndarray) -> np.ndarray:
    """What noise of these variances adds to ``2·linear·quadratic`` where it goes with the rates, ``(D, T)``."""
    (a, c), (aa, ac, cc), (x, y) = at.slopes, at.bends, at.deviations
    toward_tar, toward_tnr = tar * a + both * c, both * a + tnr * c
    bent = aa * tar + 2 * ac * both + cc * tnr
    pulled = x * centred(aa * toward_tar + ac * toward_tnr) + y * centred(ac * toward_tar + cc * toward_tnr)
    return at.linear * centred(bent) + 2 * pulled


def _fourth_order(at: Expansion, powers: list[np.ndarray]) -> np.ndarray:
    """Each class's ``squared²`` without noise, ``(D, T)``; only its mean over classes is without bias."""
    m = at.centre[0]
    second = powers[2] - 2 * m * powers[1] + m * m
    fourth = powers[4] - 4 * m * powers[3] + 6 * m**2 * powers[2] - 4 * m**3 * powers[1] + m**4
    mean = np.maximum(second.mean(axis=0), 0)
    return np.square(at.bends[0] / 2) * (fourth - 2 * mean * second + mean**2)


def _shared(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Correlation of two pairs that share a sample, over all classes, ``(T,)``, in [0, 1/2]."""
    above, below = one.mean(axis=0), two.mean(axis=0)
    return np.clip(np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12), 0, 0.5)


def _powers(tar: np.ndarray, n: np.ndarray, shared: np.ndarray) -> list[np.ndarray]:
    """The true TAR to the powers 0 to 4, ``(D, T)`` each, without bias where the accepted pairs are beta-binomial.

    With N pairs of which E are accepted, the mean of E(E-1)…(E-k+1) / N(N-1)…(N-k+1) is the product of
    (τ + jθ) / (1 + jθ) over j < k; θ makes the variance that of pairs which share samples.
    """
    pairs = n * (n - 1) / 2
    accepted = tar * pairs
    correlation = 2 * (n - 2) * shared / (pairs - 1)
    theta = correlation / (1 - correlation)
    powers, falling, coefficients = [np.ones_like(tar)], np.ones_like(tar), [np.ones_like(theta)]
    for k in range(4):
        falling = falling * (accepted - k) / (pairs - k) * (1 + k * theta)
        raised, scaled = [np.zeros_like(theta), *coefficients], [k * theta * c for c in coefficients]
        coefficients = [r + s for r, s in zip(raised, [*scaled, np.zeros_like(theta)], strict=True)]
        lower = sum((c * p for c, p in zip(coefficients[:-1], powers, strict=True)), np.zeros_like(tar))
        powers.append(falling - lower)
    return powers


def _pair_components(scatter: SampleScatter, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of two pairs that share one sample, and variance of a pair, ``(D, T)`` each, without bias.

    Two disjoint pairs are independent, so the mean product over them estimates TAR² without bias (Hoeffding, Annals of
    Mathematical Statistics 19, 1948).
    """
    m = scatter.taken[classes, None].astype(float)
    edges, squares = scatter.accepted[classes], scatter.accepted_squares[classes]
    disjoint = 4 * (edges**2 - squares + edges) / (m * (m - 1) * (m - 2) * (m - 3))
    sharing = (squares - 2 * edges) / (m * (m - 1) * (m - 2))
    return sharing - disjoint, 2 * edges / (m * (m - 1)) - disjoint


def _rejection_noise(scatter: SampleScatter, classes: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the TNR and its covariance with the TAR, ``(D, T)`` each; 0 where no reference is of another class.

    The two random sets of references have independent errors, so the covariance between them is free of these.
    """
    m = scatter.taken[classes, None].astype(float)
    first, second = np.moveaxis(scatter.rejected[classes], -1, 0)
    between = (scatter.rejected_product[classes] - first * second / m) / (m - 1)
    edges, both = scatter.accepted[classes], (first + second) / 2
    disjoint = 2 * (edges * both - scatter.accepted_rejected[classes]) / (m * (m - 1) * (m - 2))
    covariance = 2 * edges / (m * (m - 1)) * both / m - disjoint
    known = np.all(scatter.references[classes] > 0, axis=1, keepdims=True)
    return np.where(known, between / n, 0.0), np.where(known, covariance * m / n, 0.0)
