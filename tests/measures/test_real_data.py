"""Sentence embeddings of a public intent benchmark, held against the float64 reference."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import reference
from evenmatch.embeddings import EmbeddingSet, load
from evenmatch.measures import consistency, equal_error_rate, recall_at_1
from evenmatch.pairs import count_pairs

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("EVENMATCH_DATA", ROOT.parent / "shared" / "data"))
FILE = FOLDER / "clinc150_minilm.npz"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FILE.is_file(), reason="no clinc150_minilm.npz in the folder that EVENMATCH_DATA names"),
]


@pytest.fixture(scope="module")
def subset() -> EmbeddingSet:
    full = load(FILE)
    return full.subset(np.sort(np.random.default_rng(0).choice(full.n, 3000, replace=False)))


def test_real_embeddings_give_what_the_reference_gives(subset):
    counts = count_pairs(subset)
    result = consistency(counts)
    S = reference.scores(subset.vectors)
    labels = subset.labels
    positive, negative = reference.pair_scores(S, labels)
    truth = reference.consistency(S, labels, counts.grid.thresholds)

    assert result.range == pytest.approx(truth.threshold_range, abs=1e-4)
    assert result.opis == pytest.approx(truth.opis, rel=1e-3)
    assert result.eps_opis == pytest.approx(truth.eps_opis, rel=1e-3)
    assert recall_at_1(counts) == pytest.approx(reference.recall_at_k(S, labels, 1), abs=1 / subset.n)
    rate, _ = equal_error_rate(counts)
    assert rate == pytest.approx(reference.equal_error_rate(positive, negative, counts.grid.thresholds), abs=1e-4)

    n_pairs = subset.n * (subset.n - 1) // 2
    assert (counts.n_positives, counts.n_negatives) == (positive.size, negative.size)
    own = reference.class_counts(S, labels, result.thresholds, classes=counts.classes.tolist())
    inside = np.isin(counts.thresholds, result.thresholds)
    for sign in ("positives", "negatives"):
        np.testing.assert_array_equal(getattr(counts, sign), getattr(own, sign))
        ours, theirs = getattr(counts, f"{sign}_accepted")[:, inside], getattr(own, f"{sign}_accepted")
        assert np.abs(ours - theirs).max() <= 1e-6 * n_pairs
    grid = counts.grid.thresholds
    in_range = (grid >= result.range[0]) & (grid <= result.range[1])
    for sign, values in (("positives", positive), ("negatives", negative)):
        difference = np.abs(getattr(counts, f"accepted_{sign}")[:-1] - reference.accepted(values, grid))[1:]
        assert difference[in_range[1:]].max() <= 1e-6 * n_pairs
        # where half of all scores lie within 0.15, float32 moves a few more across a threshold
        assert difference.max() <= 1e-6 * n_pairs
