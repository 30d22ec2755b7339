"""em.audit from embeddings to numbers."""

from __future__ import annotations

import dataclasses
import io
import json
import math

import numpy as np
import pytest
from audited import clusters, full_audit, with_singletons

import evenmatch as em
import reference
from evenmatch.errors import InputError, UnreachableTargetError


@pytest.fixture(scope="module")
def audit() -> em.Audit:
    return full_audit()


@pytest.fixture(scope="module")
def truth() -> tuple[np.ndarray, np.ndarray]:
    x, labels, _ = with_singletons()
    return reference.scores(x), labels


def clear_threshold(S: np.ndarray, near: float) -> float:
    """A threshold in the widest gap between the scores around a given one."""
    every = np.sort(S[np.triu_indices(len(S), 1)])
    part = every[np.searchsorted(every, near) :][:40]
    widest = int(np.argmax(np.diff(part)))
    return float((part[widest] + part[widest + 1]) / 2)


# ---------------------------------------------------------------- numbers


def test_an_audit_gives_what_the_reference_gives(audit, truth):
    S, labels = truth
    grid = audit.counts.grid.thresholds
    expected = reference.consistency(S, labels, grid, points=1000)
    positive, negative = reference.pair_scores(S, labels)
    assert audit.threshold_range == pytest.approx(expected.threshold_range, abs=1e-4)
    assert audit.threshold == audit.threshold_range[1]
    assert audit.opis == pytest.approx(expected.opis, rel=1e-3)
    assert audit.eps_opis == pytest.approx(expected.eps_opis, rel=1e-3)
    assert audit.eer == pytest.approx(reference.equal_error_rate(positive, negative, grid), abs=1 / positive.size)
    assert np.mean(negative >= audit.eer_threshold) == pytest.approx(audit.eer, abs=5e-3)
    assert list(audit.recall_at_k) == [1, 5, 10]
    for k, value in audit.recall_at_k.items():
        assert value == pytest.approx(reference.recall_at_k(S, labels, k))
    assert audit.map_at_r == pytest.approx(reference.map_at_r(S, labels))


def test_recall_at_1_is_the_same_with_and_without_a_search(audit):
    assert full_audit(k=(1,), map_at_r=False).recall_at_k == {1: audit.recall_at_k[1]}


def test_rates_at_thresholds_of_the_users_own_are_exact(truth):
    S, labels = truth
    positive, negative = reference.pair_scores(S, labels)
    wanted = [clear_threshold(S, near) for near in (-0.5, 0.3, 0.8)]
    audit = full_audit(thresholds=wanted)
    for threshold in wanted:
        assert audit.far_at(threshold) == np.count_nonzero(negative >= threshold) / negative.size
        assert audit.frr_at(threshold) == pytest.approx(
            np.count_nonzero(positive < threshold) / positive.size, abs=1e-15
        )
        table = audit.by_class_at(threshold)
        own = reference.class_counts(S, labels, [threshold], classes=table.index.tolist())
        np.testing.assert_allclose(table["far"], own.far[:, 0], atol=1e-15)
        np.testing.assert_allclose(table["frr"], own.frr[:, 0], atol=1e-15)


def test_the_threshold_keeps_its_far(audit):
    point = audit.threshold_at_far(0.01)
    assert point.threshold == audit.threshold
    assert audit.far_at(audit.threshold) == point.far <= 0.01
    assert audit.frr_at(audit.threshold) == point.frr
    assert audit.far_at(audit.threshold - audit.counts.grid.step) > 0.01


def test_an_unreachable_target_raises(audit):
    with pytest.raises(UnreachableTargetError):
        audit.threshold_at_far(1.5)
    assert audit.threshold_at_far(0).far == 0


def test_tar_at_far_is_undefined_beyond_what_the_pairs_support(audit):
    assert audit.tar_at_far[0.1] == pytest.approx(1 - audit.threshold_at_far(0.1).frr)
    assert audit.tar_at_far[1e-6] is None  # 0.2 errors expected


def test_classes_outside_the_counted_range_are_refused_with_the_range(audit):
    low, high = audit.counts.thresholds[[0, -1]]
    with pytest.raises(InputError) as caught:
        audit.by_class_at(0.999)
    assert f"from {low:.6g} to {high:.6g}" in str(caught.value)
    assert "thresholds=[0.999]" in str(caught.value)


