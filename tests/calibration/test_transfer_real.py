"""Transfer and alarm on real data, where they are: CLINC150, five domains against the other five."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import evenmatch as em
from evenmatch.measures import rates_at
from evenmatch.pairs import count_pairs

DATA = Path(os.environ.get("EVENMATCH_DATA", Path(__file__).parents[3] / "shared" / "data")) / "clinc150_minilm.npz"
pytestmark = [pytest.mark.data, pytest.mark.skipif(not DATA.is_file(), reason="the real data are not here")]


def test_the_far_of_other_domains_comes_at_least_twice_as_near_to_the_target():
    data = em.load(DATA)
    rng = np.random.default_rng(0)
    off: dict[str, list[float]] = {"untouched": [], "curves": [], "neighbours": []}
    for _ in range(8):
        chosen = np.isin(data.group_codes, rng.permutation(10)[:5])
        source, target = (
            data.subset(rng.choice(np.flatnonzero(side), 1500, replace=False)) for side in (chosen, ~chosen)
        )
        point = em.calibrate(source, far=1e-2, probability=None)
        truth = count_pairs(target, far=())
        thresholds = {
            "untouched": point.threshold,
            "curves": em.transfer(point, target).threshold,
            "neighbours": em.transfer(point, target, source=source).threshold,
        }
        for name, threshold in thresholds.items():
            off[name].append(abs(rates_at(truth, threshold)[0] - 1e-2))
    assert 2 * np.median(off["curves"]) < np.median(off["untouched"])
    assert 4 * np.median(off["neighbours"]) < np.median(off["untouched"])


def test_the_alarm_is_silent_on_other_intents():
    data = em.load(DATA)
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(12):
        chosen = np.isin(data.codes, rng.permutation(150)[:75])
        source, target = (
            data.subset(rng.choice(np.flatnonzero(side), 1500, replace=False)) for side in (chosen, ~chosen)
        )
        p_values.append(em.drift(em.calibrate(source, far=1e-2, probability=None), target).p_value)
    assert np.sum(np.array(p_values) < 0.05) <= 3
