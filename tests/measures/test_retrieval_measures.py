"""recall@k and MAP@R."""

from __future__ import annotations

import numpy as np
import pytest
from samples import SAMPLES, Sample

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.measures import map_at_r, recall_at_1, recall_at_k
from evenmatch.pairs import count_pairs, nearest_neighbours


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request) -> Sample:
    return SAMPLES[request.param]()


def test_recall_at_1_equals_the_reference(sample):
    truth = reference.recall_at_k(sample.scores, sample.labels, 1, sample.ref_labels)
    assert recall_at_1(sample.count()) == pytest.approx(truth, abs=1e-12)


def test_recall_at_k_and_map_at_r_equal_the_reference(sample):
    queries, gallery = sample.sets
    found = nearest_neighbours(queries, gallery, k=80, metric=sample.metric)
    for k in (1, 2, 5, 80):
        truth = reference.recall_at_k(sample.scores, sample.labels, k, sample.ref_labels)
        assert recall_at_k(found, k) == pytest.approx(truth, abs=1e-12)
    truth = reference.map_at_r(sample.scores, sample.labels, sample.ref_labels)
    assert map_at_r(found) == pytest.approx(truth, abs=1e-9)


def test_five_points_by_hand():
    # a1 is nearest to a2 (0.8): hit. a2 to b1 (0.96): miss. b1 to a2 (0.96): miss. b2 to b1 (0.6): hit.
    # c1 has no positive and is left out: 2 of 4
    x = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [-0.28, 0.96], [-1.0, 0.0]])
    data = EmbeddingSet.from_arrays(x, ["a", "a", "b", "b", "c"])
    assert recall_at_1(count_pairs(data)) == 0.5
    found = nearest_neighbours(data, k=4)
    # the second neighbour of a2 is a1 (0.8 against 0.352): hit. Of b1 the scores are a2 0.96, then a1 and b2 0.6,
    # which tie on paper; a tie counts as a miss, but 0.6 is no float and either may come first
    assert recall_at_k(found, 1) == 0.5
    assert recall_at_k(found, 2) in (0.75, 1.0)
    assert recall_at_k(found, 3) == 1.0
    # R = 1 for the four that count: MAP@R is recall@1
    assert map_at_r(found) == 0.5


def test_map_at_r_by_hand():
    # on a line, euclidean: the query q of class a at 0; b at 1, a at 2, a at 3, b at 9, b at 20
    # q: R = 2, neighbours b a a … → of the first two: rank 2 is a hit with precision 1/2 → (1/2)/2 = 1/4
    # a at 2: neighbours by distance 1 (b at 1 and a at 3 tie; b first), then q at 2 → ranks b a: (1/2)/2 = 1/4
    # a at 3: neighbours a (1), b at 1 (2), q (3) → ranks a b: (1/1)/2 = 1/2
    # b at 1: R = 2, neighbours q (1) and a at 2 (1) → 0
    # b at 9: neighbours a at 3 (6), a at 2 (7), → 0
    # b at 20: neighbours b at 9 (11), a at 3 (17) → (1/1)/2 = 1/2
    x = np.array([[0.0], [1], [2], [3], [9], [20]])
    found = nearest_neighbours(EmbeddingSet.from_arrays(x, list("abaabb")), k=5, metric="euclidean")
    assert map_at_r(found) == pytest.approx((1 / 4 + 1 / 4 + 1 / 2 + 0 + 0 + 1 / 2) / 6)


def test_a_tie_between_classes_counts_as_a_miss():
    # every sample equals every other: nothing can be told apart
    x = np.ones((6, 3), np.float32)
    data = EmbeddingSet.from_arrays(x, list("aabbcc"))
    assert recall_at_1(count_pairs(data, far=(), thresholds=[0.5])) == 0
    found = nearest_neighbours(data, k=5)
    assert recall_at_k(found, 1) == 0
    assert recall_at_k(found, 4) == 0
    assert recall_at_k(found, 5) == 1


def test_queries_without_a_positive_are_left_out():
    sample = SAMPLES["singletons"]()
    single = np.isin(sample.labels, [name for name in set(sample.labels) if (sample.labels == name).sum() == 1])
    assert single.sum() == 40
    counts = sample.count()
    hits = counts.best_positive > counts.best_negative
    assert recall_at_1(counts) == hits[~single].mean()
    assert recall_at_1(counts) > hits.mean()
