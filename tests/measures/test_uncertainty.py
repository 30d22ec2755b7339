"""Intervals over classes: what they resample is exact where it can be, and they cover what they claim to.

The simulations follow MAPIE's test_theoretical_validity: a population is known, many samples of classes are drawn from
it, and the share of intervals that hold the population's value is counted.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from samples import SAMPLES, Sample, clusters, counts_of
from scipy.stats import bootstrap

from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import (
    Consistency,
    bca_intervals,
    class_intervals,
    consistency,
    equal_error_rate,
    rates_at,
    recall_at_1,
)
from evenmatch.measures._uncertainty import class_statistics
from evenmatch.pairs import PairCounts, count_pairs

NAMES = ["opis", "eps_opis", "recall_at_1", "far", "frr"]


@pytest.fixture(scope="module", params=["cosine", "singletons", "unbalanced", "query and gallery"])
def counted(request) -> tuple[PairCounts, Consistency]:
    counts = SAMPLES[request.param]().count()
    return counts, consistency(counts)


# ---------------------------------------------------------------- what is resampled


def test_weights_of_one_give_the_estimates(counted):
    counts, result = counted
    threshold = result.range[1]
    found = class_statistics(counts, result, 0.1, threshold)(np.ones((2, counts.classes.size)))
    far, frr = rates_at(counts, threshold)
    expected = [result.opis, result.eps_opis, recall_at_1(counts), far, frr]
    assert list(found) == [*NAMES, "eer"]
    for name, value in zip(NAMES, expected, strict=True):
        np.testing.assert_allclose(found[name], [value, value], rtol=1e-10)


def test_weights_are_classes_repeated(counted):
    counts, result = counted
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, counts.classes.size)
    eps = 0.1
    found = class_statistics(counts, result, eps, result.range[1])(weights[None, :].astype(float))

    column = counts.column(result.range[1])
    times = weights[result.defined]
    curves = np.repeat(result.curves, times, axis=0)
    mean = curves.mean(axis=0)
    assert found["opis"][0] == pytest.approx((np.square(curves - mean) @ result.weights).mean(), rel=1e-9)
    order = np.argsort(np.repeat(result.class_utility[result.defined], times), kind="stable")
    worst = curves[order[: math.ceil(eps * len(curves) - 1e-9)]].mean(axis=0)
    assert found["eps_opis"][0] == pytest.approx(np.square(worst - mean) @ result.weights, rel=1e-9)

    positives = np.repeat(counts.positives, weights).sum()
    accepted = np.repeat(counts.positives_accepted[:, column], weights).sum()
    assert found["frr"][0] == pytest.approx(1 - accepted / positives)
    has_positive = np.isfinite(counts.best_positive)
    hits = has_positive & (counts.best_positive > counts.best_negative)
    times = weights[counts.codes]
    assert found["recall_at_1"][0] == pytest.approx(np.repeat(hits, times).sum() / np.repeat(has_positive, times).sum())


@pytest.mark.parametrize("times", [0.0, 1.0, 3.0])
def test_far_of_one_class_repeated_counts_its_pairs_as_often(times):
    # with class 4 drawn w times and every other once, a pair (i, j) is drawn w_i·w_j times: w if 4 is an end of it
    sample = Sample(*clusters(15, 8, seed=11))
    counts = sample.count()
    result = consistency(counts)
    threshold = result.range[1]
    weights = np.ones((1, 15))
    weights[0, 4] = times
    S, codes = sample.scores, counts.codes
    drawn = weights[0][codes][:, None] * weights[0][codes][None, :]
    negative = np.triu(codes[:, None] != codes[None, :])
    expected = (drawn * (threshold <= S))[negative].sum() / drawn[negative].sum()
    found = class_statistics(counts, result, 0.1, threshold)(weights)["far"][0]
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_same_seed_gives_the_same_intervals_and_another_gives_others():
    counts = SAMPLES["cosine"]().count()
    result = consistency(counts)
    first, again, other = (
        class_intervals(counts, result, eps=0.1, threshold=result.range[1], seed=s) for s in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_intervals_hold_the_estimates_and_widen_with_confidence(counted):
    counts, result = counted
    options = {"eps": 0.1, "threshold": result.range[1]}
    narrow = class_intervals(counts, result, confidence=0.5, **options)
    wide = class_intervals(counts, result, confidence=0.99, **options)
    far, frr = rates_at(counts, result.range[1])
    expected = [result.opis, result.eps_opis, recall_at_1(counts), far, frr]
    for name, value in zip(NAMES, expected, strict=True):
        assert wide[name][0] < narrow[name][0] < narrow[name][1] < wide[name][1]
        assert wide[name][0] <= value <= wide[name][1]
        assert all(type(end) is float for end in wide[name])
    for name in ("recall_at_1", "far", "frr"):
        assert 0 <= wide[name][0] <= wide[name][1] <= 1


def test_resamples_are_drawn_in_parts_without_changing_their_number(monkeypatch):
    from evenmatch.measures import _uncertainty

    seen: list[int] = []

    def statistics(weights):
        seen.append(len(weights))
        np.testing.assert_array_equal(weights.sum(axis=1) <= 10, True)
        return {"mean": weights @ np.arange(10.0) / weights.sum(axis=1)}

    monkeypatch.setattr(_uncertainty, "_CHUNK_CELLS", 70)
    low, high = bca_intervals(statistics, 10, confidence=0.9, resamples=100, seed=0)["mean"]
    assert seen == [1, *[7] * 14, 2, 7, 3]  # the estimate, 100 resamples, 10 parts left out
    assert low < 4.5 < high


def test_a_statistic_that_never_changes_has_an_interval_of_no_width():
    found = bca_intervals(lambda w: {"one": np.ones(len(w))}, 12, confidence=0.95, resamples=50, seed=0)
    assert found == {"one": (1.0, 1.0)}


def test_intervals_are_the_bca_ones_of_scipy():
    # skewed values, so that bias and acceleration matter: percentile intervals lie elsewhere
    values = np.random.default_rng(5).exponential(size=60) ** 2

    def mean(weights):
        return {"mean": weights @ values / weights.sum(axis=1)}

    ours = bca_intervals(mean, 60, confidence=0.95, resamples=40_000, seed=0)["mean"]
    rng = np.random.default_rng(1)
    bca, percentile = (
        bootstrap((values,), np.mean, method=method, n_resamples=40_000, rng=rng, batch=4000).confidence_interval
        for method in ("BCa", "percentile")
    )
    width = bca.high - bca.low
    assert ours == pytest.approx(tuple(bca), abs=0.02 * width)
    assert abs(percentile.high - bca.high) > 0.05 * width


def test_a_resample_without_any_genuine_pair_counts_neither_as_zero_nor_as_one():
    # two classes of two among 50 singletons: every eighth resample draws neither of the two
    rng = np.random.default_rng(0)
    x = rng.normal(size=(54, 8))
    x[1], x[3] = x[0] + 1e-3, x[2] + 1e-3
    counts = count_pairs(EmbeddingSet.from_arrays(x, [0, 0, 1, 1, *range(2, 52)]))
    result = consistency(counts)
    assert recall_at_1(counts) == 1
    found = class_intervals(counts, result, eps=0.1, threshold=result.range[1])
    assert found["recall_at_1"] == (1.0, 1.0)
    assert found["frr"] == (0.0, 0.0)


def test_the_eer_has_an_interval_where_the_classes_were_counted_around_it():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(40), 10)
    centres, noise = rng.normal(size=(40, 8))[codes], rng.normal(size=(400, 8))
    for width, inside in ((0.4, True), (1.5, False)):
        counts = count_pairs(EmbeddingSet.from_arrays(centres + width * noise, codes))
        result = consistency(counts)
        eer, threshold = equal_error_rate(counts)
        found = class_intervals(counts, result, eps=0.1, threshold=result.range[1])
        assert ("eer" in found) == inside
        if inside:
            assert found["eer"][0] < eer < found["eer"][1]
            assert result.range[0] < threshold < result.range[1]
            statistics = class_statistics(counts, result, 0.1, threshold=result.range[1])
            assert statistics(np.ones((1, 40)))["eer"][0] == pytest.approx(eer, abs=2e-3)


# ---------------------------------------------------------------- coverage

TRIALS = 200
NOMINAL = 0.95
T = 9
WEIGHTS = np.append(np.append(0.5, np.ones(T - 2)), 0.5) / (T - 1)


def population(rng: np.random.Generator, k: int) -> np.ndarray:
    """Utility curves of k classes, ``(k, T)``: most behave well, some do not, and each in its own way."""
    level, slope = rng.beta(6, 2, k), rng.normal(0, 0.15, k)
    return np.clip(level[:, None] + slope[:, None] * np.linspace(-1, 1, T), 0, 1)


def counts_and_curves(rng: np.random.Generator, k: int) -> tuple[PairCounts, Consistency]:
    """Counts as a pass over k classes of that population would give them, and their curves."""
    sizes = rng.integers(3, 30, k)
    hit_rate, reject_rate = rng.beta(5, 2, k), rng.beta(1, 4, k)
    positives = sizes * (sizes - 1) // 2
    codes = np.repeat(np.arange(k), sizes)
    hits = rng.random(codes.size) < hit_rate[codes]
    counts = replace(
        counts_of([0.5], [0.5]),
        classes=np.arange(k),
        thresholds=np.array([0.5]),
        positives=positives,
        negatives=np.full(k, 100),
        positives_accepted=rng.binomial(positives, 1 - reject_rate)[:, None],
        negatives_accepted=np.full((k, 1), 3),
        best_positive=hits.astype(np.float32),
        best_negative=np.full(codes.size, 0.5, np.float32),
        codes=codes,
    )
    return counts, curves_alone(population(rng, k))


def curves_alone(curves: np.ndarray) -> Consistency:
    """A result that holds the curves and nothing that the intervals do not use."""
    mean = curves.mean(axis=0)
    return Consistency(
        opis=float((np.square(curves - mean) @ WEIGHTS).mean()),
        eps_opis=math.nan,
        range=(0.0, 1.0),
        thresholds=np.linspace(0, 1, T),
        weights=WEIGHTS,
        defined=np.arange(len(curves)),
        curves=curves,
        mean_curve=mean,
        class_utility=curves @ WEIGHTS,
        class_opis=np.full(len(curves), math.nan),
        worst=np.empty(0, np.int64),
    )


def truth_of_population() -> dict[str, float]:
    """The same quantities of the population itself, from a million classes."""
    rng = np.random.default_rng(1)
    curves = population(rng, 1_000_000)
    mean = curves.mean(axis=0)
    utility = curves @ WEIGHTS
    worst = curves[utility <= np.quantile(utility, 0.1)].mean(axis=0)
    return {
        "opis": float((np.square(curves - mean) @ WEIGHTS).mean()),
        "eps_opis": float(np.square(worst - mean) @ WEIGHTS),
        "recall_at_1": 5 / 7,  # the means of the two Beta distributions: sizes are independent of them
        "frr": 1 / 5,
    }


@pytest.fixture(scope="module")
def coverage() -> dict[str, float]:
    rng, truth = np.random.default_rng(2), truth_of_population()
    covered = dict.fromkeys(truth, 0)
    for trial in range(TRIALS):
        counts, curves = counts_and_curves(rng, 150)
        found = class_intervals(counts, curves, eps=0.1, threshold=0.5, confidence=NOMINAL, seed=trial)
        for name, value in truth.items():
            covered[name] += found[name][0] <= value <= found[name][1]
    return {name: count / TRIALS for name, count in covered.items()}


@pytest.mark.parametrize("name", ["opis", "eps_opis", "recall_at_1", "frr"])
def test_intervals_cover_the_population_as_often_as_they_claim(coverage, name):
    assert 0.90 <= coverage[name] <= 0.985


def test_far_intervals_cover_because_a_negative_pair_weighs_for_both_of_its_classes():
    # every class has its own propensity q to be confused; a pair of classes is with q_i·q_j; then FAR = E[q]²
    k, pairs, shape, scale = 80, 64, 2.0, 0.05
    truth = (shape * scale) ** 2
    rng = np.random.default_rng(3)
    covered = {"both ends": 0, "one end": 0}
    upper = np.triu(np.ones((k, k), dtype=bool), 1)
    for trial in range(TRIALS):
        propensity = rng.gamma(shape, scale, k)
        accepted = np.where(upper, rng.binomial(pairs, np.minimum(np.outer(propensity, propensity), 1)), 0)
        accepted = (accepted + accepted.T).sum(axis=1)
        negatives = np.full(k, pairs * (k - 1))
        counts, curves = counts_and_curves(rng, k)
        counts = replace(counts, negatives=negatives, negatives_accepted=accepted[:, None])

        def one_end(weights, accepted=accepted, negatives=negatives):
            return {"far": weights @ accepted / (weights @ negatives)}

        both = class_intervals(counts, curves, eps=0.1, threshold=0.5, confidence=NOMINAL, seed=trial)["far"]
        one = bca_intervals(one_end, k, confidence=NOMINAL, resamples=1000, seed=trial)["far"]
        covered["both ends"] += both[0] <= truth <= both[1]
        covered["one end"] += one[0] <= truth <= one[1]
    assert 0.90 <= covered["both ends"] / TRIALS <= 0.985
    assert covered["one end"] / TRIALS < 0.80
