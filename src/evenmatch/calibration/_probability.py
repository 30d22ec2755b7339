"""Scores as probabilities: P(match | score) at a stated share of matches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from evenmatch.errors import InputError
from evenmatch.measures import equal_error_rate
from evenmatch.pairs import PairCounts

__all__ = ["METHODS", "ScoreCalibrator", "fit_probability"]

METHODS = ("isotonic", "beta", "platt", "temperature")

_NO_PENALTY = 1e9
_MOST = 30.0  # log-odds at which a float64 can still tell a probability from 1
_KNOT_TOLERANCE = 0.05  # of log-odds: 1.25% of a probability at most, and that only near 1/2
_EDGE = 1e-5  # keeps log u and log(1 - u) finite at the ends of the score range


@dataclass(frozen=True)
class ScoreCalibrator:
    """P(match | score) at a match prior; call it with scores of any shape.

    Attributes:
        method: one of ``METHODS``.
        fitted_prior: share of matches for which the coefficients or knots hold.
        prior: share of matches among the pairs that will be compared; `with_prior` gives another.
        low, span: the score range, ``u = (score - low) / span`` for ``"beta"``.
        coefficients: ``(slope, intercept)`` of the log-odds; for ``"beta"`` ``(a, b, c)`` of
            ``c + a·log u - b·log(1 - u)``; empty for ``"isotonic"``.
        knot_scores, knot_log_odds: ``"isotonic"``, whose log-odds are linear between them and constant outside.
    """

    method: str
    fitted_prior: float
    prior: float
    low: float
    span: float
    coefficients: tuple[float, ...] = ()
    knot_scores: tuple[float, ...] = ()
    knot_log_odds: tuple[float, ...] = ()

    def __call__(self, scores: Any) -> np.ndarray:
        """Probabilities in [0, 1] of the shape of the scores.

        A change of prior from π to π' multiplies the odds of a match by ``π'(1-π) / (π(1-π'))`` (Bayes); the densities
        of the scores of matches and of non-matches stay as they were.
        """
        values = np.asarray(scores, dtype=np.float64)
        if self.method == "isotonic":
            odds = np.interp(values, self.knot_scores, self.knot_log_odds)
        elif self.method == "beta":
            a, b, c = self.coefficients
            u = np.clip((values - self.low) / self.span, _EDGE, 1 - _EDGE)
            odds = c + a * np.log(u) - b * np.log1p(-u)
        else:
            slope, intercept = self.coefficients
            odds = slope * values + intercept
        odds = np.clip(odds, -_MOST, _MOST)
        return expit(odds + logit(self.prior) - logit(self.fitted_prior))

    def with_prior(self, prior: float) -> ScoreCalibrator:
        """The same for another share of matches among the compared pairs.

        Raises:
            InputError: the prior is not between 0 and 1.
        """
        return replace(self, prior=_checked(prior))


def fit_probability(counts: PairCounts, method: str = "isotonic", prior: float | None = None) -> ScoreCalibrator:
    """Fit P(match | score) on every pair of some classes; judge it on others with `judge_probability`.

    scikit-learn fits; what it is given are the bins of the pooled histograms (5e-5 wide in cosine), each twice,
    weighted by its positive and by its negative pairs. That is every pair of the classes, none sampled, whatever their
    number. For ``"platt"`` and ``"beta"`` the weights are scaled so that matches have the share ``prior``; the other
    two are moved there by Bayes' rule.

    Methods: ``"platt"``, ``σ(a·s + b)`` (Platt, Advances in Large Margin Classifiers, 1999); ``"isotonic"`` (Zadrozny
    and Elkan, KDD 2002); ``"beta"``, ``σ(c + a·log u - b·log(1-u))`` with u the score in its range and a, b ≥ 0 (Kull,
    Silva Filho and Flach, AISTATS 2017); ``"temperature"``, ``σ((s - s₀)/T)`` at equal priors (Guo et al., ICML 2017),
    where s₀, the score without evidence for either side, is the threshold of the equal error rate.

    Args:
        counts: counts of the classes to fit on.
        method: one of the four.
        prior: share of matches among the pairs that will be compared, in (0, 1); by default that of the data.

    Raises:
        InputError: the method is unknown, the prior is no share, or matches do not score higher than non-matches.

    Examples:
        >>> from evenmatch.embeddings import EmbeddingSet
        >>> from evenmatch.pairs import count_pairs
        >>> x = np.random.default_rng(0).normal(size=(20, 8))[np.arange(60) // 3]
        >>> x = x + 0.5 * np.random.default_rng(1).normal(size=x.shape)
        >>> counts = count_pairs(EmbeddingSet.from_arrays(x, [i // 3 for i in range(60)]))
        >>> probability = fit_probability(counts, "platt", prior=0.5)
        >>> bool(probability(0.9) > 0.9 > 0.1 > probability(0.0))
        True
    """
    if method not in METHODS:
        raise InputError(f"method {method!r} is unknown; use one of {', '.join(map(repr, METHODS))}")
    natural = counts.n_positives / (counts.n_positives + counts.n_negatives)
    wanted = natural if prior is None else _checked(prior)
    fitted = {"temperature": 0.5, "isotonic": natural}.get(method, wanted)
    grid = counts.grid
    kept = np.flatnonzero((counts.pooled_positives > 0) | (counts.pooled_negatives > 0))
    scores = grid.low + (kept + 0.5) * grid.step
    weights = np.concatenate(
        [
            counts.pooled_positives[kept] * (fitted / counts.n_positives),
            counts.pooled_negatives[kept] * ((1 - fitted) / counts.n_negatives),
        ]
    )
    base = ScoreCalibrator(method, fitted, wanted, grid.low, grid.size * grid.step)
    if method == "isotonic":
        return _isotonic(base, scores, weights, counts.n_positives + counts.n_negatives)
    if method == "beta":
        return _beta(base, scores, weights)
    if method == "temperature":
        origin = equal_error_rate(counts)[1]
        (slope,), _ = _logistic((scores - origin)[:, None], weights, intercept=False)
        intercept = -slope * origin
    else:
        (slope,), intercept = _logistic(scores[:, None], weights)
    if slope <= 0:
        raise InputError(
            "matches do not score higher than other pairs here, so no probability rises with the score; "
            "check the labels and the metric"
        )
    return replace(base, coefficients=(float(slope), float(intercept)))


def _isotonic(base: ScoreCalibrator, scores: np.ndarray, weights: np.ndarray, n_pairs: int) -> ScoreCalibrator:
    from sklearn.isotonic import IsotonicRegression

    positive, negative = np.split(weights, 2)
    total = positive + negative
    # a bin of one kind only is no proof: probabilities stay half a pair away from 0 and 1
    floor = min(0.5 / n_pairs, 0.25)
    model = IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip")
    model.fit(scores, positive / total, sample_weight=total)
    log_odds = logit(np.clip(model.y_thresholds_, floor, 1 - floor))
    kept = _fewer(np.asarray(model.X_thresholds_), log_odds)
    return replace(
        base,
        knot_scores=tuple(round(float(score), 9) for score in model.X_thresholds_[kept]),
        knot_log_odds=tuple(round(float(value), 4) for value in log_odds[kept]),
    )


def _fewer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Knots enough to stay within the tolerance of every knot (Ramer, 1972; Douglas and Peucker, 1973)."""
    kept = np.zeros(x.size, dtype=bool)
    kept[[0, -1]] = True
    spans = [(0, x.size - 1)]
    while spans:
        start, stop = spans.pop()
        inner = slice(start + 1, stop)
        off = np.abs(np.interp(x[inner], x[[start, stop]], y[[start, stop]]) - y[inner])
        if off.size and off.max() > _KNOT_TOLERANCE:
            worst = start + 1 + int(np.argmax(off))
            kept[worst] = True
            spans += [(start, worst), (worst, stop)]
    return np.flatnonzero(kept)


def _beta(base: ScoreCalibrator, scores: np.ndarray, weights: np.ndarray) -> ScoreCalibrator:
    u = np.clip((scores - base.low) / base.span, _EDGE, 1 - _EDGE)
    features = np.column_stack([np.log(u), -np.log1p(-u)])
    (a, b), c = _logistic(features, weights)
    if min(a, b) < 0:  # the map must rise: the term that falls is left out
        keep = 1 if a < b else 0
        (only,), c = _logistic(features[:, [keep]], weights)
        a, b = (max(only, 0.0), 0.0) if keep == 0 else (0.0, max(only, 0.0))
    return replace(base, coefficients=(float(a), float(b), float(c)))


def _logistic(features: np.ndarray, weights: np.ndarray, intercept: bool = True) -> tuple[np.ndarray, float]:
    """Weighted logistic regression of matches (first half of the weights) against the rest, unpenalised in effect."""
    from sklearn.linear_model import LogisticRegression

    scale = np.maximum(features.std(axis=0), 1e-12)
    shift = features.mean(axis=0) if intercept else np.zeros(features.shape[1])
    z = (features - shift) / scale
    used = weights > 0
    model = LogisticRegression(
        C=_NO_PENALTY, solver="newton-cholesky", fit_intercept=intercept, max_iter=1000, tol=1e-9
    )
    target = np.repeat([1, 0], len(z))
    # mean weight 1, so that the solver's tolerance means what it does without weights
    model.fit(np.tile(z, (2, 1))[used], target[used], sample_weight=weights[used] * (np.count_nonzero(used)))
    slopes = model.coef_[0] / scale
    return slopes, float(np.ravel(model.intercept_)[0] - slopes @ shift) if intercept else 0.0


def _checked(prior: float) -> float:
    if not 0 < prior < 1:
        raise InputError(f"the match prior is {prior:g}; give the share of matches among the pairs, between 0 and 1")
    return float(prior)
