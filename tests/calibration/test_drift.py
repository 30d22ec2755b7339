"""em.drift: no more false alarms than stated, and an alarm where the scores did move."""

from __future__ import annotations

import json

import numpy as np
import pytest
from calibrated import made
from scipy.stats import binom

import evenmatch as em
from evenmatch.errors import InputError

POINT = em.calibrate(made(), far=1e-2)


@pytest.mark.parametrize("new", [{}, {"k": 40, "each": 6}, {"k": 90, "each": 4}])
def test_false_alarms_are_no_more_than_stated(new):
    """60 draws of classes on both sides, as many or fewer or more, of other sizes."""
    p_values = []
    for seed in range(60):
        point = em.calibrate(made(seed=1000 + seed), far=1e-2, probability=None)
        p_values.append(em.drift(point, made(seed=3000 + seed, **new).vectors).p_value)
    for alpha in (0.01, 0.05, 0.2):
        assert np.sum(np.array(p_values) < alpha) <= binom.ppf(0.999, len(p_values), alpha)


@pytest.mark.parametrize("how", ["moved", "fewer dimensions", "stretched"])
def test_a_shift_is_noticed(how):
    fired = []
    for seed in range(10):
        x = made(seed=50 + seed).vectors
        moved = {
            "moved": x + 0.4,
            "fewer dimensions": x * (np.arange(16) < 8),
            "stretched": x * np.geomspace(0.2, 1, 16),
        }
        fired.append(em.drift(POINT, moved[how]).drift)
    assert np.sum(fired) >= 8


def test_the_verdict_is_the_p_value_against_alpha():
    x = made(seed=7).vectors + np.float32(0.12)
    found = em.drift(POINT, x)
    assert em.drift(POINT, x, alpha=min(found.p_value * 1.01, 0.99)).drift
    assert not em.drift(POINT, x, alpha=found.p_value * 0.99).drift
    assert found.p_value == em.drift(POINT, x, alpha=0.3).p_value


def test_the_matches_are_left_open():
    """More samples a class raise every share in the upper range; that alone is no drift."""
    few, many = (em.drift(POINT, made(k=60, each=each, seed=9).vectors) for each in (4, 16))
    assert many.accepted[-1] > 1.3 * few.accepted[-1]
    assert many.positives > 1.2 * few.positives
    assert not many.drift
    assert not few.drift


def test_the_summary_is_json_and_the_shares_are_exact():
    found = em.drift(POINT, np.concatenate([made(seed=7).vectors, made(seed=7).vectors[:9]]))
    assert json.loads(json.dumps(found.summary(), allow_nan=False))["copies"] == 9
    x = made(seed=7).vectors.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    upper = (x @ x.T)[np.triu_indices(len(x), 1)]
    assert found.accepted_at_threshold == pytest.approx(np.mean(upper >= POINT.threshold), abs=3 / upper.size)
    assert found.accepted == pytest.approx([np.mean(upper >= t) for t in POINT.curves.level_thresholds], abs=1e-4)


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(InputError, match="alpha is 0; give a false-alarm rate"):
        em.drift(POINT, made().vectors, alpha=0.0)
    with pytest.raises(InputError, match="there are 199 samples and at least 200"):
        em.drift(POINT, made().vectors[:199])
    with pytest.raises(InputError, match="calibrated on 16"):
        em.drift(POINT, made(dim=8).vectors)
