"""evenmatch demo: a model fitted on one script, audited on four that it has never seen."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import evenmatch as em
from evenmatch.cli import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str]:
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    folder = tmp_path_factory.mktemp("demo") / "out"
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(StringIO()):
        assert main(["demo", "--out", str(folder), "--json"]) == 0
    return folder, out.getvalue()


def test_it_audits_unseen_characters_of_four_scripts(demo):
    summary = json.loads(demo[1])
    assert summary["data"]["n_classes"] >= 300
    assert sorted(row["group"] for row in summary["groups"]) == ["Armenian", "Cyrillic", "Georgian", "Greek"]
    assert 0 < summary["opis"] < 0.25


def test_its_files_hold_one_audit(demo):
    folder, printed = demo
    summary = json.loads(printed)
    assert json.loads((folder / "audit.json").read_text(encoding="utf-8")) == summary
    assert em.Audit.load(folder / "run.audit").summary() == summary
    data = em.load(folder / "embeddings.npz")
    assert (data.n, data.fingerprint) == (summary["data"]["n"], summary["data"]["fingerprint"])
    with (folder / "by_class.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == summary["data"]["n_classes"]
    for name in ("utility", "rates", "det"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    expected = ["audit.json", "by_class.csv", "det.png", "embeddings.npz", "rates.png", "run.audit", "utility.png"]
    assert sorted(path.name for path in folder.iterdir()) == expected


def test_its_embeddings_give_the_same_audit_again(demo, capsys):
    folder, printed = demo
    assert main(["audit", str(folder / "embeddings.npz"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    first = json.loads(printed)
    for name in ("opis", "eps_opis", "threshold_range", "recall_at_k", "intervals", "groups"):
        assert again[name] == first[name]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--out", str(tmp_path / "file" / "demo")]) == 2
    captured = capfd.readouterr()
    assert captured.err.count("\n") == 1
    assert "choose another folder with --out" in captured.err
