"""The samples of a class, counted one by one."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import ScoreGrid, _scatter, count_pairs, sample_scatter


def clusters(sizes: list[int], dim: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return (rng.normal(size=(len(sizes), dim))[codes] + 0.5 * rng.normal(size=(codes.size, dim))).astype("f4"), codes


def grid_of(data: EmbeddingSet, metric: str) -> ScoreGrid:
    return count_pairs(data, metric=metric, far=()).grid


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", [0, 1])
def test_sums_are_those_of_the_matrix_of_scores(metric, seed):
    x, labels = clusters([1, 2, 5, 30, 70], seed=seed)
    data = EmbeddingSet.from_arrays(x, labels)
    grid = grid_of(data, metric)
    S = reference.scores(x, None, metric)
    thresholds = grid.threshold(np.array([grid.bin_of(v) for v in np.quantile(S, [0.2, 0.5, 0.9])]))
    near = np.abs(S[:, :, None] - thresholds).min() < 1e-6
    assert not near, "a score lies on a threshold: float32 may decide otherwise"
    found = sample_scatter(data, thresholds, metric=metric)
    names = count_pairs(data, metric=metric, far=()).classes.tolist()
    first, second = found.reference_rows
    assert not set(first) & set(second)
    for code, name in enumerate(names):
        rows = np.flatnonzero(labels == name)
        assert found.taken[code] == rows.size
        for t, threshold in enumerate(thresholds):
            s = [sum(S[a, b] >= threshold for b in rows if b != a) for a in rows]
            g, h = (
                [1 - np.mean([S[a, b] >= threshold for b in part if labels[b] != name]) for a in rows]
                for part in (first, second)
            )
            assert found.accepted[code, t] == sum(s) / 2
            assert found.accepted_squares[code, t] == sum(value**2 for value in s)
            assert found.rejected[code, t] == pytest.approx([sum(g), sum(h)])
            assert found.rejected_product[code, t] == pytest.approx(np.dot(g, h))
            assert found.accepted_rejected[code, t] == pytest.approx(np.dot(s, np.add(g, h)) / 2)


def test_a_large_class_is_judged_by_256_of_its_samples():
    x, labels = clusters([600, 40, 3])
    data = EmbeddingSet.from_arrays(x, labels)
    grid = ScoreGrid.cosine()
    found = sample_scatter(data, grid.threshold(np.array([0, 35000])))
    assert sorted(found.taken.tolist()) == [3, 40, 256]
    large = int(np.argmax(found.taken))
    assert found.accepted[large, 0] == 256 * 255 / 2
    counts = count_pairs(data, far=(), thresholds=[float(grid.threshold(35000))])
    share = counts.positives_accepted[large, 0] / counts.positives[large]
    assert found.accepted[large, 1] / (256 * 255 / 2) == pytest.approx(share, abs=0.05)


def test_threads_and_repetition_do_not_change_it(monkeypatch):
    monkeypatch.setattr(_scatter, "_BATCHES_ALONE", 0)
    monkeypatch.setattr(_scatter, "_BATCH_ROWS", 40)
    data = EmbeddingSet.from_arrays(*clusters([40] * 30))
    thresholds = ScoreGrid.cosine().threshold(np.array([25000, 30000]))
    one, two = (sample_scatter(data, thresholds, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.accepted_squares, two.accepted_squares)
    np.testing.assert_array_equal(one.rejected_product, two.rejected_product)


def test_every_class_is_whole_in_one_batch():
    sizes = np.array([300, 5, 500, 20, 260, 7, 400, 1, 200, 200, 200, 3])
    stops = np.cumsum(sizes)
    batches = list(_scatter._batches(stops - sizes, stops, np.random.default_rng(0)))
    owners = [np.searchsorted(stops, rows, "right") for rows in batches]
    seen = np.concatenate(owners)
    assert np.bincount(seen).tolist() == np.minimum(sizes, 256).tolist()
    assert sum(np.unique(each).size for each in owners) == sizes.size
    assert max(rows.size for rows in batches) <= 512
    assert all((np.diff(rows) > 0).all() for rows in batches)


def test_a_threshold_beside_the_grid_is_refused():
    data = EmbeddingSet.from_arrays(*clusters([5, 5]))
    with pytest.raises(InputError, match="grid"):
        sample_scatter(data, np.array([0.12341]))
