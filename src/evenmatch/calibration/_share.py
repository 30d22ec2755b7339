"""The share of matches among pairs without labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenmatch.calibration._curves import ScoreCurves
from evenmatch.calibration._neighbour_scores import HALVES, neighbour_scores
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import UnlabeledCounts

__all__ = [
    "MatchShare",
    "classes_of",
    "share_from_curves",
    "share_from_neighbours",
    "spread_on_both_sides",
    "variance_ratio",
]

_LEVELS = (1.0, 3.0, 1 / 3)  # the level of the estimate, and how far it is moved to see whether that matters
_HIGHEST_LEVEL = 1e-3
_ROUNDS = 8
_MOST_SAMPLES = 4096
_SUBSETS = 4
_FEWEST_CLASSES = 10
_NEIGHBOURS = (2, 10)


@dataclass(frozen=True)
class MatchShare:
    """An estimated share of matches among all pairs.

    Attributes:
        value: π, in [0, 1).
        standard_error: from the classes drawn on either side and from the choice of the level.
        separation: TAR − FAR of the calibration data where the share was read off: how well matches stand out.
    """

    value: float
    standard_error: float
    separation: float


def classes_of(share: float, n: int) -> float:
    """How many classes of equal size among n samples give a share of matches, from 2 to n."""
    return float(np.clip(n / (1 + share * (n - 1)), 2, n))


def variance_ratio(classes: int, share: float, n: int) -> tuple[float, float]:
    """By what the variances of FAR and TAR are larger over the new classes than over those calibrated on.

    As in `ClassRate.prediction`: a rate of pairs of classes has a part that grows with the square of the ratio.
    """
    ratio = classes / classes_of(share, n)
    return max(ratio, ratio**2 / 2), ratio


def spread_on_both_sides(curves: ScoreCurves, share: float, n: int) -> np.ndarray:
    """Covariance of the difference between the calibration data's logits and those of the new classes."""
    levels = len(curves.level_thresholds)
    scale = np.repeat(np.sqrt(variance_ratio(curves.classes, share, n)), levels)
    return curves.matrix * (1 + np.outer(scale, scale))


def share_from_curves(curves: ScoreCurves, counts: UnlabeledCounts) -> MatchShare:
    """π from the scores alone: where negatives are rare, what is accepted beyond them must be matches.

    At a threshold t the share accepted is ``A = π·TAR + (1 - π)·FAR``, so that ``π = (A - FAR) / (TAR - FAR)`` with
    the TAR and FAR of the calibration data (the mixture-proportion estimate with known components; Blanchard, Lee and
    Scott, Journal of Machine Learning Research 11, 2010, show that the upper range decides). t is where the FAR is a
    fifth of π, and at most 1e-3.

    Args:
        curves: of the calibration data.
        counts: of the pairs without labels, its thresholds the levels of the curves.
    """
    share, level = 0.0, _HIGHEST_LEVEL
    for _ in range(_ROUNDS):
        share = _read_off(curves, counts, level)[0]
        level = _level(share, max(curves.far[-1], 1e-9))
    share, separation, threshold = _read_off(curves, counts, level)
    others = [_read_off(curves, counts, level * factor)[0] for factor in _LEVELS]
    at = curves.nearest_level(threshold)
    size = len(curves.level_thresholds)
    far, tar = curves.far_at(np.array([threshold]))[0], curves.tar_at(np.array([threshold]))[0]
    spread = spread_on_both_sides(curves, share, counts.n)[np.ix_([at, size + at], [at, size + at])]
    slopes = np.array([(1 - share) * far * (1 - far), share * tar * (1 - tar)]) / max(separation, 1e-3)
    variance = slopes @ spread @ slopes
    accepted = _accepted(counts, threshold)
    relative = counts.covariance[at, at] / max(float(counts.accepted[:, at].mean()) / (counts.n - 1), 1e-12) ** 2
    variance += relative * (accepted / max(separation, 1e-3)) ** 2
    return MatchShare(share, math.sqrt(variance + float(np.var(others, ddof=1))), separation)


