"""Pairs without labels: the counts are those of every score, for all pairs and for each sample."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import SampleEngine, count_unlabeled


def embedded(n: int = 83, dim: int = 6, dtype: str = "float32") -> EmbeddingSet:
    x = np.random.default_rng(0).normal(size=(n, dim)).astype(dtype)
    return EmbeddingSet.from_arrays(x, np.zeros(n, int))  # one class: the labels are not looked at


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_pair_is_counted_once(metric, threads):
    data = embedded()
    scores = reference.scores(data.vectors, metric=metric)
    upper = scores[np.triu_indices(data.n, 1)]
    asked = [float(np.quantile(upper, q)) for q in (0.9, 0.2, 0.55)]
    counts = count_unlabeled(data, metric=metric, thresholds=asked, threads=threads)
    assert (counts.n, counts.n_pairs) == (83, 83 * 82 // 2)
    for index in range(0, counts.grid.size, 997):
        # a score within the rounding of float32 may fall on either side
        t = float(counts.grid.threshold(index))
        low, high = ((upper >= t + slack).mean() for slack in (1e-6, -1e-6))
        assert low <= counts.shares[index] <= high
    assert counts.shares[-1] == 0
    assert (
        (counts.thresholds >= np.array(asked) - 1e-9) & (counts.thresholds <= np.array(asked) + counts.grid.step)
    ).all()
    others = scores + np.diag(np.full(data.n, -np.inf))
    for column, t in enumerate(counts.thresholds):
        expected = np.sort((others >= t).sum(axis=1))
        assert np.abs(np.sort(counts.accepted[:, column]) - expected).sum() <= 2
        assert counts.accepted[:, column].sum() == 2 * round(
            counts.shares[counts.grid.index_at_or_above(t)] * counts.n_pairs
        )


def test_the_covariance_is_that_of_leaving_each_sample_out():
    data = embedded(40)
    counts = count_unlabeled(data, thresholds=[0.1, 0.5])
    scores = reference.scores(data.vectors)
    left_out = []
    for gone in range(40):
        rest = np.delete(np.delete(scores, gone, 0), gone, 1)[np.triu_indices(39, 1)]
        left_out.append([(rest >= t).mean() for t in counts.thresholds])
    expected = np.cov(np.array(left_out).T, bias=True) * 39
    assert counts.covariance == pytest.approx(expected, rel=1e-6)


def test_a_threshold_beyond_the_scores_accepts_all_or_none():
    counts = count_unlabeled(embedded(20), metric="euclidean", thresholds=[-1e9, 1.0])
    assert counts.accepted.sum(axis=0).tolist() == [380, 0]


def test_float16_and_float64_count_alike():
    half = embedded(dtype="float16")
    double = EmbeddingSet.from_arrays(half.vectors.astype(np.float64), half.labels)
    assert np.abs(count_unlabeled(half).histogram - count_unlabeled(double).histogram).sum() <= 4


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(InputError, match="metric 'dot' is unknown"):
        count_unlabeled(embedded(), metric="dot")
    with pytest.raises(InputError, match="only 2 samples"):
        count_unlabeled(embedded(2))
    with pytest.raises(InputError, match="threshold is NaN"):
        count_unlabeled(embedded(), thresholds=[float("nan")])
    with pytest.raises(InputError, match="row 1 of embeddings is a zero vector"):
        count_unlabeled(EmbeddingSet.from_arrays(np.diag([1.0, 0.0, 1.0]), [0, 1, 2]))


def test_an_estimate_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(SampleEngine, "__call__", None)
    with pytest.raises(InputError, match=r"an estimate from 500,000 of 1,999,000; use another engine"):
        count_unlabeled(embedded(2000), engine=SampleEngine(pairs=5e5))


def test_an_estimate_of_an_engine_of_another_kind_is_refused_too():
    def estimating(problem, ladder, **options):
        return SampleEngine(pairs=5e5)(problem, ladder, **options)

    estimating.precision = "exact"
    with pytest.raises(InputError, match=r"an estimate from [\d,]+ of 1,999,000; use another engine"):
        count_unlabeled(embedded(2000), engine=estimating)
