"""An audit that is an estimate says so everywhere; one with precision "fast" says what that means."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

import evenmatch as em
from evenmatch.cli import main
from evenmatch.errors import InputError
from evenmatch.pairs import SampleEngine, _bfloat16
from evenmatch.pairs._bfloat16 import has_bfloat16
from evenmatch.report import print_audit


def data(n: int = 1500, k: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % k
    widths = rng.uniform(0.5, 1.4, k)[labels, None]
    return (rng.normal(size=(k, 16))[labels] + widths * rng.normal(size=(n, 16))).astype("f4"), labels


@pytest.fixture(scope="module")
def estimate() -> em.Audit:
    return em.audit(*data(), pairs=300_000)


def printed(audit: em.Audit) -> str:
    text = io.StringIO()
    print_audit(audit.summary(), Console(file=text, width=200))
    return text.getvalue()


def test_an_estimate_says_so_everywhere(estimate, tmp_path):
    assert estimate.is_estimate
    estimate.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (printed(estimate), estimate._repr_html_(), page):
        assert "ESTIMATE from" in text
        assert "of all pairs" in text
        assert "every pair counted" not in text
    assert "OPIS (estimate)" in page
    assert estimate.headline.startswith("Estimated from ")
    assert "estimate" in repr(estimate)
    measured = estimate.summary()["measured"]
    assert measured["estimate"] is True
    assert measured["seed"] == 0
    assert 150_000 < measured["pairs"] <= 300_000


def test_an_exact_audit_says_that_every_pair_was_counted():
    audit = em.audit(*data(600))
    assert not audit.is_estimate
    assert audit.error_bars == {}
    assert "every pair counted" in printed(audit)
    assert "ESTIMATE" not in printed(audit)


def test_an_estimate_lies_near_the_exact_value_and_its_bars_around_it(estimate):
    exact = em.audit(*data())
    assert set(estimate.error_bars) == {"opis", "eps_opis", "threshold_low", "threshold_high"}
    for name, value in (
        ("opis", estimate.opis),
        ("eps_opis", estimate.eps_opis),
        ("threshold_high", estimate.threshold),
    ):
        low, high = estimate.error_bars[name]
        assert low < value < high
        assert abs(value - getattr(exact, name.replace("threshold_high", "threshold"))) < 2 * (high - low)
    # the interval for other classes has the error of sampling in it
    for name in ("opis", "eps_opis"):
        low, high = estimate.intervals[name]
        assert low <= estimate.error_bars[name][0] + 1e-12
        assert high >= estimate.error_bars[name][1] - 1e-12


def test_what_an_estimate_cannot_know_is_left_out(estimate):
    summary = estimate.summary()
    assert summary["recall_at_k"] == {"1": None}
    assert summary["groups"] == []
    assert "recall_at_1" not in summary["intervals"]
    assert json.loads(json.dumps(summary, allow_nan=False)) == json.loads(json.dumps(summary))
    with pytest.raises(InputError, match="need every pair"):
        em.audit(*data(), pairs=1e5, k=(1, 5))
    with pytest.raises(InputError, match="need every pair"):
        em.audit(*data(), pairs=1e5, map_at_r=True)
    assert summary["tar_at_far"]["1e-06"] is None


def test_an_estimate_is_saved_and_read_back(estimate, tmp_path):
    estimate.save(tmp_path / "x.audit")
    again = em.Audit.load(tmp_path / "x.audit")
    assert again.is_estimate
    assert json.dumps(again.summary()) == json.dumps(estimate.summary())


def test_an_estimate_is_neither_compared_nor_shipped(estimate):
    with pytest.raises(InputError, match="a comparison with 'b' needs every pair"):
        em.compare({"a": em.audit(*data()), "b": estimate})
    with pytest.raises(InputError, match="a threshold to ship needs every pair"):
        em.calibrate(estimate, far=1e-2)


def test_a_budget_that_covers_all_pairs_gives_the_exact_audit():
    exact, covered = em.audit(*data(600)), em.audit(*data(600), pairs=1e9)
    assert not covered.is_estimate
    assert covered.opis == exact.opis
    assert covered.recall_at_k == exact.recall_at_k
    assert em.audit(*data(600), engine=SampleEngine(budget="1h", pairs=None), threads=1).opis == exact.opis


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": "soon"}, "budget 'soon' is no time above 0; write it as '30s'"),
        ({"budget": "3s", "pairs": 10}, "budget and pairs are both given"),
        ({"budget": "3s", "engine": "cpu"}, "engine is 'cpu'; leave the engine out, or the budget"),
        ({"pairs": -1}, "pairs is -1; give a number of pairs above 0"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        em.audit(*data(600), **settings)


def test_the_command_takes_a_budget_and_a_precision(tmp_path, capsys):
    x, labels = data()
    np.savez(tmp_path / "x.npz", embeddings=x, labels=labels)
    assert main(["audit", str(tmp_path / "x.npz"), "--pairs", "3e5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"]["estimate"] is True
    assert main(["audit", str(tmp_path / "x.npz"), "--precision", "fast", "--engine", "cpu"]) == 0
    assert "precision fast" in capsys.readouterr().out
    assert main(["audit", str(tmp_path / "x.npz"), "--budget", "soon"]) == 2
    assert "write it as '30s'" in capsys.readouterr().err


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no AVX512-BF16")
def test_a_fast_audit_says_what_was_used_and_how_far_off_it_may_be(tmp_path):
    exact, fast = em.audit(*data()), em.audit(*data(), precision="fast")
    assert "products in bfloat16" in printed(fast)
    assert "in float32" in printed(fast)
    low, high = fast.error_bars["opis"]
    assert low <= exact.opis <= high
    assert not fast.is_estimate
    fast.save(tmp_path / "x.audit")
    assert em.Audit.load(tmp_path / "x.audit").summary() == fast.summary()


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no AVX512-BF16")
def test_a_fast_audit_at_a_low_far_is_saved_printed_and_written(tmp_path):
    audit = em.audit(*data(), precision="fast", far=(2e-6, 1e-3))
    assert json.loads(json.dumps(audit.summary(), allow_nan=False))["error_bars"].keys() == audit.error_bars.keys()
    audit.save(tmp_path / "x.audit")
    assert em.Audit.load(tmp_path / "x.audit").error_bars == audit.error_bars
    audit.to_html(tmp_path / "x.html")
    assert "inf" not in printed(audit).split()


def test_fast_without_the_instructions_says_that_float32_was_used(monkeypatch):
    monkeypatch.setattr(_bfloat16, "has_bfloat16", lambda: False)
    audit = em.audit(*data(600), precision="fast")
    assert "no bfloat16 instructions here, so computed in float32" in printed(audit)
    assert audit.error_bars == {}