def test_curve_falls_in_far_and_rises_in_frr(audit):
    assert (np.diff(audit.curve.far) <= 0).all()
    assert (np.diff(audit.curve.frr) >= 0).all()


def test_worst_classes_are_those_of_lowest_utility(audit):
    worst = audit.worst_classes(5)
    expected = audit.by_class["utility"].dropna().sort_values().index[:5]
    assert worst.index.tolist() == expected.tolist()
    assert len(audit.worst_classes(1000)) == audit.data.n_defined == 30


def test_by_group_has_a_row_a_group_and_is_empty_without_groups(audit):
    assert audit.by_group.index.tolist() == ["north", "nowhere", "south"]
    x, codes = clusters()
    assert em.audit(x, codes).by_group.empty


def test_euclidean_scores_are_negative_distances():
    x, codes = clusters()
    audit = em.audit(x, codes, metric="euclidean")
    S = reference.scores(x, metric="euclidean")
    expected = reference.consistency(S, codes, audit.counts.grid.thresholds, points=1000)
    assert audit.threshold_range == pytest.approx(expected.threshold_range, abs=2 * audit.counts.grid.step)
    assert audit.opis == pytest.approx(expected.opis, rel=1e-3)
    assert audit.threshold < 0


def test_a_gallery_is_compared_with_and_not_within():
    x, codes = clusters(k=40)
    queries, gallery = (x[:300], codes[:300]), (x[300:], codes[300:])
    audit = em.audit(*queries, ref=gallery[0], ref_labels=gallery[1], k=(1, 5), map_at_r=True)
    S = reference.scores(queries[0], gallery[0])
    grid = audit.counts.grid.thresholds
    expected = reference.consistency(S, queries[1], grid, gallery[1], points=1000)
    assert audit.opis == pytest.approx(expected.opis, rel=1e-3)
    assert audit.recall_at_k[5] == pytest.approx(reference.recall_at_k(S, queries[1], 5, gallery[1]))
    assert audit.map_at_r == pytest.approx(reference.map_at_r(S, queries[1], gallery[1]))
    assert (audit.data.n, audit.data.n_references) == (300, 500)
    assert audit.counts.n_positives + audit.counts.n_negatives == 300 * 500
    assert "against 500 references" in audit._repr_html_()
    sets = [em.EmbeddingSet.from_arrays(*each) for each in (queries, gallery)]
    assert em.audit(sets[0], ref=sets[1], k=(1, 5), map_at_r=True).summary() == audit.summary()


def test_an_embedding_set_is_audited_as_its_arrays_are():
    x, labels, groups = with_singletons()
    data = em.EmbeddingSet.from_arrays(x, labels, groups=groups, name="cards")
    audit = em.audit(data)
    arrays = em.audit(x, labels, groups=groups)
    assert audit.data == dataclasses.replace(arrays.data, name="cards")
    assert audit.by_class.equals(arrays.by_class)
    assert audit.by_group.equals(arrays.by_group)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_float_types_give_nearly_the_same(dtype):
    x, codes = clusters()
    ours, theirs = em.audit(x.astype(dtype), codes), em.audit(x, codes)
    assert ours.opis == pytest.approx(theirs.opis, rel=1e-2)
    assert ours.data.dtype == np.dtype(dtype).name


def test_options_reach_the_result():
    x, codes = clusters()
    audit = em.audit(x, codes, far=(1e-3, 0.2), beta=2.0, eps=0.5, confidence=0.5, threads=1)
    expected = reference.consistency(
        reference.scores(x), codes, audit.counts.grid.thresholds, far=(1e-3, 0.2), beta=2.0, eps=0.5, points=1000
    )
    assert audit.opis == pytest.approx(expected.opis, rel=1e-3)
    assert audit.eps_opis == pytest.approx(expected.eps_opis, rel=1e-3)
    wide = em.audit(x, codes, far=(1e-3, 0.2), beta=2.0, eps=0.5)
    assert wide.intervals["opis"][0] < audit.intervals["opis"][0] < audit.intervals["opis"][1]
    assert audit.settings == em.auditing.AuditSettings("cosine", (1e-3, 0.2), 2.0, 0.5, "exact", "cpu", 0.5)


def test_numbers_of_numpy_are_as_good_as_those_of_python(tmp_path):
    x, codes = clusters()
    audit = em.audit(x, codes, far=np.array([1e-2, 1e-1]), beta=np.float32(1), eps=np.float64(0.1), k=np.array([1, 5]))
    json.dumps(audit.summary(), allow_nan=False)
    audit.save(tmp_path / "run.audit")
    assert em.Audit.load(tmp_path / "run.audit").recall_at_k == audit.recall_at_k


