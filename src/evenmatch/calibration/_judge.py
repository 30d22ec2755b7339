"""How good probabilities are, on classes that they were not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evenmatch.calibration._probability import ScoreCalibrator
from evenmatch.errors import InputError
from evenmatch.pairs import PairCounts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ProbabilityJudgement", "judge_by_class", "judge_by_group", "judge_probability", "judging_thresholds"]

_BINS = 15
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class ProbabilityJudgement:
    """How well P(match | score) fits pairs whose truth is known, at the calibrator's prior.

    Attributes:
        prior: share of matches to which the pairs were weighted.
        ece: expected calibration error over 15 bins of equal width, in [0, 1] (Guo et al., ICML 2017).
        brier: mean squared error of the probability.
        log_loss: mean negative log-likelihood, in nats.
        predicted, observed: mean probability and share of matches in each bin, ``(15,)``, NaN for an empty one.
        share: share of the pairs in each bin, ``(15,)``.
    """

    prior: float
    ece: float
    brier: float
    log_loss: float
    predicted: np.ndarray
    observed: np.ndarray
    share: np.ndarray


def judge_probability(calibrator: ScoreCalibrator, counts: PairCounts) -> ProbabilityJudgement:
    """Judge probabilities on every pair of the counted classes, weighted to the calibrator's prior.

    A natural prior is near 0, where nearly all pairs are easy non-matches and any calibrator looks good; judge at
    ``with_prior(0.5)`` as well.

    Args:
        calibrator: from `fit_probability`.
        counts: counts of classes that it was not fitted on.

    Examples:
        >>> from evenmatch.calibration import fit_probability
        >>> from evenmatch.embeddings import EmbeddingSet
        >>> from evenmatch.pairs import count_pairs
        >>> x = np.random.default_rng(0).normal(size=(20, 8))[np.arange(60) // 3]
        >>> x = x + 0.5 * np.random.default_rng(1).normal(size=x.shape)
        >>> counts = count_pairs(EmbeddingSet.from_arrays(x, [i // 3 for i in range(60)]))
        >>> judge_probability(fit_probability(counts), counts).ece < 0.01  # on its own classes
        True
    """
    grid = counts.grid
    probability = calibrator(grid.low + (np.arange(grid.size) + 0.5) * grid.step)
    return _judge(probability, counts.pooled_positives, counts.pooled_negatives, calibrator.prior)


def judging_thresholds(calibrator: ScoreCalibrator, counts: PairCounts) -> list[float]:
    """Class thresholds at which to count for `judge_by_class`: where the probability passes 1%, 2%, …, 99%."""
    rising = calibrator(counts.grid.thresholds)
    steps = np.searchsorted(rising, np.concatenate([[1e-4, 1e-3], np.linspace(0.01, 0.99, 99), [0.999, 0.9999]]))
    return [float(counts.grid.threshold(step)) for step in np.unique(steps) if 0 < step < counts.grid.size]


def judge_by_class(calibrator: ScoreCalibrator, counts: PairCounts) -> pd.DataFrame:
    """One row a class with positive and negative pairs: ``ece``, ``brier`` and ``log_loss``, worst ECE first.

    Between two class thresholds every pair is given the mean probability of all pairs there; count with
    ``thresholds=judging_thresholds(calibrator, counts)`` so that this changes it by about one percent at most.

    Raises:
        InputError: the classes were counted at fewer than 5 thresholds.
    """
    defined = np.flatnonzero((counts.positives > 0) & (counts.negatives > 0))
    positives = _between(counts.positives_accepted[defined], counts.positives[defined])
    negatives = _between(counts.negatives_accepted[defined], counts.negatives[defined])
    return _rows(calibrator, counts, positives, negatives, [counts.classes.tolist()[i] for i in defined], "class")


def judge_by_group(calibrator: ScoreCalibrator, counts: PairCounts) -> pd.DataFrame:
    """The same for each group, over the pairs with an end in it; empty without groups."""
    import pandas as pd

    if counts.groups is None:
        return pd.DataFrame()
    groups = counts.groups

    def touching(matrix: np.ndarray) -> np.ndarray:
        rows = matrix.sum(axis=1)
        if not groups.directed:
            return rows
        return rows + matrix.sum(axis=0) - np.moveaxis(np.diagonal(matrix), -1, 0)

    positives = _between(touching(groups.positives_accepted), touching(groups.positives))
    negatives = _between(touching(groups.negatives_accepted), touching(groups.negatives))
    names = groups.names.tolist()
    kept = [i for i in range(len(names)) if positives[i].sum() and negatives[i].sum()]
    return _rows(calibrator, counts, positives[kept], negatives[kept], [names[i] for i in kept], "group")


def _between(accepted: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Pairs below the first threshold, between each two, and from the last on."""
    edges = np.concatenate([total[:, None], accepted, np.zeros((len(total), 1), dtype=np.int64)], axis=1)
    return -np.diff(edges, axis=1)


def _rows(
    calibrator: ScoreCalibrator,
    counts: PairCounts,
    positives: np.ndarray,
    negatives: np.ndarray,
    names: list[object],
    index: str,
) -> pd.DataFrame:
    import pandas as pd

    if counts.thresholds.size < 5:
        raise InputError(
            f"the classes were counted at {counts.thresholds.size} thresholds; count with "
            "thresholds=judging_thresholds(calibrator, counts)"
        )
    grid = counts.grid
    probability = calibrator(grid.low + (np.arange(grid.size) + 0.5) * grid.step)
    weight = counts.pooled_positives * (calibrator.prior / counts.n_positives)
    weight = weight + counts.pooled_negatives * ((1 - calibrator.prior) / counts.n_negatives)
    edges = np.array([0, *(grid.index_at_or_above(float(t)) for t in counts.thresholds)])
    edges = np.minimum(edges, grid.size - 1)
    mass = np.add.reduceat(weight, edges)
    middle = np.divide(np.add.reduceat(weight * probability, edges), mass, out=probability[edges], where=mass > 0)
    table = []
    for own_positives, own_negatives in zip(positives, negatives, strict=True):
        judged = _judge(middle, own_positives, own_negatives, calibrator.prior)
        table.append({"ece": judged.ece, "brier": judged.brier, "log_loss": judged.log_loss})
    frame = pd.DataFrame(table, index=pd.Index(names, name=index))
    return frame.sort_values("ece", ascending=False, kind="stable")


def _judge(probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray, prior: float) -> ProbabilityJudgement:
    match = positives * (prior / positives.sum())
    other = negatives * ((1 - prior) / negatives.sum())
    both = match + other
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    share, matched, predicted = (
        np.bincount(bins, weights=values, minlength=_BINS) for values in (both, match, both * probability)
    )
    safe = np.where(share > 0, share, np.nan)
    logs = match * np.log(np.maximum(probability, _TINY)) + other * np.log(np.maximum(1 - probability, _TINY))
    return ProbabilityJudgement(
        prior=prior,
        ece=float(np.abs(matched - predicted).sum()),
        brier=float(match @ np.square(1 - probability) + other @ np.square(probability)),
        log_loss=float(-logs.sum()),
        predicted=predicted / safe,
        observed=matched / safe,
        share=share,
    )
