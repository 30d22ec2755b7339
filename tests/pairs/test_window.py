"""A look that misses is found out, and the pass done again where the thresholds are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from contract import ACROSS, FLOAT32, WITHIN, Case, assert_conserved, assert_true

from evenmatch.pairs import CpuEngine, _run, _window, count_pairs
from evenmatch.pairs._problem import Problem


@pytest.fixture
def passes(monkeypatch) -> list[np.ndarray]:
    """The class thresholds of every pass over the pairs."""
    done: list[np.ndarray] = []
    real = CpuEngine.__call__

    def counted(self, problem, ladder, **options: Any):
        done.append(ladder.thresholds)
        return real(self, problem, ladder, **options)

    monkeypatch.setattr(CpuEngine, "__call__", counted)
    return done


WRONG_LOOKS: dict[str, Callable[..., np.ndarray]] = {
    "too low": lambda problem, far: np.arange(0, 300),
    "too high": lambda problem, far: np.arange(39_000, 40_001, 10),
    "one point": lambda problem, far: np.array([20_000]),
    "every other": lambda problem, far: np.arange(0, 40_001, 97),
}


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("wrong", WRONG_LOOKS)
def test_a_look_that_missed_is_redone_where_the_thresholds_are(monkeypatch, passes, wrong, across):
    case = ACROSS["groups"] if across else WITHIN["groups"]
    monkeypatch.setattr(_run, "look", WRONG_LOOKS[wrong])
    far = (1e-2, 1e-1)
    counts = case.count(far=far, thresholds=(0.123,))
    assert len(passes) == 2
    assert_true(counts, case, FLOAT32.of(counts))
    assert counts.thresholds[counts.column(0.123)] == 0.123
    low, high = (counts.column(counts.grid.threshold(counts.index_at_far(rate))) for rate in (0.1, 0.01))
    assert high - low >= 127


def test_a_look_that_hit_is_not_redone(passes):
    WITHIN["groups"].count()
    assert len(passes) == 1


def test_progress_begins_again_in_a_second_pass(monkeypatch, passes):
    monkeypatch.setattr(_run, "look", WRONG_LOOKS["too low"])
    real = CpuEngine.__call__

    def talkative(self, problem, ladder, *, progress):
        for share in (0.0, 0.25, 0.75):
            progress(share)
        return real(self, problem, ladder, progress=progress)

    monkeypatch.setattr(CpuEngine, "__call__", talkative)
    seen: list[float] = []
    WITHIN["groups"].count(progress=seen.append)
    assert len(passes) == 2
    assert seen.count(0.0) == 2
    second = seen[seen.index(0.0, 1) :]
    assert second == sorted(second)
    assert seen[-1] == 1.0


def test_a_sample_of_the_pairs_finds_the_thresholds_of_all(passes):
    # 6,000 samples in long classes whose scores drift: only a third of the rows is looked at
    rng = np.random.default_rng(0)
    codes = np.sort(rng.integers(0, 40, 6000))
    x = rng.normal(size=(40, 16))[codes] * np.linspace(0.2, 3, 40)[codes, None] + rng.normal(size=(6000, 16))
    case = Case(x.astype(np.float32), codes)
    counts = case.count(far=(1e-3, 1e-2, 1e-1))
    assert len(passes) == 1
    for rate in (1e-3, 1e-2, 1e-1):
        counts.column(counts.grid.threshold(counts.index_at_far(rate)))
    assert_conserved(counts, case.n_pairs)


def test_data_made_to_deceive_the_sample_is_counted_at_the_true_threshold(passes):
    # All samples lie on a cone, alike to each other by 0.5 or so; one, left out by the sample, lies on its axis and is
    # alike to all others by 0.7. Its 4,499 pairs are 4 in 10,000, and decide the threshold of FAR 1e-4 alone.
    n, dim, rate = 4500, 256, 1e-4
    rng = np.random.default_rng(0)
    around = rng.normal(size=(n, dim - 1))
    around *= np.sqrt(0.51) / np.linalg.norm(around, axis=1)[:, None]
    x = np.hstack([np.full((n, 1), 0.7), around])
    labels = np.arange(n) // 2
    problem = Problem.build(*Case(x, labels).sets)
    sampled = np.concatenate(_window._sample(np.random.default_rng(0), problem, 1024))
    left_out = np.setdiff1d(np.arange(n), sampled)
    assert left_out.size  # else the sample is no sample and this test holds nothing
    x[left_out[0]] = np.eye(dim)[0]

    case = Case(x.astype(np.float32), labels)
    counts = case.count(far=(rate, 1e-1))
    assert len(passes) == 2
    threshold = float(counts.grid.threshold(counts.index_at_far(rate)))
    assert threshold == pytest.approx(0.7, abs=1e-3)
    accepted = counts.negatives_accepted[:, counts.column(threshold)].sum()
    assert accepted <= 2 * rate * counts.n_negatives
    assert_conserved(counts, case.n_pairs)


def test_an_unreachable_far_does_not_hide_the_others(passes):
    # half of the negative pairs are copies: FAR 0.1 is reached by +inf alone, FAR 0.9 by a threshold
    x = np.concatenate([np.ones((60, 4)), np.random.default_rng(0).normal(size=(20, 4))]).astype(np.float32)
    case = Case(x, np.arange(80) % 10)
    counts = case.count(far=(0.1, 0.9))
    assert counts.index_at_far(0.1) == counts.grid.size
    counts.column(counts.grid.threshold(counts.index_at_far(0.9)))
    assert_true(counts, case, FLOAT32.of(counts), exact_share=0)


def test_the_same_data_gives_the_same_thresholds_every_time():
    queries, _ = WITHIN["many wide rows"].sets
    np.testing.assert_array_equal(count_pairs(queries).thresholds, count_pairs(queries).thresholds)
