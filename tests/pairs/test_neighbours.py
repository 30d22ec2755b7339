"""The nearest neighbours against the reference's ranking."""

from __future__ import annotations

import numpy as np
import pytest
from contract import ACROSS, WITHIN, Case, lattice

import reference
from evenmatch.errors import InputError
from evenmatch.pairs import _neighbours, nearest_neighbours

CASES = {
    **{f"within: {name}": case for name, case in WITHIN.items()},
    **{f"across: {name}": case for name, case in ACROSS.items()},
}


def recall(neighbours, k: int) -> float:
    return neighbours.same[:, :k].any(axis=1)[neighbours.positives > 0].mean()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", CASES)
def test_neighbours_are_the_best_scores_in_order(name, metric):
    case = CASES[name]
    found = nearest_neighbours(*case.sets, k=7, metric=metric)
    S = reference.scores(case.x, case.ref, metric)
    if case.ref is None:
        np.fill_diagonal(S, -np.inf)
    available = S.shape[1] - (case.ref is None)
    k = min(7, available)
    assert found.same.shape == found.scores.shape == (len(case.x), k)
    np.testing.assert_allclose(found.scores, -np.sort(-S, axis=1)[:, :k], rtol=0, atol=1e-6 * np.abs(S[S > -9e9]).max())
    names = reference.classes_of(case.labels, case.ref_labels)
    rows = reference.encode(case.labels, names)
    cols = rows if case.ref_labels is None else reference.encode(case.ref_labels, names)
    expected = (rows[:, None] == cols).sum(axis=1) - (case.ref is None)
    np.testing.assert_array_equal(found.positives, expected)


@pytest.mark.parametrize("dim", [4, 16])
@pytest.mark.parametrize("across", [False, True])
def test_a_tie_never_counts_as_a_success(dim, across):
    labels = np.arange(120) % 9
    case = Case(lattice(120, dim), labels)
    if across:
        case = Case(case.x, labels, ref=lattice(50, dim, seed=5), ref_labels=np.arange(50) % 7)
    S = np.round(reference.scores(case.x, case.ref) * 64) / 64
    found = nearest_neighbours(*case.sets, k=200)
    for k in (1, 2, 3, 10, 40):
        assert recall(found, k) == pytest.approx(reference.recall_at_k(S, labels, k, case.ref_labels), abs=1e-12)
        short = nearest_neighbours(*case.sets, k=k)
        assert recall(short, k) == recall(found, k)


def test_blocks_and_threads_do_not_matter(monkeypatch):
    case = WITHIN["many wide rows"]
    expected = nearest_neighbours(*case.sets, k=5, threads=1)
    monkeypatch.setattr(_neighbours, "_BLOCK_BYTES", 1)
    seen: list[float] = []
    found = nearest_neighbours(*case.sets, k=5, threads=3, progress=seen.append)
    np.testing.assert_array_equal(found.same, expected.same)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-6)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_no_neighbour_is_refused():
    with pytest.raises(InputError, match="k is 0; ask for at least 1"):
        nearest_neighbours(*WITHIN["three samples"].sets, k=0)
