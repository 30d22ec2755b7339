"""Nearest classes, against the matrix of scores in float64."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import evenmatch as em
import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import _class_neighbours, class_neighbours


def clusters(k: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(k), 1 + np.arange(k) % 9))
    x = rng.normal(size=(k, 5))[labels] + 0.6 * rng.normal(size=(labels.size, 5))
    return x.astype(np.float32), np.array([f"c{label}" for label in labels])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_pairs_of_classes_are_those_of_the_matrix(metric):
    x, labels = clusters()
    S = reference.scores(x, None, metric)
    threshold = float(np.quantile(S, 0.9)) + 1e-4
    found = class_neighbours(EmbeddingSet.from_arrays(x, labels), threshold, candidates=3, metric=metric)
    vectors = x.astype(float) / (np.linalg.norm(x, axis=1, keepdims=True) if metric == "cosine" else 1)
    centres = {name: vectors[labels == name].mean(axis=0) for name in found.classes}
    for code, name in enumerate(found.classes):
        near = {
            other: centres[name] @ centres[other]
            if metric == "cosine"
            else -np.linalg.norm(centres[name] - centres[other])
            for other in found.classes
            if other != name
        }
        assert [found.classes[i] for i in found.neighbours[code]] == sorted(near, key=near.get, reverse=True)[:3]
        rows = np.flatnonzero(labels == name)
        own = [S[a, b] for a, b in itertools.combinations(rows, 2)]
        if own:
            assert found.own_mean[code] == pytest.approx(np.mean(own), abs=1e-5)
            assert found.own_deviation[code] == pytest.approx(np.std(own), abs=1e-4)
        else:
            assert np.isnan(found.own_mean[code])
        for rank, other in enumerate(found.neighbours[code]):
            scores = S[np.ix_(rows, np.flatnonzero(labels == found.classes[other]))].ravel()
            assert found.accepted[code, rank] == pytest.approx(np.mean(scores >= threshold))
            assert found.mean[code, rank] == pytest.approx(scores.mean(), abs=1e-5)
            assert found.deviation[code, rank] == pytest.approx(scores.std(), abs=1e-4)
            if own:
                higher = np.mean([(score > mine) + (score == mine) / 2 for score in scores for mine in own])
                assert found.overlap[code, rank] == pytest.approx(higher, abs=1e-9)


def test_more_classes_than_a_tile():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5000), 2)
    x = rng.normal(size=(5000, 4)).astype("f4")[labels] + 0.01 * rng.normal(size=(10000, 4)).astype("f4")
    data = EmbeddingSet.from_arrays(x, labels)
    found = class_neighbours(data, 0.9, candidates=2)
    unit = x.astype(float) / np.linalg.norm(x, axis=1, keepdims=True)
    centres = (unit[::2] + unit[1::2]) / 2
    for code in (0, 1500, 4999):
        scores = centres @ centres[code]
        scores[code] = -np.inf
        assert found.neighbours[code].tolist() == np.argsort(-scores)[:2].tolist()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_held_vectors_and_threads_do_not_matter(metric, monkeypatch):
    data = EmbeddingSet.from_arrays(*clusters(150))
    expected = class_neighbours(data, 0.5, metric=metric, threads=1)
    monkeypatch.setattr(_class_neighbours, "_HELD_BYTES", 0)
    found = class_neighbours(data, 0.5, metric=metric, threads=3)
    for field in dataclasses.fields(expected):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)


def test_a_large_class_is_told_from_some_of_its_samples():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), [3000, 700, 20])
    x = rng.normal(size=(3, 6))[labels] + 0.7 * rng.normal(size=(labels.size, 6))
    found = class_neighbours(EmbeddingSet.from_arrays(x.astype("f4"), labels), 0.3, candidates=2)
    S = reference.scores(x, None)
    for code in range(3):
        own = S[np.ix_(labels == code, labels == code)][np.triu_indices(np.sum(labels == code), 1)]
        for rank, other in enumerate(found.neighbours[code]):
            scores = S[np.ix_(labels == code, labels == other)]
            higher = np.searchsorted(np.sort(own), scores.ravel()).mean() / own.size
            assert found.accepted[code, rank] == pytest.approx(np.mean(scores >= 0.3), abs=0.05)
            assert found.overlap[code, rank] == pytest.approx(higher, abs=0.05)


def test_equal_scores_count_half():
    x = np.eye(4, dtype="f4")[np.repeat([0, 0, 1, 2], 30)]
    found = class_neighbours(EmbeddingSet.from_arrays(x, np.repeat(np.arange(4), 30)), 0.5, candidates=3)
    assert found.own_deviation.tolist() == [0, 0, 0, 0]
    of_first = dict(zip(found.neighbours[0].tolist(), found.overlap[0].tolist(), strict=True))
    assert of_first == {1: 0.5, 2: 0.0, 3: 0.0}


def test_the_table_starts_with_the_most_confusable_pair():
    x, labels = clusters()
    table = em.nearest_classes(x, labels, threshold=0.5)
    assert len(table) == 3 * 40
    assert table["far"].is_monotonic_decreasing
    assert (table["class"] != table["nearest"]).all()


def test_two_classes_in_one_row():
    x, labels = clusters()
    both = em.nearest_classes(x, labels, threshold=0.5)
    table = em.nearest_classes(x, labels, threshold=0.5, once=True)
    best: dict[frozenset[str], tuple[float, float]] = {}
    for row in both.fillna({"overlap": -1}).itertuples():
        pair = frozenset([row[1], row[2]])
        best[pair] = max(best.get(pair, (-1.0, -1.0)), (row.far, row.overlap))
    found = table.fillna({"overlap": -1})
    assert len(table) == len(best) < len(both)
    assert {frozenset([row[1], row[2]]): (row.far, row.overlap) for row in found.itertuples()} == best
    assert table["far"].is_monotonic_decreasing


def test_an_audit_names_the_classes_that_its_threshold_confuses():
    data = EmbeddingSet.from_arrays(*clusters())
    audit = em.audit(data, far=(0.02, 0.2))
    table = audit.confusable(data, 5)
    whole = em.nearest_classes(data, threshold=audit.threshold, once=True)
    assert table.equals(whole.head(5))
    x, labels = clusters(seed=1)
    with pytest.raises(InputError, match="not those of the audit"):
        audit.confusable(EmbeddingSet.from_arrays(x, labels))
    across = em.audit(data, ref=EmbeddingSet.from_arrays(x, labels), far=(0.02, 0.2))
    with pytest.raises(InputError, match="within one set"):
        across.confusable(data)


def test_no_candidates_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        class_neighbours(EmbeddingSet.from_arrays(*clusters()), 0.5, candidates=0)


def test_a_threshold_that_is_nan_is_refused():
    with pytest.raises(InputError, match="threshold is NaN"):
        em.nearest_classes(*clusters(), threshold=float("nan"))
