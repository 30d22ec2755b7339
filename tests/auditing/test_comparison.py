"""em.compare: differences, their paired intervals, and what it refuses to compare."""

from __future__ import annotations

import json

import numpy as np
import pytest
from audited import clusters

import evenmatch as em
from evenmatch.errors import InputError
from evenmatch.measures import paired_intervals, pareto_front

X, CODES = clusters(40, 12)
NOISE = np.random.default_rng(5).normal(size=X.shape).astype(np.float32)


def audits(**options) -> dict[str, em.Audit]:
    return {"base": em.audit(X, CODES, **options), "worse": em.audit(X + 0.6 * NOISE, CODES, **options)}


@pytest.fixture(scope="module")
def comparison() -> em.Comparison:
    return em.compare(audits())


def test_differences_are_those_of_the_audits(comparison):
    base, worse = comparison.audits.values()
    differences = comparison.differences["worse"]
    assert list(comparison.differences) == ["worse"]
    assert comparison.baseline == "base"
    for name in ("opis", "eps_opis", "eer", "threshold"):
        assert differences[name].value == getattr(worse, name) - getattr(base, name)
    assert differences["recall_at_1"].value == worse.recall_at_k[1] - base.recall_at_k[1] < 0
    assert differences["far"].value == worse.far_at(worse.threshold) - base.far_at(base.threshold)
    assert differences["threshold"].interval is None


def test_intervals_resample_the_same_classes_for_both(comparison):
    for difference in comparison.differences["worse"].values():
        if difference.interval is not None:
            assert difference.interval[0] <= difference.value <= difference.interval[1]
    low, high = comparison.differences["worse"]["recall_at_1"].interval
    assert high < 0
    # what makes a class hard for both cancels out
    each = [audit.intervals["recall_at_1"] for audit in comparison.audits.values()]
    assert high - low < np.hypot(*(b - a for a, b in each))


def test_a_model_compared_with_itself_differs_by_nothing():
    audit = em.audit(X, CODES)
    differences = em.compare({"a": audit, "b": audit}).differences["b"]
    assert all(each.value == 0 for each in differences.values())
    assert all(each.interval in (None, (0.0, 0.0)) for each in differences.values())


def test_paired_intervals_hold_what_they_promise():
    # two models that differ by noise alone: the interval of the difference misses 0 about one time in twenty
    missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, codes = clusters(40, 6, seed=seed)
        pair = [em.audit(x + 0.3 * rng.normal(size=x.shape), codes, far=(0.02, 0.2), threads=1) for _ in range(2)]
        found = paired_intervals(
            *((each.counts, each.consistency, each.threshold) for each in pair), eps=0.1, resamples=200
        )
        low, high = found["recall_at_1"]
        missed += not low <= 0 <= high
    assert missed <= 4  # of 20; more has a chance of 0.3% where 5% are promised


def test_tables_and_summary_hold_one_set_of_numbers(comparison):
    summary = json.loads(json.dumps(comparison.summary(), allow_nan=False))
    assert summary == comparison.summary()
    for name, audit in comparison.audits.items():
        row, model = comparison.table.loc[name], summary["models"][name]
        assert row["opis"] == model["opis"] == audit.opis
        assert [row["opis_low"], row["opis_high"]] == model["intervals"]["opis"] == list(audit.intervals["opis"])
        assert row["pareto"] == model["pareto"]
        np.testing.assert_array_equal(comparison.by_class[name]["far"], audit.by_class["far"])
    found = summary["differences"]["worse"]["opis"]
    assert found == {
        "difference": comparison.differences["worse"]["opis"].value,
        "interval": list(comparison.differences["worse"]["opis"].interval),
    }
    assert comparison.headline.startswith("worse ")
    assert "OPIS=" in repr(comparison)


def test_the_order_of_samples_does_not_matter():
    order = np.random.default_rng(0).permutation(len(X))
    result = em.compare({"a": em.audit(X, CODES), "b": em.audit(X[order], CODES[order])})
    assert result.same_test_set
    assert result.differences["b"]["opis"].value == pytest.approx(0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ((X[1:], CODES[1:]), "479 against 480 samples"),
        ((X, CODES % 39), "39 against 40 classes"),
        ((X, np.where(CODES == 7, 99, CODES)), "class 7 is not in both"),
        ((X, CODES.astype(str)), "is not in both"),
        (
            (X, np.where(np.arange(len(X)) == np.flatnonzero(CODES == 3)[0], 4, CODES)),
            "class 3 has 11 samples against 12",
        ),
    ],
)
def test_other_test_sets_are_refused_unless_allowed(other, message):
    pair = {"base": em.audit(X, CODES), "other": em.audit(*other)}
    with pytest.raises(InputError, match=message) as caught:
        em.compare(pair)
    assert "--allow-different" in str(caught.value)
    result = em.compare(pair, allow_different=True)
    assert not result.same_test_set
    assert all(each.interval is None for each in result.differences["other"].values())
    assert json.dumps(result.summary(), allow_nan=False)


def test_a_page_of_different_test_sets_has_the_classes_that_both_have(tmp_path):
    pair = {"base": em.audit(X, CODES), "other": em.audit(X[CODES < 35], CODES[CODES < 35])}
    em.compare(pair, allow_different=True).to_html(tmp_path / "compare.html")
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert '"names":["0","1",' in text
    assert '"34"]' in text


@pytest.mark.parametrize("options", [{"far": (0.02, 0.2)}, {"beta": 2.0}, {"eps": 0.5}, {"confidence": 0.9}])
def test_other_settings_are_refused_whatever_is_allowed(options):
    pair = {"base": em.audit(X, CODES), "other": em.audit(X, CODES, **options)}
    with pytest.raises(InputError, match=f"{next(iter(options))}="):
        em.compare(pair, allow_different=True)


def test_one_audit_is_no_comparison():
    with pytest.raises(InputError, match="two or more"):
        em.compare({"base": em.audit(X, CODES)})


def test_the_card_escapes_names():
    audit = em.audit(X, CODES)
    html = em.compare({"<b>a</b>": audit, "b": audit})._repr_html_()
    assert "<b>" not in html
    assert html.count("&lt;b&gt;a&lt;/b&gt;") >= 2


def test_the_front_is_what_nothing_beats():
    recall, opis = np.array([0.9, 0.8, 0.7, 0.9, 0.95]), np.array([0.02, 0.01, 0.015, 0.03, 0.02])
    assert pareto_front(recall, opis).tolist() == [False, True, False, False, True]
    assert pareto_front(np.array([0.5, 0.5]), np.array([0.1, 0.1])).tolist() == [True, True]
