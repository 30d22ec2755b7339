"""What a point keeps of its scores: exact rates, and the spread between classes by leaving each out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from calibrated import made
from scipy.special import logit

import evenmatch as em
import reference
from evenmatch.calibration import score_curves
from evenmatch.pairs import count_pairs


def rates(scores, labels, t):
    positive, negative = reference.pair_scores(scores, labels)
    return (np.sum(negative >= t), negative.size), (np.sum(positive >= t), positive.size)


def test_the_curves_are_the_exact_rates():
    data = made()
    curves = em.calibrate(data, far=1e-2).curves
    assert curves is not None
    scores = reference.scores(data.vectors)
    positive, negative = reference.pair_scores(scores, data.labels)
    assert curves.positives == positive.size / (positive.size + negative.size)
    for t, far, tar in zip(curves.thresholds, curves.far, curves.tar, strict=True):
        assert far == pytest.approx(np.mean(negative >= t), abs=2 / negative.size)
        assert tar == pytest.approx(np.mean(positive >= t), abs=2 / positive.size)
    between = np.linspace(-1, 1, 301)
    assert curves.far_at(between) == pytest.approx([np.mean(negative >= t) for t in between], abs=0.02)
    assert curves.tar_at(between) == pytest.approx([np.mean(positive >= t) for t in between], abs=0.02)
    assert curves.far_at(np.array(curves.level_thresholds)) == pytest.approx(curves.level_far, rel=1e-6, abs=2e-8)
    assert curves.tar_at(np.array(curves.level_thresholds)) == pytest.approx(curves.level_tar, abs=1e-6)
    for far in (0.3, 0.05, 1e-3):
        t = curves.threshold_at(far)
        assert curves.far_at(np.array([t]))[0] == pytest.approx(far, rel=1e-6)


def test_the_covariance_is_that_of_leaving_each_class_out():
    data = made(k=25, each=6)
    curves = em.calibrate(data, far=1e-2).curves
    scores, labels = reference.scores(data.vectors), np.asarray(data.labels)
    left_out = []
    for gone in np.unique(labels):
        kept = labels != gone
        part = scores[np.ix_(kept, kept)]
        cells = [rates(part, labels[kept], t) for t in curves.level_thresholds]
        left_out.append([logit((a + 0.5) / (n + 1)) for side in (0, 1) for a, n in [cell[side] for cell in cells]])
    expected = np.cov(np.array(left_out).T, bias=True) * 24
    assert curves.matrix == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_few_classes_or_levels_leave_no_curves():
    assert em.calibrate(made(k=19), far=1e-2).curves is None
    counts = count_pairs(made(), far=(), thresholds=[0.9])
    assert score_curves(counts) is None
    with pytest.raises(em.errors.InputError, match=r"does not carry the score curves .* calibrate on labelled"):
        em.drift(em.calibrate(made(k=19), far=1e-2), made().vectors)


def test_points_without_curves_of_the_older_schema_are_read(tmp_path):
    from evenmatch.calibration._store import _checksum

    point = em.calibrate(made(), far=1e-2)
    point.save(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text("utf-8"))
    old = {key: value for key, value in content.items() if key not in ("curves", "origin", "checksum")} | {"schema": 1}
    (tmp_path / "old.json").write_text(json.dumps({**old, "checksum": _checksum(old)}))
    again = em.OperatingPoint.load(tmp_path / "old.json")
    assert again.curves is None
    assert (again.threshold, again.far_ci) == (point.threshold, point.far_ci)
    with pytest.raises(em.errors.InputError, match="older version"):
        em.transfer(again, made().vectors)
