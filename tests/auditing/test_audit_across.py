"""em.audit_across: one threshold for several data sets."""

from __future__ import annotations

import json

import numpy as np
import pytest
from audited import clusters

import evenmatch as em
import reference
from evenmatch.errors import InputError, UnreachableTargetError


def made(seed: int, noise: float) -> em.EmbeddingSet:
    x, codes = clusters(seed=seed)
    return em.EmbeddingSet.from_arrays(x + noise * np.random.default_rng(seed).normal(size=x.shape), codes)


SETS = {"clean": made(0, 0.0), "noisy": made(1, 0.8), "other": made(2, 0.4)}
PAIRS = {name: reference.pair_scores(reference.scores(data.vectors), data.labels) for name, data in SETS.items()}


@pytest.mark.parametrize("on", ["union", "noisy"])
def test_one_threshold_is_looked_at_on_every_set(on):
    across = em.audit_across(SETS, far=0.02, on=on)
    fixed = np.concatenate([negative for name, (_, negative) in PAIRS.items() if on in (name, "union")])
    assert np.mean(fixed >= across.threshold) <= 0.02 < np.mean(fixed >= across.threshold - 6e-5)
    for name, (positive, negative) in PAIRS.items():
        row = across.table.loc[name]
        assert row.far == pytest.approx(np.mean(negative >= across.threshold))
        assert row.tar == pytest.approx(np.mean(positive >= across.threshold))
        assert row.own_far <= 0.02
        assert row.own_tar == pytest.approx(np.mean(positive >= row.own_threshold))
        assert row.far_low <= row.far <= row.far_high
        assert row.tar_low <= row.tar <= row.tar_high
        assert row.tar_lost == pytest.approx(row.own_tar - row.tar)
    assert across.spread["far"] == pytest.approx(across.table.far.max() - across.table.far.min())
    json.dumps(across.summary(), allow_nan=False)


def test_a_set_on_which_the_threshold_was_fixed_loses_nothing():
    across = em.audit_across(SETS, far=0.02, on="clean")
    assert across.table.loc["clean", "tar_lost"] == 0
    assert across.threshold == across.table.loc["clean", "own_threshold"]


def test_audits_serve_as_well_as_embeddings():
    audits = {name: em.audit(data, far=(1e-3, 0.9)) for name, data in SETS.items()}
    ours, theirs = em.audit_across(audits, far=0.02), em.audit_across(SETS, far=0.02)
    columns = ["far", "tar", "own_threshold", "own_tar"]
    np.testing.assert_allclose(ours.table[columns], theirs.table[columns])
    with pytest.raises(InputError, match="noisy was audited with cosine scores, not euclidean"):
        em.audit_across({"other": SETS["other"], "noisy": audits["noisy"]}, on="other", metric="euclidean")


def test_euclidean_scores_need_a_set_to_fix_the_threshold_on():
    across = em.audit_across(SETS, far=0.05, on="clean", metric="euclidean")
    negative = reference.pair_scores(reference.scores(SETS["noisy"].vectors, metric="euclidean"), SETS["noisy"].labels)[
        1
    ]
    assert across.table.loc["noisy", "far"] == pytest.approx(np.mean(negative >= across.threshold), abs=1e-4)
    with pytest.raises(InputError, match="the union needs one grid of thresholds"):
        em.audit_across(SETS, metric="euclidean")


@pytest.mark.parametrize(
    ("sets", "options", "said"),
    [
        ({"clean": SETS["clean"]}, {}, "at least two"),
        (SETS, {"on": "nowhere"}, "'union' or one of 'clean', 'noisy', 'other'"),
        ({**SETS, "union": SETS["clean"]}, {}, "call it something else"),
    ],
)
def test_bad_arguments_are_named(sets, options, said):
    with pytest.raises(InputError, match=said):
        em.audit_across(sets, **options)


def test_rates_that_cannot_be_had_are_refused():
    with pytest.raises(UnreachableTargetError, match="between 0 and 1"):
        em.audit_across(SETS, far=2)
    same = em.EmbeddingSet.from_arrays(np.ones((20, 3)), np.arange(20) % 4)
    with pytest.raises(UnreachableTargetError, match="only rejecting every pair"):
        em.audit_across({"a": same, "b": same}, far=0.01)


def test_a_set_that_no_threshold_serves_has_none_of_its_own():
    x, codes = clusters(k=15, each=2)
    x[2] = x[0]  # one item under two labels, among few pairs
    across = em.audit_across({"copies": em.EmbeddingSet.from_arrays(x, codes), "clean": SETS["clean"]}, far=1e-3)
    assert across.table.loc["copies", ["own_threshold", "own_far", "own_tar", "tar_lost"]].isna().all()
    assert across.table.loc["copies", "far"] > 0
    assert across.spread["threshold"] == 0
    summary = json.loads(json.dumps(across.summary(), allow_nan=False))
    assert summary["sets"][0]["own_threshold"] is None


def test_a_confidence_that_is_none_is_refused_before_the_count(monkeypatch):
    monkeypatch.setattr("evenmatch.auditing._across.count_pairs", None)
    with pytest.raises(InputError, match="confidence is 95"):
        em.audit_across(SETS, confidence=95)
    with pytest.raises(UnreachableTargetError, match="between 0 and 1"):
        em.audit_across(SETS, far=1.5)
