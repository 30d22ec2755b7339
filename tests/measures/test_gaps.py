"""Gaps between classes and between groups, against numbers by hand and plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from samples import SAMPLES

import evenmatch as em
from evenmatch.errors import InputError
from evenmatch.measures import consistency, differential, group_differentials, own_thresholds, rate_gaps


@pytest.mark.parametrize("name", SAMPLES)
def test_gaps_are_those_of_the_classes_in_float64(name):
    sample = SAMPLES[name]()
    counts = sample.count()
    threshold = float(counts.thresholds[counts.thresholds.size // 2])
    rates = sample.reference_counts(counts, np.array([threshold]))
    for found, values in zip(rate_gaps(counts, threshold), (rates.far[:, 0], rates.frr[:, 0]), strict=True):
        known = np.sort(values[~np.isnan(values)])
        assert found.classes == known.size
        assert (found.worst, found.best) == pytest.approx((known[-1], known[0]))
        assert values[found.worst_class] == pytest.approx(known[-1])
        assert found.median == pytest.approx(np.median(known))
        at = [0.05 * (known.size - 1), 0.95 * (known.size - 1)]
        low, high = (known[int(p)] + (p % 1) * (known[min(int(p) + 1, known.size - 1)] - known[int(p)]) for p in at)
        assert found.quantile_gap == pytest.approx(high - low)
        assert found.gap == pytest.approx(known[-1] - known[0])
        ratio = None if np.median(known) == 0 else known[-1] / np.median(known)
        assert found.worst_ratio == (None if ratio is None else pytest.approx(ratio))


def test_a_threshold_that_was_not_counted_is_refused():
    with pytest.raises(InputError, match="not counted"):
        rate_gaps(SAMPLES["cosine"]().count(), 0.99)


@pytest.mark.parametrize("name", ["cosine", "euclidean", "unbalanced", "singletons"])
def test_own_thresholds_have_the_highest_utility(name):
    counts = SAMPLES[name]().count()
    result = consistency(counts)
    own = own_thresholds(result)
    edges = 0
    for chosen, curve in zip(own.thresholds, result.curves.tolist(), strict=True):
        best = [t for t, u in zip(result.thresholds.tolist(), curve, strict=True) if u == max(curve)]
        assert chosen == pytest.approx((best[0] + best[-1]) / 2)
        edges += best[0] == result.range[0] or best[-1] == result.range[1]
    assert own.at_edge == pytest.approx(edges / len(result.curves))
    assert own.deviation == pytest.approx(np.std(own.thresholds))
    means = [sum(column) / len(column) for column in zip(*result.curves.tolist(), strict=True)]
    lost = np.mean([max(curve) for curve in result.curves.tolist()]) - max(means)
    assert own.utility_lost == pytest.approx(lost)
    assert own.common == result.thresholds[int(np.argmax(means))]


@pytest.mark.parametrize(
    "rates", [[0.01, 0.04], [0.2, 0.1, 0.4, 0.3], [0.0, 0.5, 0.5], [0.0, 0.0], [0.1, math.nan, 0.3]]
)
def test_differentials_are_their_definitions(rates):
    found = differential(np.array(rates))
    known = [rate for rate in rates if rate == rate]
    pairs = sum(abs(a - b) for a, b in itertools.product(known, known))
    mean, n = sum(known) / len(known), len(known)
    assert found.gini == pytest.approx(n / (n - 1) * pairs / (2 * n * n * mean) if mean else 0.0)
    assert found.difference == max(known) - min(known)
    assert rates[found.highest_group] == max(known)
    assert rates[found.lowest_group] == min(known)
    if min(known):
        assert found.ratio == pytest.approx(max(known) / min(known))
        assert found.to_geometric_mean == pytest.approx(max(known) / math.prod(known) ** (1 / n))
    else:
        assert found.ratio is None
        assert found.to_geometric_mean is None


def test_one_group_has_no_differential():
    assert differential(np.array([0.1, math.nan])) is None


def test_group_rates_are_those_of_float64():
    sample = SAMPLES["cosine"]()
    groups = np.array(["a", "b", "c"])[np.arange(len(sample.labels)) % 3]
    audit = em.audit(sample.x, sample.labels, groups=groups)
    found = group_differentials(audit.counts, audit.threshold)
    S, n = sample.scores, len(groups)
    errors: dict[str, dict[str, list[int]]] = {
        name: {g: [0, 0] for g in "abc"} for name in ("far", "far_within", "frr")
    }
    for i, j in itertools.combinations(range(n), 2):
        accepted = S[i, j] >= audit.threshold
        for group in {groups[i], groups[j]}:
            if sample.labels[i] == sample.labels[j]:
                errors["frr"][group][0] += not accepted
                errors["frr"][group][1] += 1
            else:
                errors["far"][group][0] += accepted
                errors["far"][group][1] += 1
                if groups[i] == groups[j]:
                    errors["far_within"][group][0] += accepted
                    errors["far_within"][group][1] += 1
    for name, by_group in errors.items():
        rates = {group: wrong / pairs for group, (wrong, pairs) in by_group.items()}
        each = getattr(found, name)
        assert each.highest == pytest.approx(max(rates.values()))
        assert each.lowest == pytest.approx(min(rates.values()))
        assert audit.counts.groups.names[each.highest_group] == max(rates, key=rates.get)
    within, rejected = found.far_within, found.frr
    assert found.garbe() == pytest.approx((within.gini + rejected.gini) / 2)
    expected = 1 - (0.25 * within.difference + 0.75 * rejected.difference)
    assert found.fairness_discrepancy_rate(0.25) == pytest.approx(expected)


def test_the_gini_by_hand():
    assert differential(np.array([0.0, 1.0])).gini == 1.0
    assert differential(np.array([0.3, 0.3])).gini == 0.0


def test_the_summary_names_the_worst_class_and_the_groups():
    sample = SAMPLES["singletons"]()
    groups = np.array(["a", "b"])[np.arange(len(sample.labels)) % 2]
    audit = em.audit(sample.x, sample.labels, groups=groups)
    summary = audit.summary()
    assert summary["gaps"]["far"]["worst_class"] == audit.by_class["far"].idxmax()
    assert summary["gaps"]["frr"]["worst"] == audit.by_class["frr"].max()
    assert summary["differentials"]["frr"]["highest_group"] == audit.by_group["frr"].idxmax()
    assert summary["own_thresholds"]["utility_lost"] >= 0
    assert em.audit(sample.x, sample.labels).summary()["differentials"] is None
