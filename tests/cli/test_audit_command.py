"""evenmatch audit, as a user types it."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import evenmatch as em
from evenmatch.cli import main

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def clusters(k: int = 12, each: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(k), each))
    widths = rng.uniform(0.3, 1.2, k)
    x = rng.normal(size=(k, 8))[codes] + widths[codes, None] * rng.normal(size=(codes.size, 8))
    return x.astype(np.float32), codes


X, CODES = clusters()
NAMES = np.array(["=1+1", "+2", "-3", "@x", "\tt", "a,b", 'q"q', "[red]x[/red]", "é", "a b", "1", "Ω"])
SITES = np.array(["north", "south"])[np.arange(len(X)) % 2]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with the same data in every form."""
    monkeypatch.chdir(tmp_path)
    data = em.EmbeddingSet.from_arrays(X, NAMES[CODES], groups=SITES)
    for suffix in ("npz", "parquet", "safetensors"):
        em.save(f"e.{suffix}", data)
    np.save("e.npy", X)
    np.save("l.npy", NAMES[CODES])
    Path("l.txt").write_text("\n".join(f"c{code}" for code in CODES) + "\n")
    with Path("l.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["label", "group"], *zip(NAMES[CODES], SITES, strict=True)])
    Path("g.txt").write_text("\n".join(SITES) + "\n")
    return tmp_path


def as_json(capsys, *arguments: str) -> dict:
    assert main(["audit", *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_classes_that_are_taken_for_each_other(folder, capsys):
    found = as_json(capsys, "e.npz", "--confusable", "3")["confusable"]
    assert len(found) == 3
    assert {row["class"] for row in found} | {row["nearest"] for row in found} <= set(NAMES.tolist())
    assert found[0]["far"] >= found[1]["far"] >= found[2]["far"] >= 0
    assert main(["audit", "e.npz", "--confusable", "3"]) == 0
    assert "Classes taken for each other" in capsys.readouterr().out
    assert main(["audit", "e.npz", "--ref", "e.npz", "--confusable", "3"]) == 2
    assert "leave --ref out" in capsys.readouterr().err


# ---------------------------------------------------------------- reading


def test_every_format_gives_the_same_audit(folder, capsys):
    expected = as_json(capsys, "e.npz")
    for arguments in (["e.parquet"], ["e.safetensors"], ["e.npy", "--labels", "l.csv"]):
        assert as_json(capsys, *arguments) == expected
    assert as_json(capsys, "e.npy", "--labels", "l.npy", "--groups", "g.txt") == expected


def test_text_labels_and_no_groups(folder, capsys):
    summary = as_json(capsys, "e.npy", "--labels", "l.txt")
    assert summary["groups"] == []
    assert summary["worst_classes"][0]["class"].startswith("c")


def test_a_gallery_from_files(folder, capsys):
    em.save("q.npz", em.EmbeddingSet.from_arrays(X[:60], CODES[:60]))
    np.save("r.npy", X[60:])
    np.save("rl.npy", CODES[60:])
    summary = as_json(capsys, "q.npz", "--ref", "r.npy", "--ref-labels", "rl.npy")
    assert summary["data"]["n_references"] == 60
    assert summary["opis"] == em.audit(X[:60], CODES[:60], ref=X[60:], ref_labels=CODES[60:]).opis


def test_options_reach_the_audit(folder, capsys):
    options = "--metric euclidean --far 0.2,0.02 --beta 2 --eps 0.5 --k 1,5 --map-at-r --thresholds=-1.5 --threads 1"
    summary = as_json(capsys, "e.npz", *options.split())
    expected = em.audit(
        em.load("e.npz"),
        metric="euclidean",
        far=(0.2, 0.02),
        beta=2,
        eps=0.5,
        k=(1, 5),
        map_at_r=True,
        thresholds=[-1.5],
    )
    assert summary == json.loads(json.dumps(expected.summary()))


# ---------------------------------------------------------------- writing


def test_tables_show_the_headline_the_classes_and_the_groups(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["audit", "e.npz"]) == 0
    out = capsys.readouterr().out
    audit = em.audit(em.load("e.npz"))
    assert audit.headline in out
    for word in ("OPIS", "ε-OPIS", "recall@1", "EER", "TAR@FAR", "Worst classes", "Groups", "north", "south"):
        assert word in out
    assert f"{audit.opis:.4g}" in out
    assert "[red]x[/red]" in out


def test_json_alone_is_on_stdout_whatever_else_is_written(folder, capsys):
    summary = as_json(capsys, "e.npz", "--save", "run.audit", "--csv", "by_class.csv")
    assert summary["opis"] == em.Audit.load("run.audit").opis
    assert Path("by_class.csv").is_file()


def test_saved_files_are_named(folder, capsys):
    assert main(["audit", "e.npz", "--save", "run.audit", "--csv", "c.csv"]) == 0
    assert capsys.readouterr().out.endswith("wrote run.audit\nwrote c.csv\n")
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith((".", "run"))) == ["run.audit"]


def test_csv_makes_formulas_of_spreadsheets_harmless(folder, capsys):
    assert main(["audit", "e.npz", "--csv", "c.csv"]) == 0
    with Path("c.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    formulas = ("=", "+", "-", "@", "\t")
    expected = [f"'{name}" if name.startswith(formulas) else name for name in sorted(NAMES)]
    assert [row["class"] for row in rows] == expected
    assert list(rows[0]) == ["class", "n", "positives", "negatives", "utility", "opis", "far", "frr", "own_threshold"]


def test_whole_numbers_stay_numbers_in_csv(folder, capsys):
    np.save("numbers.npy", CODES - 6)
    assert main(["audit", "e.npy", "--labels", "numbers.npy", "--csv", "c.csv"]) == 0
    with Path("c.csv").open(newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)] == [str(code) for code in range(-6, 6)]


# ---------------------------------------------------------------- limits


def test_a_limit_that_holds_exits_with_0_and_one_that_does_not_with_1(folder, capsys):
    opis = em.audit(em.load("e.npz")).opis
    assert main(["audit", "e.npz", "--fail-above", "opis=0.25"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["audit", "e.npz", "--fail-above", "opis=1e-6"]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"check failed: opis is {opis:.6g}, above 1e-06\n"
    assert "Worst classes" in captured.out


def test_a_value_at_its_limit_holds(folder, capsys):
    eer = em.audit(em.load("e.npz")).eer
    assert main(["audit", "e.npz", "--fail-above", f"eer={eer!r}"]) == 0
    assert main(["audit", "e.npz", "--fail-above", f"eer={math.nextafter(eer, 0)!r}"]) == 1


def test_every_broken_limit_is_named_and_files_are_still_written(folder, capsys):
    limits = ["--fail-above", "opis=0", "--fail-above", "eps_opis=1", "--fail-above", "frr=0"]
    assert main(["audit", "e.npz", "--json", "--save", "run.audit", *limits]) == 1
    captured = capsys.readouterr()
    json.loads(captured.out)
    assert captured.err.count("\n") == 1
    assert "opis is" in captured.err
    assert "frr is" in captured.err
    assert "eps_opis" not in captured.err
    assert Path("run.audit").is_file()


# ---------------------------------------------------------------- the program


def test_help_shows_examples_of_each_command(capsys):
    assert main(["--help"]) == 0
    listed = ANSI.sub("", capsys.readouterr().out)
    commands = [name for name in ("audit", "demo", "datasets") if f"│ {name} " in listed]
    assert {"audit", "demo"} <= set(commands)
    for command in commands:
        assert main([command, "--help"]) == 0
        shown = ANSI.sub("", capsys.readouterr().out)
        if command != "datasets":  # a folder of commands
            assert "Examples" in shown
            assert shown.count(f"evenmatch {command}") >= 2


def test_version_is_that_of_the_library(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"evenmatch {em.__version__}\n"


def program(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evenmatch", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_program_itself_prints_json_and_exits_with_its_codes(folder):
    done = program("audit", "e.npz", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads(json.dumps(em.audit(em.load("e.npz")).summary()))
    failed = program("audit", "e.npz", "--fail-above", "opis=0", cwd=folder)
    assert failed.returncode == 1
    refused = program("audit", "none.npz", cwd=folder)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "error: none.npz does not exist; check the path\n"
    wrong = program("audit", "e.npz", "--nonsense", cwd=folder)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
