"""P(match | score): fitted as scikit-learn does, moved by Bayes' rule, judged on other classes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from calibrated import made
from scipy.special import expit, logit
from scipy.stats import norm

import reference
from evenmatch.calibration import (
    METHODS,
    ScoreCalibrator,
    fit_probability,
    judge_by_class,
    judge_by_group,
    judge_probability,
    judging_thresholds,
)
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import PairCounts, count_pairs
from evenmatch.report import reliability

COUNTS = count_pairs(made(k=80, each=10, spread=0.8, groups=np.arange(800) % 3), thresholds=())
POINTS = np.linspace(-0.6, 0.95, 200)
ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("EVENMATCH_DATA", ROOT.parent / "shared" / "data")) / "clinc150_minilm.npz"


def gaussian(n: int = 10**12) -> PairCounts:
    """Pairs whose scores are normal with equal spread: P(match | score) is logistic, and known."""
    from dataclasses import replace

    middle = COUNTS.grid.thresholds + COUNTS.grid.step / 2
    pooled = [np.rint(n * COUNTS.grid.step * norm.pdf(middle, m, 0.12)).astype(np.int64) for m in (0.45, 0.05)]
    return replace(COUNTS, pooled_positives=pooled[0], pooled_negatives=10 * pooled[1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prior", [0.5, 0.03])
def test_a_known_probability_is_found_at_any_prior(method, prior):
    truth = expit((POINTS - 0.25) * 0.4 / 0.12**2 + logit(prior))
    found = fit_probability(gaussian(), method, prior)(POINTS)
    near = np.abs(truth - 0.5) < 0.49
    np.testing.assert_allclose(found[near], truth[near], atol={"isotonic": 0.02, "beta": 0.06}.get(method, 0.01))


@pytest.mark.parametrize("method", METHODS)
def test_another_prior_is_exactly_bayes_rule(method):
    calibrator = fit_probability(COUNTS, method, prior=0.2)
    before, after = calibrator(POINTS), calibrator.with_prior(0.01)(POINTS)
    # posterior ∝ prior × likelihood, with the likelihood ratio that the first prior implies
    ratio = before / (1 - before) * (0.8 / 0.2)
    np.testing.assert_allclose(after, 0.01 * ratio / (0.01 * ratio + 0.99), rtol=1e-9)
    np.testing.assert_allclose(calibrator.with_prior(0.01).with_prior(0.2)(POINTS), before, rtol=1e-9)


@pytest.mark.parametrize("prior", [0.3, 0.02, 1e-6])
def test_isotonic_fitted_at_another_prior_is_the_one_moved_there(prior):
    scores = np.linspace(-1, 1, 500)
    np.testing.assert_allclose(
        fit_probability(COUNTS, prior=prior)(scores), fit_probability(COUNTS).with_prior(prior)(scores), rtol=1e-9
    )


def test_isotonic_finds_the_least_likely_pair_less_likely_than_the_prior():
    assert fit_probability(COUNTS, prior=1e-6)(-1.0) < 1e-7


def test_platt_is_the_logistic_regression_of_every_pair():
    from sklearn.linear_model import LogisticRegression

    data = made(k=20, each=5)
    positive, negative = reference.pair_scores(reference.scores(data.vectors), data.labels)
    x, y = np.concatenate([positive, negative])[:, None], np.repeat([1, 0], [positive.size, negative.size])
    model = LogisticRegression(C=1e9, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(x, y)
    ours = fit_probability(count_pairs(data), "platt")
    assert ours.coefficients == pytest.approx((model.coef_[0, 0], model.intercept_[0]), rel=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_rise_with_the_score_and_stay_inside(method):
    found = fit_probability(COUNTS, method)(np.linspace(-1, 1, 5000))
    assert (np.diff(found) >= -1e-12).all()
    assert found.min() > 0
    assert found.max() < 1


def test_judging_is_what_it_says_on_raw_pairs():
    data = made(k=15, each=6, seed=5)
    counts = count_pairs(data)
    calibrator = fit_probability(COUNTS, "platt", prior=0.3)
    judged = judge_probability(calibrator, counts)
    positive, negative = reference.pair_scores(reference.scores(data.vectors), data.labels)
    p, y = calibrator(np.concatenate([positive, negative])), np.repeat([1.0, 0.0], [positive.size, negative.size])
    w = np.where(y == 1, 0.3 / positive.size, 0.7 / negative.size)
    bins = np.minimum((p * 15).astype(int), 14)
    ece = sum(abs((w * (y - p))[bins == b].sum()) for b in range(15))
    assert judged.ece == pytest.approx(ece, abs=1e-3)
    assert judged.brier == pytest.approx(w @ (p - y) ** 2, abs=1e-4)
    assert judged.log_loss == pytest.approx(-w @ np.log(np.where(y == 1, p, 1 - p)), abs=1e-3)
    assert judged.share.sum() == pytest.approx(1)


def test_classes_and_groups_are_judged_by_their_own_pairs():
    calibrator = fit_probability(COUNTS, "beta", prior=0.5)
    data = made(k=25, each=8, seed=3, groups=np.arange(200) % 3)
    counts = count_pairs(data, thresholds=judging_thresholds(calibrator, COUNTS))
    classes, groups = judge_by_class(calibrator, counts), judge_by_group(calibrator, counts)
    assert len(classes) == 25
    assert (np.diff(classes.ece) <= 0).all()
    label = classes.index[0]
    S, same = reference.scores(data.vectors), np.equal.outer(data.labels, data.labels)
    own = data.labels == label
    pair = np.triu(own[:, None] | own[None, :], 1)
    p, y = calibrator(S[pair]), same[pair]
    w = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
    assert classes.brier[label] == pytest.approx(w @ (p - y) ** 2, abs=2e-3)
    assert sorted(groups.index) == [0, 1, 2]
    assert (groups.ece < classes.ece.iloc[0]).all()
    with pytest.raises(InputError, match="judging_thresholds"):
        judge_by_class(calibrator, count_pairs(data, far=(), thresholds=[0.5]))


@pytest.mark.parametrize(
    ("options", "said"), [({"method": "sigmoid"}, "is unknown"), ({"prior": 0.0}, "between 0 and 1")]
)
def test_bad_arguments_are_named(options, said):
    with pytest.raises(InputError, match=said):
        fit_probability(COUNTS, **options)


def test_scores_that_fall_with_similarity_are_refused():
    from dataclasses import replace

    swapped = replace(COUNTS, pooled_positives=COUNTS.pooled_negatives, pooled_negatives=COUNTS.pooled_positives)
    with pytest.raises(InputError, match="matches do not score higher"):
        fit_probability(swapped, "platt")
    assert np.ptp(fit_probability(swapped, "isotonic")(POINTS)) < 0.5


def test_the_reliability_diagram_draws_the_judgement():
    judged = judge_probability(fit_probability(COUNTS, "platt", prior=0.5), COUNTS)
    axes = reliability(judged)
    drawn = axes.get_lines()[1].get_ydata()
    np.testing.assert_allclose(drawn, judged.observed[judged.share > 0])


def test_a_calibrator_is_plain_data():
    from dataclasses import asdict

    calibrator = fit_probability(COUNTS, "isotonic")
    assert ScoreCalibrator(**asdict(calibrator)) == calibrator
    assert len(calibrator.knot_scores) < 400


@pytest.mark.data
@pytest.mark.skipif(not REAL.is_file(), reason="the real data are not here")
@pytest.mark.parametrize("method", ["isotonic", "beta"])
def test_unseen_intents_are_calibrated_to_two_percent(method):
    with np.load(REAL, allow_pickle=False) as file:
        x, labels = file["embeddings"][::3], file["labels"][::3]
    names = np.random.default_rng(0).permutation(np.unique(labels))
    fit, test = (np.isin(labels, part) for part in (names[:75], names[75:]))
    calibrator = fit_probability(count_pairs(EmbeddingSet.from_arrays(x[fit], labels[fit])), method)
    assert judge_probability(calibrator, count_pairs(EmbeddingSet.from_arrays(x[test], labels[test]))).ece <= 0.02
