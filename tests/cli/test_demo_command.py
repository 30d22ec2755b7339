"""evenmatch demo: models fitted on one script, audited on four that they have never seen."""

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
        assert main(["demo", "--no-train", "--out", str(folder), "--json"]) == 0
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, str]:
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    folder = tmp_path_factory.mktemp("trained")
    (folder / "base").mkdir()
    (folder / "base/test.npz").write_text("of an earlier demo")
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(StringIO()):
        assert main(["demo", "--steps", "1", "--out", str(folder)]) == 0
    return folder, out.getvalue()


def test_it_trains_twice_from_the_same_start_and_audits_both(trained):
    folder, _ = trained
    summaries = json.loads((folder / "audits.json").read_text(encoding="utf-8"))
    assert list(summaries) == ["base", "tcm"]
    for arm, summary in summaries.items():
        assert summary == em.Audit.load(folder / arm / "run.audit").summary()
        assert em.load(folder / arm / "test.npz").fingerprint == summary["data"]["fingerprint"]
        assert (folder / arm / "det.png").read_bytes().startswith(b"\x89PNG")
    tables = [list(csv.DictReader((folder / arm / "metrics.csv").read_text().splitlines())) for arm in summaries]
    (base, *_), (tcm, *_) = tables
    assert base["train/base"] == tcm["train/base"], "the same weights see the same first batch"
    assert float(tcm["train/loss"]) == pytest.approx(float(tcm["train/base"]) + float(tcm["train/tcm"]), rel=1e-5)
    assert float(base["train/loss"]) == pytest.approx(float(base["train/base"]), rel=1e-5)


def test_it_prints_the_measured_figures_of_both_side_by_side(trained):
    folder, printed = trained
    summaries = json.loads((folder / "audits.json").read_text(encoding="utf-8"))
    table, full = printed.split("The audit with TCM in full")
    assert "Smooth-AP + TCM" in table
    for summary in summaries.values():
        assert f"{summary['opis']:.4g}" in table
        assert f"{100 * summary['recall_at_k']['1']:.2f}%" in table
    assert "Worst classes" in full
    for page in ("report.html", "compare.html"):
        assert page in full
        assert summaries["tcm"]["headline"] in (folder / page).read_text(encoding="utf-8") or page == "compare.html"
        assert (folder / page).stat().st_size > 10_000


def test_without_torch_the_demo_says_so_and_shows_principal_components(tmp_path, capfd, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.delitem(sys.modules, "evenmatch.training._demo", raising=False)
    monkeypatch.setattr("evenmatch.training.run_pca_demo", _stop, raising=False)
    assert main(["demo", "--out", str(tmp_path)]) == 2
    printed = capfd.readouterr()
    assert 'no training: training needs lightning, which is not installed; run: pip install "evenmatch[train]"' in (
        " ".join(printed.out.split())
    )
    assert "the demo without training" in printed.err


def test_an_interrupt_does_not_deny_the_files_written_before(tmp_path, monkeypatch, capfd):
    from evenmatch.training import _demo

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(_demo, "compare", interrupt)
    assert main(["demo", "--steps", "1", "--out", str(tmp_path)]) == 130
    assert capfd.readouterr().err == "interrupted\n"
    assert (tmp_path / "audits.json").exists()


def _stop(*args, **kwargs):
    raise em.errors.InputError("the demo without training was reached")