def share_from_neighbours(
    source: EmbeddingSet, target: EmbeddingSet, metric: str, first: float, seed: int = 0
) -> MatchShare:
    """π from scores between samples averaged with their nearest neighbours.

    Nearest neighbours are mostly matches, so averaging each embedding with its nearest (query expansion, Chum et al.,
    ICCV 2007), a quarter of the samples that a class has but 2 to 10, moves the samples of a class together and leaves
    little overlap: the share is then read off as in `share_from_curves`. How much averaging does depends on how many
    samples there are, so the calibration data are thinned to as many: by classes or by samples, whichever comes nearer
    to the first guess of the share.

    Args:
        source: the labelled calibration data.
        target: embeddings without labels of interest; at most 4,096 of them are looked at.
        metric: of the scores.
        first: a first guess of the share.
        seed: of the thinning.
    """
    rng = np.random.default_rng(seed)
    n = min(target.n, source.n, _MOST_SAMPLES)
    rows = np.arange(target.n) if target.n == n else np.sort(rng.choice(target.n, n, replace=False))
    sizes = np.bincount(source.codes)
    natural = float((sizes * (sizes - 1.0)).sum() / (source.n * (source.n - 1.0)))
    kept = float(np.clip(target.n / source.n, _FEWEST_CLASSES / sizes.size, 1.0))
    if math.log(max(first, 1 / n) * kept / natural) < math.log(kept) / 2:
        kept = 1.0
    natural /= kept
    neighbours = int(np.clip(round((1 + natural * (n - 1)) / 4), *_NEIGHBOURS))
    seen = neighbour_scores(target.subset(rows), neighbours, None, metric)
    accepted = seen.accepted(None)
    subsets = [
        neighbour_scores(
            source.subset(_thinned(rng, source.codes, sizes.size, kept, n)), neighbours, rng, metric, seen.low
        )
        for _ in range(1 if kept == 1 and n == source.n else _SUBSETS)
    ]
    false, true = (
        np.mean([getattr(each, name)() for each in subsets], axis=0) for name in ("false_accepts", "true_accepts")
    )
    level = _level(natural, 20 / (n * (n - 1)))
    values = [_at_level(accepted, false, true, level * factor) for factor in _LEVELS]
    spread = []
    for each in subsets:
        whole = _at_level(accepted, each.false_accepts(), each.true_accepts(), level)[0]
        for half in range(HALVES):
            part = _at_level(accepted, each.false_accepts(half), each.true_accepts(half), level)[0]
            spread.append((part - whole) ** 2)
    # a half differs from the whole as another draw of all the classes does; the classes of the target add as much
    # again, and averaging subsets takes off what they do not share
    variance = float(np.mean(spread)) * (1 + kept) + float(np.var([value[0] for value in values], ddof=1))
    return MatchShare(values[0][0], math.sqrt(variance), values[0][1])


def _level(share: float, lowest: float) -> float:
    return float(np.clip(share / 5, min(lowest, _HIGHEST_LEVEL), _HIGHEST_LEVEL))


def _accepted(counts: UnlabeledCounts, threshold: float) -> float:
    return float(counts.shares[counts.grid.index_at_or_above(threshold)])


def _read_off(curves: ScoreCurves, counts: UnlabeledCounts, level: float) -> tuple[float, float, float]:
    """π, TAR - FAR and the threshold where the calibration data have a FAR."""
    threshold = curves.threshold_at(level)
    # on the grid of the new data, so that both sides are taken at the very same threshold
    index = min(counts.grid.index_at_or_above(threshold), counts.grid.size - 1)
    threshold = float(counts.grid.threshold(index))
    far, tar = curves.far_at(np.array([threshold]))[0], curves.tar_at(np.array([threshold]))[0]
    separation = float(tar - far)
    return _share(float(counts.shares[index]), float(far), separation), separation, threshold


def _at_level(accepted: np.ndarray, false: np.ndarray, true: np.ndarray, level: float) -> tuple[float, float]:
    """π and TAR - FAR at the lowest threshold whose FAR is at most the level."""
    index = int(np.argmax(false <= level))
    separation = float(true[index] - false[index])
    return _share(float(accepted[index]), float(false[index]), separation), separation


def _share(accepted: float, far: float, separation: float) -> float:
    return float(np.clip((accepted - far) / max(separation, 1e-3), 0.0, 0.999))


def _thinned(rng: np.random.Generator, codes: np.ndarray, n_classes: int, kept: float, n: int) -> np.ndarray:
    """Rows of a share of the classes, as many as ``n`` of them."""
    chosen = rng.permutation(n_classes)[: max(math.ceil(kept * n_classes), 2)]
    rows = np.flatnonzero(np.isin(codes, chosen))
    return rows if rows.size <= n else np.sort(rng.choice(rows, n, replace=False))
