"""evenmatch compare and evenmatch audit --html, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import evenmatch as em
from evenmatch.cli import main

RNG = np.random.default_rng(0)
CODES = np.repeat(np.arange(14), 10)
X = (RNG.normal(size=(14, 8))[CODES] + 0.6 * RNG.normal(size=(CODES.size, 8))).astype(np.float32)
FAR = (0.02, 0.2)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    em.audit(X, CODES, far=FAR).save("base.audit")
    em.audit(X + 0.3, CODES, far=FAR).save("tcm.audit")
    em.audit(X[10:], CODES[10:], far=FAR).save("smaller.audit")
    return tmp_path


def test_it_compares_saved_audits(folder, capsys):
    expected = em.compare({name: em.Audit.load(f"{name}.audit") for name in ("base", "tcm")}).summary()
    assert main(["compare", "base.audit", "tcm.audit", "--json", "--html", "compare.html"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(expected))
    assert Path("compare.html").read_bytes().startswith(b"<!doctype html>")


def test_it_prints_a_table(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    names = ["--names", "[red]a[/red], b"]
    assert main(["compare", "base.audit", "tcm.audit", *names, "--html", "compare.html"]) == 0
    out = capsys.readouterr().out
    assert "[red]a[/red]" in out
    assert "b − [red]a[/red]" in out
    for word in ("OPIS", "ε-OPIS", "recall@1", "EER", "resample the same classes"):
        assert word in out
    assert out.endswith("wrote compare.html\n")


def test_different_test_sets_are_refused_unless_allowed(folder, capsys):
    assert main(["compare", "base.audit", "smaller.audit"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--allow-different" in err
    assert main(["compare", "base.audit", "smaller.audit", "--allow-different", "--json"]) == 0
    assert not json.loads(capsys.readouterr().out)["same_test_set"]


def test_audits_of_runs_are_named_by_their_folders(folder, capsys):
    for name in ("base", "tcm"):
        Path(name).mkdir()
        Path(f"{name}.audit").rename(f"{name}/test.audit")
    assert main(["compare", "base/test.audit", "tcm/test.audit", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["models"]) == ["base", "tcm"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["base.audit"], "two or more"),
        (["base.audit", "tcm.audit", "--names", "a"], "1 names for 2 audits"),
        (["base.audit", "base.audit"], "not distinct"),
        (["base.audit", "none.audit"], "none.audit does not exist"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, arguments, message):
    assert main(["compare", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_audit_writes_a_report(folder, capsys):
    em.save("e.npz", em.EmbeddingSet.from_arrays(X, CODES))
    assert main(["audit", "e.npz", "--far", "0.02,0.2", "--html", "report.html"]) == 0
    assert capsys.readouterr().out.endswith("wrote report.html\n")
    assert Path("report.html").read_bytes().startswith(b"<!doctype html>")
