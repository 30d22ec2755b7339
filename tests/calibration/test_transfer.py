"""em.transfer: the FAR of a new domain without its labels, with intervals that hold; thin evidence is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from calibrated import made

import evenmatch as em
import reference
from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.measures import rates_at
from evenmatch.pairs import count_pairs

OLD = made(k=80)
POINT = em.calibrate(OLD, far=1e-2)


def shifted(seed: int = 5, offset: float = 0.35, k: int = 80) -> em.EmbeddingSet:
    """Other classes, all moved the same way: every score rises."""
    data = made(k=k, seed=seed)
    return em.EmbeddingSet.from_arrays(data.vectors + np.float32(offset), data.labels, name="moved")


def true_share(data: em.EmbeddingSet) -> float:
    sizes = np.bincount(data.codes)
    return float((sizes * (sizes - 1)).sum() / (data.n * (data.n - 1)))


def test_the_estimate_is_the_share_accepted_less_the_matches():
    new = shifted()
    found = em.transfer(POINT, new.vectors, positives=0.02)
    scores = reference.scores(new.vectors)[np.triu_indices(new.n, 1)]
    for threshold, far in ((found.threshold, found.far), (POINT.threshold, found.untouched_far)):
        tar = POINT.curves.tar_at(np.array([threshold]))[0]
        expected = (np.mean(scores >= threshold) - 0.02 * tar) / 0.98
        assert far == pytest.approx(expected, abs=3 / scores.size)
    lower = found.threshold - 5e-5
    assert (np.mean(scores >= lower) - 0.02 * POINT.curves.tar_at(np.array([lower]))[0]) / 0.98 > 1e-2 - 3 / scores.size
    assert (found.method, found.positives_ci) == ("given", (0.02, 0.02))


@pytest.mark.parametrize("method", ["curves", "neighbours", "given"])
def test_a_shifted_domain_gets_the_far_that_was_asked_for(method):
    before, after = [], []
    for seed in range(5, 9):
        new = shifted(seed)
        options = {"curves": {}, "neighbours": {"source": OLD}, "given": {"samples_per_class": 8}}[method]
        found = em.transfer(POINT, new.vectors, **options)
        truth = count_pairs(new, far=())
        assert found.method == method
        before.append(abs(rates_at(truth, POINT.threshold)[0] - 1e-2))
        after.append(abs(rates_at(truth, found.threshold)[0] - 1e-2))
    assert np.median(after) < np.median(before) / 4
    assert np.median(after) < (3e-3 if method == "curves" else 2e-3)


def test_labels_of_the_new_data_are_not_looked_at():
    new = shifted()
    other = em.EmbeddingSet.from_arrays(new.vectors, np.arange(new.n) // 2)
    assert em.transfer(POINT, new, source=OLD).threshold == em.transfer(POINT, other, source=OLD).threshold


def test_the_intervals_hold_on_other_classes_of_the_same_kind():
    """40 draws of both sides; a 95% interval that held in fewer than 34 of them would be off (p < 1e-3)."""
    held = {"curves": [], "neighbours": []}
    for seed in range(40):
        source, new = made(k=60, seed=100 + seed), made(k=60, seed=300 + seed)
        point = em.calibrate(source, far=1e-2, probability=None)
        realised = count_pairs(new, far=())
        for method, more in (("curves", {}), ("neighbours", {"source": source})):
            found = em.transfer(point, new.vectors, **more)
            far = rates_at(realised, found.threshold)[0]
            held[method].append(
                found.far_ci[0] <= far <= found.far_ci[1]
                and found.positives_ci[0] <= true_share(new) <= found.positives_ci[1]
            )
    assert {method: np.sum(inside) >= 34 for method, inside in held.items()} == {"curves": True, "neighbours": True}, (
        held
    )


def test_the_width_of_the_interval_follows_what_is_known():
    """Given the share, what is left is the TAR; an estimated share can only add to it."""
    new = shifted().vectors
    width = {
        name: np.diff(em.transfer(POINT, new, **options).far_ci)[0]
        for name, options in (("given", {"positives": 0.011}), ("curves", {}))
    }
    assert 0 < width["given"] < width["curves"]


def test_the_point_says_that_it_saw_no_labels(tmp_path):
    found = em.transfer(POINT, shifted(), source=OLD)
    point = found.point
    assert point.origin is not None
    assert point.origin.calibrated_on["fingerprint"] == POINT.data.fingerprint
    assert point.threshold == found.threshold
    assert point.far == found.far <= 1e-2
    assert point.far_ci[0] < point.far < point.far_ci[1]
    assert point.data.positives + point.data.negatives == 640 * 639 // 2
    assert "estimates from data without labels" in point.not_for[0]
    assert point.summary()["unlabeled"]
    assert not POINT.summary()["unlabeled"]
    json.dumps(found.summary(), allow_nan=False)
    json.dumps(point.summary(), allow_nan=False)
    point.save(tmp_path / "moved.json")
    again = em.OperatingPoint.load(tmp_path / "moved.json")
    assert again == point
    assert again.summary() == point.summary()
    assert "share of matches" in again._repr_html_()
    with pytest.raises(InputError, match="a transferred point"):
        em.transfer(again, shifted())


def test_copies_are_left_out_and_counted():
    new = shifted().vectors
    with_copies = np.concatenate([new, new[:100], new[:100]])
    found = em.transfer(POINT, with_copies, positives=0.011)
    assert (found.copies, found.samples) == (200, 640)
    assert found.threshold == em.transfer(POINT, new, positives=0.011).threshold
    with pytest.raises(InputError, match=r"there are 150 samples that differ \(450 are copies\) and at least 200"):
        em.transfer(POINT, np.tile(new[:150], (4, 1)))


def test_thin_evidence_is_named_and_no_point_is_given():
    few_classes = em.transfer(POINT, made(k=5, each=60, seed=4).vectors, source=OLD)
    assert any("of the pairs seem to match" in reason for reason in few_classes.thin)
    with pytest.raises(UnreachableTargetError, match=r"too thin to ship this threshold: .*; pass more samples"):
        few_classes.point  # noqa: B018
    assert "too thin" in repr(few_classes)
    few_pairs = em.transfer(POINT, shifted(k=30), far=1e-4)
    assert any("28680 pairs fewer than 30 are expected" in reason for reason in few_pairs.thin)
    noise = np.random.default_rng(0)
    blind = em.calibrate(noise.normal(size=(400, 16)), np.arange(400) % 40, far=1e-2)
    assert any("do not stand out" in reason for reason in em.transfer(blind, noise.normal(size=(400, 16))).thin)
    assert em.transfer(POINT, shifted()).thin == ()


def test_a_target_that_no_threshold_meets_is_refused():
    tied = np.repeat(np.eye(4, 16, dtype=np.float32), 100, axis=0)
    tied *= np.arange(1, 401, dtype=np.float32)[:, None]  # different rows, but scores of 1 among a quarter of the pairs
    with pytest.raises(UnreachableTargetError, match=r"only rejecting every pair .* have the highest possible score"):
        em.transfer(POINT, tied, positives=0.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"positives": 1.0}, "positives is 1; give the share"),
        ({"positives": 0.1, "samples_per_class": 3}, "say the same; give one"),
        ({"samples_per_class": 0.5}, "samples_per_class is 0.5"),
        ({"source_labels": [1]}, "without source"),
        ({"source": made(dim=8)}, "source have 8 dimensions and the point was calibrated on 16"),
        ({"confidence": 1.0}, "confidence is 1"),
        ({"far": 0.0}, "cannot be estimated"),
    ],
)
def test_what_cannot_be_used_is_said(options, said):
    with pytest.raises(InputError, match=said):
        em.transfer(POINT, shifted(), **options)


def test_other_dimensions_and_too_few_samples_are_refused():
    with pytest.raises(InputError, match="embeddings have 8 dimensions"):
        em.transfer(POINT, made(dim=8).vectors)
    with pytest.raises(InputError, match="there are 100 samples and at least 200 are needed"):
        em.transfer(POINT, made().vectors[:100])


def test_another_objective_keeps_the_far_that_it_realised():
    point = em.calibrate(OLD, frr=0.1)
    assert em.transfer(point, shifted()).target == point.far


def test_euclidean_scores_are_transferred_too():
    point = em.calibrate(OLD, far=1e-2, metric="euclidean")
    new = made(k=80, seed=5)
    new = em.EmbeddingSet.from_arrays(new.vectors * np.float32(0.9), new.labels)
    truth = count_pairs(new, metric="euclidean", far=())
    before = abs(rates_at(truth, point.threshold)[0] - 1e-2)
    for more in ({}, {"source": OLD}, {"samples_per_class": 8}):
        after = abs(rates_at(truth, em.transfer(point, new.vectors, **more).threshold)[0] - 1e-2)
        assert after < before / 3


@pytest.mark.parametrize("options", [{"far": 5.0}, {"far": 0.0}, {"confidence": 95}])
def test_what_cannot_be_had_is_refused_before_the_count(monkeypatch, options):
    monkeypatch.setattr("evenmatch.auditing._transfer.count_unlabeled", None)
    with pytest.raises(InputError, match="between 0 and 1"):
        em.transfer(POINT, shifted(), **options)
