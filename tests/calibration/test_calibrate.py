"""em.calibrate: the threshold is the lowest that keeps the target, exactly; what cannot be had is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from calibrated import made
from hypothesis import given, settings
from hypothesis import strategies as st

import evenmatch as em
import reference
from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.pairs import CpuEngine

RATES = st.sampled_from([0.0, 1e-6, 1e-3, 0.01, 1 / 30, 0.1, 0.3, 0.5, 0.9, 1.0])


def passes(monkeypatch) -> list[int]:
    """Counts the passes over all pairs from here on."""
    done: list[int] = []
    count = CpuEngine.__call__

    def counting(self, problem, ladder, **options):
        done.append(problem.n_pairs)
        return count(self, problem, ladder, **options)

    monkeypatch.setattr(CpuEngine, "__call__", counting)
    return done


@st.composite
def tied(draw) -> tuple[np.ndarray, list[int]]:
    """A few points of a lattice: most scores are tied, some sets have all of them equal."""
    n = draw(st.integers(4, 14))
    rows = draw(st.lists(st.sampled_from([(1, 1, 1, 1), (1, 1, 1, -1), (1, -1, 1, -1), (1, 1, -1, -1)]), min_size=n,
                         max_size=n))  # fmt: skip
    labels = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    return np.array(rows, np.float32), labels


@settings(max_examples=120)
@given(tied(), RATES, st.sampled_from(["far", "frr"]), st.sampled_from(["mean", "upper"]))
def test_the_realised_rate_never_exceeds_the_target(data, rate, kind, guarantee):
    x, labels = data
    try:
        point = em.calibrate(x, labels, **{kind: rate}, guarantee=guarantee, probability=None, threads=1)
    except UnreachableTargetError:
        return
    except InputError:  # one class, or nobody has two samples
        assert not 0 < np.equal.outer(labels, labels)[np.triu_indices(len(x), 1)].mean() < 1
        return
    accepted = reference.scores(x) >= point.threshold
    same = np.equal.outer(labels, labels)
    pair = np.triu(np.ones_like(same), 1)
    far, frr = accepted[pair & ~same].mean(), 1 - accepted[pair & same].mean()
    assert (point.far, point.frr) == pytest.approx((far, frr))
    assert getattr(point, kind) <= rate
    assert np.isfinite(point.threshold)


@settings(max_examples=60)
@given(tied(), RATES)
def test_no_lower_grid_threshold_keeps_the_target(data, rate):
    x, labels = data
    try:
        point = em.calibrate(x, labels, far=rate, probability=None, threads=1)
    except InputError:
        return
    if point.threshold < -1:
        return
    S, same = reference.scores(x), np.equal.outer(labels, labels)
    negative = S[np.triu(~same, 1)]
    assert (negative >= point.threshold - 6e-5).mean() > rate


@pytest.mark.parametrize("far", [0.2, 0.05, 1e-2, 1e-3])
def test_the_threshold_is_the_one_of_the_sorted_scores(far):
    data = made()
    negative = np.sort(reference.pair_scores(reference.scores(data.vectors), data.labels)[1])
    point = em.calibrate(data, far=far)
    allowed = int(far * negative.size)
    # above the first score that is one too many, by at most a step of the grid
    assert 0 < point.threshold - negative[-allowed - 1] <= 5e-5 * 1.02
    assert point.far == np.mean(negative >= point.threshold)


def test_constant_scores_leave_nothing_to_ship():
    x, labels = np.ones((40, 4)), np.arange(40) % 4
    for guarantee in ("mean", "upper"):
        with pytest.raises(UnreachableTargetError):
            em.calibrate(x, labels, far=0.01, guarantee=guarantee)
    with pytest.raises(UnreachableTargetError, match=r"only rejecting every pair gives FAR ≤ 0.01: 100.000% of the"):
        em.calibrate(x, labels, far=0.01)
    assert em.calibrate(x, labels, far=1.0).far == 1


@pytest.mark.parametrize("target", [{"far": 1.2}, {"far": -0.1}, {"frr": 2.0}, {"frr": float("nan")}, {"utility": 1.5}])
def test_what_is_no_rate_cannot_be_reached(target):
    with pytest.raises(UnreachableTargetError, match="cannot be reached; give"):
        em.calibrate(made(), **target)


def test_an_frr_target_takes_the_highest_threshold_that_keeps_it():
    data = made()
    positive = np.sort(reference.pair_scores(reference.scores(data.vectors), data.labels)[0])
    point = em.calibrate(data, frr=0.1)
    assert np.mean(positive < point.threshold) == pytest.approx(point.frr)
    assert point.frr <= 0.1 < np.mean(positive < point.threshold + 6e-5)


def test_utility_and_cost_are_the_best_of_the_grid():
    data = made()
    audit = em.audit(data)
    tar, tnr = 1 - audit.curve.frr, 1 - audit.curve.far
    for beta in (0.5, 1.0, 3.0):
        utility = (1 + beta**2) * tnr * tar / (beta**2 * tnr + tar)
        point = em.calibrate(data, beta=beta)
        assert point.threshold == audit.curve.thresholds[np.argmax(utility)]
    reached = em.calibrate(data, utility=0.8)
    assert reached.threshold == audit.curve.thresholds[np.argmax(2 * tnr * tar / (tnr + tar) >= 0.8)]
    with pytest.raises(UnreachableTargetError, match=r"no threshold reaches a utility of 0.9999.*the highest is 0.9"):
        em.calibrate(data, utility=0.9999)
    for prior in (None, 0.3):
        share = prior or audit.counts.n_positives / (audit.counts.n_positives + audit.counts.n_negatives)
        cost = 5 * share * audit.curve.frr + 20 * (1 - share) * audit.curve.far
        point = em.calibrate(data, cost_false_accept=20, cost_false_reject=5, prior=prior)
        assert point.threshold == pytest.approx(audit.curve.thresholds[np.argmin(cost)], abs=1e-12)


def test_upper_is_stricter_and_its_predicted_upper_end_keeps_the_target():
    data = made(k=120)
    mean, upper = (em.calibrate(data, far=2e-2, guarantee=g) for g in ("mean", "upper"))
    assert upper.threshold > mean.threshold
    assert mean.far_interval(120)[1] > 2e-2 >= upper.far_interval(120)[1]
    few = em.calibrate(data, far=2e-2, guarantee="upper", n_classes=20)
    assert few.threshold > upper.threshold
    assert few.far_interval(20)[1] <= 2e-2
    rejects = em.calibrate(data, frr=0.2, guarantee="upper")
    assert rejects.frr_interval(120)[1] <= 0.2
    assert rejects.threshold < em.calibrate(data, frr=0.2).threshold


def test_upper_on_frr_goes_as_far_up_as_the_classes_certify():
    """Where classes lie far apart, that is far above the threshold of FAR 1e-3."""
    data = made(k=200, each=6, dim=32, spread=0.3)
    point = em.calibrate(data, frr=0.05, guarantee="upper")
    assert point.far < 1e-4
    assert point.frr_interval(200)[1] <= 0.05
    mean = em.calibrate(data, frr=0.05)
    assert 0 < mean.threshold - point.threshold < 0.05
    higher = em.audit(data, thresholds=[(point.threshold + mean.threshold) / 2])
    assert higher.frr_at((point.threshold + mean.threshold) / 2) > point.frr
    with pytest.raises(InputError, match="audit with far=") as raised:
        em.calibrate(em.audit(data), frr=0.05, guarantee="upper")
    assert "stays below 0.05" in str(raised.value)


def test_scores_in_bfloat16_are_no_threshold_to_ship():
    audit = em.audit(made())
    fast = replace(audit, counts=replace(audit.counts, arithmetic="bfloat16"))
    with pytest.raises(InputError, match="needs float32 scores, and these were counted in bfloat16; audit with"):
        em.calibrate(fast, far=1e-2)


def test_groups_are_not_looked_at():
    data = made()
    grouped = em.EmbeddingSet.from_arrays(data.vectors, data.labels, groups=np.arange(data.n), name=data.name)
    assert em.calibrate(grouped, far=1e-2) == em.calibrate(data, far=1e-2)
    assert em.calibrate(grouped, far=1e-2, ref=data).far <= 1e-2


def test_too_few_classes_say_what_they_can_certify():
    data = made(k=75)
    with pytest.raises(UnreachableTargetError, match=r"75 classes cannot certify FAR 0.0001 for 75 new") as raised:
        em.calibrate(data, far=1e-4, guarantee="upper")
    tightest = float(str(raised.value).split("the tightest certifiable is ")[1].split(";")[0])
    assert 1e-4 < tightest < 0.2
    assert em.calibrate(data, far=tightest, guarantee="upper").far <= tightest


@pytest.mark.parametrize("options", [{"far": 1e-2}, {"far": 0.3}, {"far": 1e-2, "guarantee": "upper"}])
def test_one_pass_over_the_pairs_is_enough(monkeypatch, options):
    data = made(k=200, each=12)  # more samples than the look takes
    done = passes(monkeypatch)
    em.calibrate(data, **options)
    assert len(done) == 1


def test_a_second_pass_counts_the_classes_where_the_first_did_not(monkeypatch):
    data = made()
    done = passes(monkeypatch)
    point = em.calibrate(data, cost_false_accept=1e6, cost_false_reject=1)
    assert len(done) == 2
    assert point.far_evidence.classes == 60


def test_an_audit_is_calibrated_without_a_pass(monkeypatch, tmp_path):
    data = made()
    em.audit(data).save(tmp_path / "a")
    audit = em.Audit.load(tmp_path / "a")
    done = passes(monkeypatch)
    for far in (0.01, 0.03, 0.1):
        assert em.calibrate(audit, far=far).threshold == audit.threshold_at_far(far).threshold
    assert done == []
    of_data = em.calibrate(data, far=0.01)
    # the audit has counted its classes at other levels
    assert replace(em.calibrate(audit, far=0.01), curves=of_data.curves) == of_data


def test_an_audit_that_does_not_suffice_says_so():
    audit = em.audit(made())
    with pytest.raises(InputError, match=r"these counts do not suffice: .* pass the embeddings, or audit with far="):
        em.calibrate(audit, far=0.6)
    with pytest.raises(InputError, match="these counts do not suffice"):
        em.calibrate(audit, frr=0.9)
    with pytest.raises(InputError, match="its own labels, gallery and metric"):
        em.calibrate(audit, metric="euclidean", far=0.05)


def test_a_gallery_and_euclidean_scores_are_calibrated_too():
    data = made()
    queries, gallery = data.subset(slice(0, 200)), data.subset(slice(200, None))
    for metric in ("cosine", "euclidean"):
        point = em.calibrate(queries, ref=gallery, far=0.02, metric=metric)
        S = reference.scores(queries.vectors, gallery.vectors, metric)
        negative = S[~np.equal.outer(queries.labels, gallery.labels)]
        assert point.metric == metric
        assert point.far == pytest.approx(np.mean(point.accepts(negative)), abs=2 / negative.size)
        assert point.far <= 0.02
        assert point.data.references == 280


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "exactly one objective"),
        ({"far": 0.1, "beta": 1.0}, "exactly one objective"),
        ({"cost_false_accept": 1.0}, "both costs"),
        ({"beta": 0.0}, "above 0"),
        ({"far": 0.1, "prior": 1.0}, "between 0 and 1"),
        ({"far": 0.1, "confidence": 95}, "between 0 and 1"),
        ({"far": 0.1, "n_classes": 50}, "belongs to guarantee='upper'"),
        ({"far": 0.1, "n_classes": 1, "guarantee": "upper"}, "at least 2"),
        ({"beta": 1.0, "guarantee": "upper"}, "give far=… or frr=…"),
        ({"far": 0.1, "probability": "sigmoid"}, "is unknown"),
        ({"far": 0.1, "guarantee": "sure"}, "use 'mean' or 'upper'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_work(monkeypatch, options, said):
    done = passes(monkeypatch)
    with pytest.raises(InputError, match=said):
        em.calibrate(made(), **options)
    assert done == []


def test_scores_are_accepted_from_the_threshold_on():
    point = em.calibrate(made(), far=1e-2)
    t = point.threshold
    near = np.array([[np.nextafter(t, -1), t], [np.nextafter(t, 1), -np.inf]])
    assert point.accepts(near).tolist() == [[False, True], [True, False]]
    below = np.float32(t)
    below = below if float(below) < t else np.nextafter(below, np.float32(-1))
    assert not point.accepts(below)  # compared in float64, whatever the scores are
    for bad in ([np.nan], ["a"]):
        with pytest.raises(InputError):
            point.accepts(bad)


def test_the_card_escapes_what_comes_from_the_data():
    point = em.calibrate(made(name="<b>x</b>"), far=1e-2)
    assert "<b>x" not in point._repr_html_()
    assert "&lt;b&gt;x" in point._repr_html_()
    assert "FAR ≤ 0.01" in repr(point)
