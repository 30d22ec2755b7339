"""The worst pairs of a class against all scores, sorted."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from evenmatch.embeddings import EmbeddingSet
from evenmatch.pairs import extreme_pairs

RNG = np.random.default_rng(0)
CODES = RNG.permutation(np.repeat(np.arange(12), 9))
X = (RNG.normal(size=(12, 6))[CODES] + 0.8 * RNG.normal(size=(CODES.size, 6))).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_each_sample_gives_its_worst_pair(metric):
    S = reference.scores(X, metric=metric)
    impostor, genuine = extreme_pairs(EmbeddingSet.from_arrays(X, CODES), label=4, count=100, metric=metric)
    mine = np.flatnonzero(CODES == 4)
    best = {row: S[row, CODES != 4].max() for row in mine}
    assert sorted(pair.row for pair in impostor) == mine.tolist()
    for pair in impostor:
        assert not pair.genuine
        assert CODES[pair.other] != 4
        assert pair.score == pytest.approx(S[pair.row, pair.other], abs=1e-5)
        assert pair.score == pytest.approx(best[pair.row], abs=1e-5)
    assert [pair.score for pair in impostor] == sorted((pair.score for pair in impostor), reverse=True)
    inside = [S[a, b] for a in mine for b in mine if a != b]
    assert genuine[0].score == pytest.approx(min(inside), abs=1e-5)
    assert len({frozenset((pair.row, pair.other)) for pair in genuine}) == len(genuine)
    assert all(CODES[pair.other] == 4 and pair.row != pair.other for pair in genuine)


def test_with_a_gallery_pairs_go_across():
    queries, gallery = slice(0, 50), slice(50, None)
    S = reference.scores(X[queries], X[gallery])
    sides = [EmbeddingSet.from_arrays(X[part], CODES[part]) for part in (queries, gallery)]
    impostor, genuine = extreme_pairs(*sides, label=4, count=2)
    mine = CODES[queries] == 4
    assert len(impostor) == 2
    assert impostor[0].score == pytest.approx(S[mine][:, CODES[gallery] != 4].max(), abs=1e-5)
    assert genuine[0].score == pytest.approx(S[mine][:, CODES[gallery] == 4].min(), abs=1e-5)


def test_a_class_of_one_has_no_genuine_pair():
    codes = np.append(CODES, 99)
    x = np.concatenate([X, RNG.normal(size=(1, 6)).astype(np.float32)])
    impostor, genuine = extreme_pairs(EmbeddingSet.from_arrays(x, codes), label=99)
    assert len(impostor) == 1
    assert genuine == []
