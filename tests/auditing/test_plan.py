"""A plan's arithmetic, its table and its command; how well it predicts is measured in benchmarks/plan.py."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import evenmatch as em
from evenmatch.auditing import _plan, device_seconds
from evenmatch.cli import main
from evenmatch.errors import InputError
from evenmatch.pairs import CpuEngine, PassProbe, find_thresholds, probe_engine
from evenmatch.report import print_plan


def data(n: int = 4000, k: int = 100, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % k
    return (rng.normal(size=(k, dim))[labels] + rng.normal(size=(n, dim))).astype("f4"), labels


@pytest.fixture(scope="module")
def plan() -> em.auditing.Plan:  # pyright: ignore[reportAttributeAccessIssue]
    return em.plan(*data(), workers=4, budgets=(0.05, 10))


def test_a_plan_counts_what_there_is_to_count(plan):
    assert (plan.n, plan.dim, plan.n_classes, plan.n_references) == (4000, 16, 100, None)
    assert plan.pairs == 4000 * 3999 // 2
    assert plan.operations == 2 * 16 * plan.pairs
    assert plan.bytes == 4000 * 16 * 4
    assert {(each.engine, each.precision) for each in plan.costs} >= {
        ("cpu", "exact"),
        ("cpu", "fast"),
        ("dask", "exact"),
    }
    assert all(each.seconds > 0 and each.memory > plan.bytes for each in plan.costs)
    assert plan.cost("cpu") is plan.costs[0]
    with pytest.raises(KeyError, match="no cost of engine 'abacus'"):
        plan.cost("abacus")


def test_estimates_have_an_error_and_those_that_would_count_everything_are_left_out(plan):
    estimates = [each for each in plan.costs if each.engine == "sample"]
    assert all(0 < each.pairs < plan.pairs and each.opis_error > 0 for each in estimates)
    assert all(each.opis_error == 0 for each in plan.costs if each.engine != "sample")


def test_pairs_across_two_sets_are_queries_times_references():
    x, labels = data(600)
    plan = em.plan(x[:400], labels[:400], ref=x[400:], ref_labels=labels[400:], budgets=())
    assert (plan.pairs, plan.n_references) == (400 * 200, 200)


def test_costs_are_the_probe_scaled_to_all_pairs(monkeypatch):
    def probe(engine, queries, metric, indices, *, seconds, references):
        counts = real(engine, queries, metric, indices, seconds=1e-9, references=references).counts
        return PassProbe(2.0, 1e-3 if engine.precision == "exact" else 1e-4, counts)

    real = probe_engine
    monkeypatch.setattr(_plan, "probe_engine", probe)
    monkeypatch.setattr(_plan, "_reading_seconds", lambda sets: 0.25)
    monkeypatch.setattr(_plan, "_judging_seconds", lambda counts, n_classes: 0.5)
    plan = em.plan(*data(), workers=2, budgets=())
    exact, fast = plan.cost("cpu").seconds, plan.cost("cpu", "fast").seconds
    assert exact - fast == pytest.approx(9e-4 * plan.pairs)
    around = exact - 2.0 - 1e-3 * plan.pairs
    assert around > 0.75  # and the look, which is measured
    assert plan.cost("dask").seconds == pytest.approx(around + 5 + 1.2 * (2 + 1e-3 * plan.pairs) / 2)


def test_a_probe_scales_with_pairs():
    queries = em.EmbeddingSet.from_arrays(*data())
    probe = probe_engine(
        CpuEngine(threads=1), queries, "cosine", find_thresholds(queries, None, "cosine"), seconds=0.02
    )
    assert probe.per_pair > 0
    assert probe.seconds(2 * 10**9) - probe.seconds(10**9) == pytest.approx(1e9 * probe.per_pair)
    assert probe.seconds(0) == probe.fixed >= 0


def test_the_error_of_an_estimate_falls_with_the_root_of_its_pairs(monkeypatch):
    clock = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(_plan.time, "perf_counter", lambda: float(next(clock)))
    x, labels = data(12_000)
    plan = em.plan(x, labels, budgets=(0.5, 2.0))
    small, large = (each for each in plan.costs if each.engine == "sample")
    assert large.pairs == pytest.approx(4 * small.pairs, rel=1e-3)
    assert small.opis_error / large.opis_error == pytest.approx(2, rel=0.2)  # a little more: the population is finite


def test_devices_share_the_pairs():
    assert device_seconds(10**6, 1e9) == pytest.approx(499.9995)
    assert device_seconds(10**6, 1e9, devices=8) == pytest.approx(499.9995 / 8)


def test_bad_data_is_refused_before_anything_is_measured():
    with pytest.raises(InputError, match="labels is missing"):
        em.plan(np.ones((4, 2)))
    with pytest.raises(InputError):
        em.plan(np.eye(3), [0, 1, 2])


def test_the_table_shows_every_cost(plan):
    console = Console(width=140, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    costs = (*plan.costs, replace(plan.costs[0], engine="abacus", seconds=1e6, memory=2**34, opis_error=0.0123))
    print_plan(replace(plan, costs=costs).summary(), console)
    text = console.export_text()
    for part in ("4,000 × 16", "7,998,000 pairs", "abacus", "11.6 days", "16.0 GiB", "± 1.23%", "4 workers"):
        assert part in text
    console.file.close()


def test_the_command_plans_and_does_not_audit(tmp_path, capsys, monkeypatch):
    x, labels = data(600)
    np.savez(tmp_path / "x.npz", embeddings=x, labels=labels)
    monkeypatch.setattr("evenmatch.auditing._run.audit", None)
    assert main(["audit", str(tmp_path / "x.npz"), "--plan", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["pairs"] == 600 * 599 // 2
    assert summary["costs"][0]["engine"] == "cpu"
    assert main(["audit", str(tmp_path / "x.npz"), "--plan"]) == 0
    assert "floating-point operations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (np.arange(1500), np.arange(3000) % 1500),
        (np.zeros(1500, int), np.arange(3000) % 1500),
        (np.arange(3000) % 1500, np.zeros(20, int)),
    ],
    ids=["one query a class", "queries of one class", "a small gallery of one class"],
)
def test_queries_that_pair_only_with_the_references_are_planned_for(ours, theirs):
    rng = np.random.default_rng(0)
    x, ref = (rng.normal(size=(labels.size, 8)) for labels in (ours, theirs))
    plan = em.plan(x, ours, ref=ref, ref_labels=theirs, budgets=())
    assert plan.pairs == ours.size * theirs.size
    assert plan.cost("cpu").seconds > 0


def test_vectors_stored_column_by_column_are_planned_for():
    x, labels = data(600)
    assert em.plan(np.asfortranarray(x), labels, budgets=()).pairs == 600 * 599 // 2


@pytest.mark.parametrize("settings", [{"workers": 0}, {"workers": -1}, {"threads": -1}, {"threads": 0}])
def test_workers_and_threads_below_1_are_refused_before_anything_is_measured(settings, monkeypatch):
    monkeypatch.setattr(_plan, "find_thresholds", None)
    with pytest.raises(InputError, match=f"{next(iter(settings))} is .*; give 1 or more"):
        em.plan(*data(600), **settings)