def test_labels_may_be_any_hashable_even_tuples():
    x, codes = clusters()
    labels = [("shelf", int(code)) for code in codes]
    audit = em.audit(x, labels)
    assert audit.by_class.index.name == "class"
    assert ("shelf", 3) in audit.by_class.index.tolist()
    worst = audit.worst_classes(1).index.tolist()[0]
    assert audit.summary()["worst_classes"][0]["class"] == str(worst)


# ---------------------------------------------------------------- views


def test_an_audit_is_frozen(audit):
    with pytest.raises(dataclasses.FrozenInstanceError):
        audit.map_at_r = 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        audit.settings.beta = 2.0
    with pytest.raises(AttributeError):
        audit.opis = 0.0


def test_summary_is_json_without_nan_even_with_undefined_rates():
    # a group of one sample has no pair within, a class of one sample no FRR
    audit = full_audit()
    assert audit.by_group.loc["nowhere", ["far_within", "frr"]].isna().all()
    summary = json.loads(json.dumps(audit.summary(), allow_nan=False))
    assert summary == audit.summary()
    nowhere = next(row for row in summary["groups"] if row["group"] == "nowhere")
    assert nowhere["far_within"] is None
    assert nowhere["frr"] is None
    assert all(row["utility"] is not None for row in summary["worst_classes"])


def test_headline_names_the_extreme_classes_with_their_rates(audit):
    table = audit.by_class
    far = table["far"].to_dict()
    most, least = max(far, key=far.get), min(far, key=far.get)
    frr = table["frr"].dropna().to_dict()
    missed, found = max(frr, key=frr.get), min(frr, key=frr.get)
    text = audit.headline
    assert f"({audit.threshold:.6f})" in text
    for phrase in (f"class {most} gets ", f"class {least} ", f"class {missed} misses ", f"class {found} "):
        assert phrase in text
    said = text.split(f"class {most} gets ")[1].split("%")[0]
    assert float(said) == pytest.approx(100 * far[most], rel=0.05)
    said = text.split(f"class {missed} misses ")[1].split("%")[0]
    assert float(said) == pytest.approx(100 * frr[missed], rel=0.05)
    said = text.split("gives ")[1].split("%")[0]
    assert float(said) == pytest.approx(100 * audit.far_at(audit.threshold), rel=0.05)


def test_headline_by_hand():
    import pandas as pd

    from evenmatch.auditing._headline import headline

    table = pd.DataFrame(
        {"far": [0.0437, 0.0, 0.002, 0.5], "frr": [0.25, 0.031, math.nan, 0.5]}, index=["ann", "bob", "cid", "dan"]
    )
    assert headline(table, 0.61234, 0.00987) == (
        "At the threshold that gives 0.99% false accepts overall (0.612340), class dan gets 50% and class bob 0%; "
        "class dan misses 50% of its genuine pairs, class bob 3.1%."
    )


def test_html_escapes_whatever_the_data_contain():
    x, codes = clusters()
    evil = "<script>alert('x')</script>"
    data = em.EmbeddingSet.from_arrays(x, [f"{evil}{code}" for code in codes], name=evil)
    html = em.audit(data)._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 3


def test_repr_says_what_it_is(audit):
    assert repr(audit) == (
        f"Audit(embeddings: n=603, classes=33, OPIS={audit.opis:.3g}, ε-OPIS={audit.eps_opis:.3g}, "
        f"threshold={audit.threshold:.6f})"
    )


def test_progress_is_told_from_nothing_to_all():
    seen: list[float] = []
    full_audit(progress=seen.append)
    assert seen[-1] == 1.0
    assert all(0 <= share <= 1 for share in seen)
    assert len(seen) > 1


def test_a_progress_bar_of_short_work_is_never_shown(capfd):
    full_audit(progress=True)
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_appears_on_stderr_when_work_takes_long(monkeypatch):
    from evenmatch.auditing import _progress

    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    for name, value in (("TTY_COMPATIBLE", "1"), ("TTY_INTERACTIVE", "1"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(_progress, "_PATIENCE_SECONDS", -1.0)
    full_audit(progress=True)
    assert "Counting pairs" in stderr.getvalue()
    assert "Finding neighbours" in stderr.getvalue()
