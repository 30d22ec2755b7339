"""Error rates over classes: what the jackknife leaves out is exact, and the intervals cover what they claim to."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from samples import SAMPLES, counts_of

from evenmatch.errors import InputError
from evenmatch.measures import ClassRate, InsufficientCountsError, class_rates, class_rates_at, rates_at


def logit(p: float) -> float:
    return math.log(p / (1 - p))


@pytest.mark.parametrize("name", ["cosine", "euclidean", "singletons", "unbalanced", "query and gallery"])
def test_the_standard_error_is_that_of_leaving_each_class_out_with_all_of_its_pairs(name):
    sample = SAMPLES[name]()
    counts = sample.count()
    threshold = float(counts.thresholds[len(counts.thresholds) // 2])
    far, frr = class_rates_at(counts, threshold)
    assert (far.value, frr.value) == pytest.approx(rates_at(counts, threshold))
    accepted = sample.scores >= threshold
    ref_labels = sample.labels if sample.ref_labels is None else sample.ref_labels
    same = sample.labels[:, None] == ref_labels[None, :]
    pairs = np.triu(np.ones_like(same), 1) if sample.ref is None else np.ones_like(same)
    for rate, pick in ((far, "far"), (frr, "frr")):
        values = []
        for label in counts.classes[(counts.negatives if pick == "far" else counts.positives) > 0].tolist():
            rows = sample.labels != label
            cols = rows if sample.ref_labels is None else sample.ref_labels != label
            kept = pairs & rows[:, None] & cols[None, :] & (same if pick == "frr" else ~same)
            values.append(np.mean(accepted[kept] != same[kept]))
        values = np.array(values)
        k = len(values)
        spread = math.sqrt((k - 1) / k * np.square(values - values.mean()).sum())
        assert rate.classes == k
        assert rate.standard_error == pytest.approx(spread / (rate.value * (1 - rate.value)), rel=1e-4)


def test_between_counted_thresholds_the_rate_is_exact_and_the_spread_the_wider_one():
    counts = SAMPLES["cosine"]().count()
    columns = (60, 61)
    low, high = (counts.grid.index_at_or_above(float(counts.thresholds[c])) for c in columns)
    assert high - low > 1
    threshold = float(counts.grid.threshold(low + 1))
    rates = class_rates_at(counts, threshold)
    ends = [class_rates_at(counts, float(counts.thresholds[c])) for c in columns]
    assert (rates[0].value, rates[1].value) == pytest.approx(rates_at(counts, threshold))
    for rate, one, other in zip(rates, *ends, strict=True):
        assert rate.standard_error == max(one.standard_error, other.standard_error)


@pytest.mark.parametrize("where", [-0.9, 0.999])
def test_where_the_classes_were_not_counted_is_said(where):
    counts = SAMPLES["cosine"]().count()
    with pytest.raises(InsufficientCountsError, match="do not suffice: their classes were counted where the"):
        class_rates_at(counts, where)


def rate_of(errors: list[int], pairs: list[int], both_ends: bool = False) -> ClassRate:
    errors_, pairs_ = np.array(errors)[:, None], np.array(pairs)
    half = 2 if both_ends else 1
    return class_rates(errors_, pairs_, errors_.sum(axis=0) / half, int(pairs_.sum()) // half, both_ends)[0]


def test_without_an_error_the_upper_end_is_the_bound_that_needs_no_spread():
    assert rate_of([0] * 40, [50] * 40).interval(0.95) == pytest.approx((0.0, 1 - 0.025 ** (1 / 40)))
    assert rate_of([0] * 40, [50] * 40, both_ends=True).interval(0.95) == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))
    assert rate_of([50] * 40, [50] * 40).interval(0.95) == pytest.approx((0.025 ** (1 / 40), 1.0))


def test_errors_of_one_class_only_do_not_narrow_the_interval():
    scarce = rate_of([1] + [0] * 39, [50] * 40)
    assert scarce.scarce
    assert scarce.interval(0.95)[1] >= 1 - 0.025 ** (1 / 40)
    assert not rate_of([5] * 40, [50] * 40).scarce


@pytest.mark.parametrize("k", [1, 2])
def test_of_fewer_than_three_classes_nothing_is_known(k):
    assert rate_of([5] * k, [50] * k).interval(0.95) == (0.0, 1.0)


def test_a_deployment_of_few_classes_varies_more_and_one_of_very_many_no_more_than_the_estimate():
    rate = rate_of([3, 9, 1, 4, 8, 2, 6, 7] * 10, [100] * 80, both_ends=True)
    ends = [rate.prediction(n, 0.95) for n in (5, 20, 80, 1000, 10**9)]
    widths = [high - low for low, high in ends]
    assert widths == sorted(widths, reverse=True)
    assert ends[-1] == pytest.approx(rate.interval(0.95), rel=1e-4)
    with pytest.raises(InputError, match="at least 2"):
        rate.prediction(1, 0.95)
    with pytest.raises(InputError, match="between 0 and 1"):
        rate.interval(1.0)


# ---------------------------------------------------------------- coverage

TRIALS = 400


def coverage_of_both(k: int, m: int) -> dict[str, float]:
    """A pair of classes is confused with chance q_i·q_j, a genuine pair missed with chance r_i; all classes differ."""
    rng = np.random.default_rng(0)
    pairs, upper = 100, {n: np.triu(np.ones((n, n), dtype=bool), 1) for n in (k, m)}

    def draw(n):
        q = rng.gamma(2.0, 0.05, n)
        accepted = np.where(upper[n], rng.binomial(pairs, np.minimum(np.outer(q, q), 1)), 0)
        return (accepted + accepted.T).sum(axis=1), rng.binomial(45, rng.beta(1, 9, n))

    truth = {"far": 0.01, "frr": 0.1}
    held = dict.fromkeys(["far", "frr", "far predicted", "frr predicted", "far binomial"], 0)
    for _ in range(TRIALS):
        (false_accepts, false_rejects), (new_accepts, new_rejects) = draw(k), draw(m)
        far = rate_of(false_accepts, [pairs * (k - 1)] * k, both_ends=True)
        frr = rate_of(false_rejects, [45] * k)
        real = {"far": new_accepts.sum() / (pairs * m * (m - 1)), "frr": new_rejects.mean() / 45}
        for name, rate in (("far", far), ("frr", frr)):
            low, high = rate.interval(0.95)
            held[name] += low <= truth[name] <= high
            low, high = rate.prediction(m, 0.95)
            held[f"{name} predicted"] += low <= real[name] <= high
        error = 1.96 * math.sqrt(far.value * (1 - far.value) / (pairs * k * (k - 1) / 2))
        held["far binomial"] += abs(far.value - 0.01) <= error
    return {name: count / TRIALS for name, count in held.items()}


@pytest.mark.parametrize(("k", "m"), [(50, 50), (60, 200), (100, 40)])
def test_intervals_hold_the_population_and_predictions_the_next_classes(k, m):
    held = coverage_of_both(k, m)
    for name in ("far", "frr", "far predicted", "frr predicted"):
        assert 0.92 <= held[name] <= 0.98, held
    assert held["far binomial"] < 0.6


def test_rates_of_all_classes_alike_have_no_spread():
    rate = rate_of([5] * 40, [50] * 40)
    assert rate.standard_error == pytest.approx(0, abs=1e-12)
    assert rate.interval(0.95) == pytest.approx((0.1, 0.1))


def test_counts_without_class_thresholds_say_so():
    with pytest.raises(InsufficientCountsError, match="no class was counted"):
        class_rates_at(replace(counts_of([0.5], [0.2])), 0.3)
