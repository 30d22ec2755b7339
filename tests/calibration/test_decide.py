"""point.decide: the same matches as brute force, whatever the engine."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from calibrated import made

import evenmatch as em
import reference
from evenmatch.calibration import Matches
from evenmatch.errors import InputError, MissingExtraError

FAISS = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="needs faiss")
ENGINES = ["blocks", pytest.param("faiss", marks=FAISS)]


def point(threshold: float, dim: int = 16, metric: str = "cosine") -> em.OperatingPoint:
    made_point = em.calibrate(made(k=12, dim=dim), far=0.05, probability=None, metric=metric)
    return replace(made_point, threshold=threshold)


def brute_force(query: np.ndarray, gallery: np.ndarray, threshold: float, metric: str) -> Matches:
    S = reference.scores(query, gallery, metric)
    rows, columns = np.nonzero(threshold <= S)
    return Matches(rows, columns, S[rows, columns])


def assert_same(ours: Matches, theirs: Matches) -> None:
    np.testing.assert_array_equal(ours.query, theirs.query)
    np.testing.assert_array_equal(ours.gallery, theirs.gallery)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize(("metric", "threshold"), [("cosine", 0.55), ("cosine", -0.2), ("euclidean", -5.0)])
def test_matches_are_those_of_brute_force(engine, dtype, metric, threshold):
    query, gallery = made(seed=1).vectors[:70].astype(dtype), made(seed=2).vectors.astype(dtype)
    expected = brute_force(query, gallery, threshold, metric)
    assert 0 < len(expected) < 70 * len(gallery)
    assert_same(point(threshold, metric=metric).decide(query, gallery, engine=engine), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_scores_at_the_threshold_are_matches_and_those_a_hair_below_are_not(engine, metric):
    rows = np.random.default_rng(0).choice(np.array([-1.0, 1.0]), size=(300, 16))
    threshold = 0.5 if metric == "cosine" else -4.0
    at = point(threshold, metric=metric).decide(rows[:40], rows, engine=engine)
    above = point(float(np.nextafter(threshold, 9)), metric=metric).decide(rows[:40], rows, engine=engine)
    assert_same(at, brute_force(rows[:40], rows, threshold, metric))
    assert len(above) == np.count_nonzero(at.scores > threshold) < len(at)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gallery_of_100_000_gives_the_matches_of_brute_force(engine):
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((100_000, 128), dtype=np.float32)
    query = gallery[: 64 * 1500 : 1500] + np.float32(0.8) * rng.standard_normal((64, 128), dtype=np.float32)
    x = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64), axis=1, keepdims=True)
    y = gallery.astype(np.float64)
    S = (x @ y.T) / np.sqrt(np.einsum("ij,ij->i", y, y))
    threshold = float(np.partition(S.ravel(), -5000)[-5000])  # a score that is there
    rows, columns = np.nonzero(threshold <= S)
    found = point(threshold - 1e-13, dim=128).decide(query, gallery, engine=engine)
    assert_same(found, Matches(rows, columns, S[rows, columns]))
    assert len(found) == 5000


def test_no_match_is_an_empty_answer():
    found = point(1.5).decide(made().vectors, made().vectors)
    assert len(found) == 0
    assert found.query.dtype == found.gallery.dtype == np.int64


def test_embedding_sets_are_taken_as_they_are():
    data = made()
    assert_same(point(0.6).decide(data, data), point(0.6).decide(data.vectors, data.vectors))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (np.ones((3, 15)), "query has 15 dimensions and the operating point was calibrated on 16"),
        (np.ones(16), "query: embeddings has shape"),
        (np.full((2, 16), np.nan), "query: row 0 of embeddings has a NaN"),
        (np.zeros((2, 16)), "zero vector"),
        ("x", "query: embeddings"),
    ],
)
def test_bad_embeddings_are_named(query, said):
    with pytest.raises(InputError, match=said):
        point(0.5).decide(query, made().vectors)


def test_engines_are_named_and_a_missing_one_says_how_to_get_it(monkeypatch):
    with pytest.raises(InputError, match="use 'auto', 'faiss' or 'blocks'"):
        point(0.5).decide(made().vectors, made().vectors, engine="fast")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"evenmatch\[ann\]"):
        point(0.5).decide(made().vectors, made().vectors, engine="faiss")
