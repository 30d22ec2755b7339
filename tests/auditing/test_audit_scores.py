"""Fixed lists of pairs: rates, folds and intervals against plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest

import evenmatch as em
from evenmatch.errors import InputError
from evenmatch.measures import rates_by_unit


def pairs(n: int = 400, seed: int = 0, decimals: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.permutation(np.arange(n) % 2 == 0)
    return np.round(rng.normal(size=n) + 1.5 * same, decimals), same


def test_the_threshold_is_the_lowest_score_that_keeps_the_rate():
    scores, same = pairs()
    for rate in em.audit_scores(scores, same, far=[0.0, 0.01, 0.1, 1.0]).rates:
        impostors = scores[~same]
        allowed = [t for t in [*sorted(scores.tolist()), np.inf] if np.mean(impostors >= t) <= rate.target]
        assert rate.threshold == min(allowed)
        assert rate.far == np.mean(impostors >= rate.threshold) <= rate.target
        assert rate.tar == np.mean(scores[same] >= rate.threshold)


def test_folds_are_judged_at_the_threshold_of_the_others():
    scores, same = pairs()
    folds = np.arange(scores.size) // 40
    found = em.audit_scores(scores, same, folds=folds).folds
    for fold in range(10):
        rest = folds != fold
        tried = {t: np.mean((scores[rest] >= t) == same[rest]) for t in [*np.unique(scores[rest]), np.inf]}
        best = min(t for t, accuracy in tried.items() if accuracy == max(tried.values()))
        assert found.thresholds[fold] == best
        assert found.accuracy[fold] == np.mean((scores[~rest] >= best) == same[~rest])
    assert found.mean == pytest.approx(sum(found.accuracy) / 10)
    deviation = (sum((a - found.mean) ** 2 for a in found.accuracy) / 9) ** 0.5
    assert found.standard_error == pytest.approx(deviation / 10**0.5)


def test_the_interval_over_subjects_holds_where_one_over_pairs_does_not():
    """Pairs of one subject share most of their error, so that 20 of them say little more than one."""
    held, binomial, truth = [], [], 0.5
    for seed in range(300):
        rng = np.random.default_rng(seed)
        subject = np.repeat(np.arange(60), 20)
        wrong = rng.normal(size=60)[subject] + 0.3 * rng.normal(size=1200) >= 0
        low, high = rates_by_unit(wrong, subject, 0.95)
        held.append(low <= truth <= high)
        reach = 1.96 * (wrong.mean() * (1 - wrong.mean()) / wrong.size) ** 0.5
        binomial.append(abs(wrong.mean() - truth) <= reach)
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(binomial) < 0.6


def test_intervals_leave_out_folds_before_classes_before_groups():
    scores, same = pairs()
    units = {"folds": np.arange(400) % 10, "classes": np.arange(400) % 40, "groups": np.arange(400) % 8}
    assert em.audit_scores(scores, same, **units).units == "fold"
    del units["folds"]
    assert em.audit_scores(scores, same, **units).units == "class"
    found = em.audit_scores(scores, same, groups=units["groups"], far=[0.1])
    assert found.units == "group"
    (far_low, far_high), (tar_low, tar_high) = found.intervals[0]
    assert far_low < found.rates[0].far < far_high
    assert tar_low < found.rates[0].tar < tar_high
    assert em.audit_scores(scores, same).intervals == ((None, None),) * 3


def test_a_list_without_an_error_has_no_interval_of_width_0():
    scores, same = pairs(decimals=6)
    folds = np.arange(400) % 10
    none, every = (em.audit_scores(scores, same, folds=folds, far=[rate]).intervals[0] for rate in (0.0, 1.0))
    assert none[0] is None
    assert none[1] is not None
    assert every == (None, None)
    assert rates_by_unit(np.zeros(400, bool), folds, 0.95) is None


def test_one_rate_and_names_of_any_kind():
    scores, same = pairs()
    groups = np.array(["10", 2, "b"], dtype=object)[np.arange(400) % 3]
    found = em.audit_scores(scores, same, groups=groups, far=0.1)
    assert len(found.rates) == 1
    summary = found.summary()
    names = {row["group"]: row["far"] for row in summary["groups"]}
    assert set(names) == {"10", "2", "b"}
    far = summary["differentials"]["far"]
    assert names[far["highest_group"]] == far["highest"]
    assert names[far["lowest_group"]] == far["lowest"]


def test_groups_and_eer():
    scores, same = pairs()
    groups = np.array(["a", "b"])[np.arange(400) % 2]
    found = em.audit_scores(scores, same, groups=groups, far=[0.05])
    threshold = found.rates[0].threshold
    for name in "ab":
        inside = groups == name
        far, frr = found.groups[name]
        assert far == np.mean(scores[inside & ~same] >= threshold)
        assert frr == np.mean(scores[inside & same] < threshold)
    gaps = {t: (np.mean(scores[~same] >= t), np.mean(scores[same] < t)) for t in [*np.unique(scores), np.inf]}
    assert found.eer == pytest.approx(sum(min(gaps.values(), key=lambda pair: abs(pair[0] - pair[1]))) / 2)
    summary = json.loads(json.dumps(found.summary(), allow_nan=False))
    between = abs(found.groups["a"][0] - found.groups["b"][0])
    assert summary["differentials"]["far"]["difference"] == pytest.approx(between)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0.1, np.nan, 0.3, 0.2]}, "score 1 is not finite"),
        ({"same": [1, 0, 1]}, "3 values for 4 scores"),
        ({"same": [1, 0, 2, 1]}, "other than"),
        ({"same": [1, 1, 1, 1]}, "one kind"),
        ({"folds": [0, 0, 0, 0]}, "one fold"),
        ({"folds": [0, 0, 1, 0]}, "one kind"),
        ({"folds": [7, 7, 9, 7]}, "without fold 7 all pairs are of one kind"),
        ({"groups": ["a", None, "b", "a"]}, "groups has no value for pair 1"),
        ({"groups": ["a", "b", np.nan, 1]}, "groups has no value for pair 2"),
        ({"far": []}, "at least one"),
        ({"far": [2.0]}, "between 0 and 1"),
        ({"confidence": 1.0}, "confidence"),
        ({"scores": ["a", "b", "c", "d"]}, "real numbers"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"scores": [0.1, 0.2, 0.3, 0.4], "same": [1, 1, 0, 1], **change}
    with pytest.raises(InputError, match=message):
        em.audit_scores(arguments.pop("scores"), arguments.pop("same"), **arguments)
