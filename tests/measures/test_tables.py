"""Tables of classes and groups at one threshold."""

from __future__ import annotations

import numpy as np
import pytest
from samples import SAMPLES, Sample

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.measures import class_table, consistency, group_table, rates_at
from evenmatch.pairs import count_pairs


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request) -> Sample:
    return SAMPLES[request.param]()


def clear_of_scores(sample: Sample, near: float) -> float:
    """A threshold in the widest gap between scores near a given one, so that float32 decides as float64 does."""
    positive, negative = reference.pair_scores(sample.scores, sample.labels, sample.ref_labels)
    every = np.sort(np.concatenate([positive, negative]))
    at = np.searchsorted(every, near)
    part = every[max(at - 20, 0) : at + 20]
    widest = int(np.argmax(np.diff(part)))
    return float((part[widest] + part[widest + 1]) / 2)


def test_class_rates_equal_the_reference(sample):
    first = sample.count()
    threshold = clear_of_scores(sample, consistency(first).range[1])
    counts = sample.count(thresholds=[threshold])
    result = consistency(counts)
    table = class_table(counts, result, threshold)
    truth = sample.reference_counts(counts, np.array([threshold]))
    assert table.index.name == "class"
    assert table.index.tolist() == truth.classes
    assert table.columns.tolist() == ["n", "positives", "negatives", "utility", "opis", "far", "frr", "own_threshold"]
    np.testing.assert_array_equal(table["n"], [np.count_nonzero(sample.labels == name) for name in table.index])
    np.testing.assert_array_equal(table["positives"], truth.positives)
    np.testing.assert_array_equal(table["negatives"], truth.negatives)
    np.testing.assert_allclose(table["far"], truth.far[:, 0], atol=1e-15)
    np.testing.assert_allclose(table["frr"], truth.frr[:, 0], atol=1e-15)
    np.testing.assert_array_equal(table["utility"], result.class_utility)
    np.testing.assert_array_equal(table["opis"], result.class_opis)


def test_class_rates_weighted_by_their_pairs_are_the_pooled_rates(sample):
    counts = sample.count()
    result = consistency(counts)
    table = class_table(counts, result, result.range[1])
    far, frr = rates_at(counts, result.range[1])
    assert np.average(table["far"], weights=table["negatives"]) == pytest.approx(far)
    defined = table["positives"] > 0
    assert np.average(table["frr"][defined], weights=table["positives"][defined]) == pytest.approx(frr)


def test_a_class_without_a_positive_pair_has_a_far_but_nothing_else():
    sample = SAMPLES["singletons"]()
    counts = sample.count()
    result = consistency(counts)
    table = class_table(counts, result, result.range[1])
    single = table[table["n"] == 1]
    assert len(single) == 40
    assert single[["utility", "opis", "frr"]].isna().all(axis=None)
    assert single["far"].notna().all()
    assert table[table["n"] > 1].notna().all(axis=None)


def test_a_threshold_that_was_not_counted_says_where_they_were():
    counts = SAMPLES["cosine"]().count()
    with pytest.raises(InputError, match=r"not counted at threshold 0\.999 \(they were at \d+ thresholds from"):
        class_table(counts, consistency(counts), 0.999)


# ---------------------------------------------------------------- groups


def rates_by_hand(S, labels, groups, threshold, name):
    """FAR, FAR within, FRR and the numbers of pairs that touch a group, one pair at a time."""
    positive, negative, within = [], [], []
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            if name not in (groups[i], groups[j]):
                continue
            if labels[i] == labels[j]:
                positive.append(S[i, j] < threshold)
            else:
                negative.append(S[i, j] >= threshold)
                if groups[i] == groups[j]:
                    within.append(S[i, j] >= threshold)
    return [
        len(positive), len(negative), np.mean(negative),
        np.mean(within) if within else np.nan, np.mean(positive) if positive else np.nan,
    ]  # fmt: skip


def test_group_rates_equal_a_count_pair_by_pair():
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 12, 90)
    x = rng.normal(size=(12, 4))[labels] + 0.7 * rng.normal(size=(90, 4))
    groups = np.array(["north", "south", "east"])[rng.integers(0, 3, 90)]
    groups[0] = "alone"  # its only sample has no pair within
    sample = Sample(x, labels)
    threshold = clear_of_scores(sample, 0.6)
    counts = count_pairs(EmbeddingSet.from_arrays(x, labels, groups=groups), thresholds=[threshold])
    table = group_table(counts, threshold)
    assert table.index.name == "group"
    assert table.columns.tolist() == ["n", "positives", "negatives", "far", "far_within", "frr"]
    assert table["n"].to_dict() == {name: np.count_nonzero(groups == name) for name in table.index}
    for name, row in table.iterrows():
        expected = rates_by_hand(sample.scores, labels, groups, threshold, name)
        np.testing.assert_allclose(row.to_numpy(dtype=float)[1:], expected, atol=1e-15)
    assert np.isnan(table.loc["alone", "far_within"])


def test_group_rates_with_a_gallery_equal_a_count_pair_by_pair():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(50, 3))
    labels, ref_labels = rng.integers(0, 6, 40), rng.integers(0, 6, 50)
    groups, ref_groups = (np.array(["p", "q"])[rng.integers(0, 2, n)] for n in (40, 50))
    sample = Sample(x, labels, y, ref_labels)
    threshold = clear_of_scores(sample, 0.5)
    sets = (
        EmbeddingSet.from_arrays(x, labels, groups=groups),
        EmbeddingSet.from_arrays(y, ref_labels, groups=ref_groups),
    )
    table = group_table(count_pairs(*sets, thresholds=[threshold]), threshold)
    S, same = sample.scores, labels[:, None] == ref_labels[None, :]
    for name, row in table.iterrows():
        rows, cols = (groups == name)[:, None], (ref_groups == name)[None, :]
        touching = rows | cols
        expected = [
            np.count_nonzero(groups == name),
            np.count_nonzero(same & touching),
            np.count_nonzero(~same & touching),
            np.mean(S[~same & touching] >= threshold),
            np.mean(S[~same & rows & cols] >= threshold),
            np.mean(S[same & touching] < threshold),
        ]
        np.testing.assert_allclose(row.to_numpy(dtype=float), expected, atol=1e-15)


def test_a_table_of_groups_needs_groups():
    counts = SAMPLES["cosine"]().count()
    with pytest.raises(ValueError, match="no groups"):
        group_table(counts, counts.thresholds[0])
