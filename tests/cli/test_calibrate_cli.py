"""evenmatch calibrate and evenmatch check, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import evenmatch as em
from evenmatch.cli import main


def made(k: int = 60, each: int = 8, seed: int = 0, spread: float = 0.6) -> em.EmbeddingSet:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(k), each)
    x = rng.normal(size=(k, 16))[codes] + spread * rng.normal(size=(codes.size, 16))
    sites = np.array(["[red]north[/red]", "south"])[np.arange(codes.size) % 2]
    return em.EmbeddingSet.from_arrays(x.astype(np.float32), codes, groups=sites)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    em.save("fit.npz", made())
    em.save("new.npz", made(seed=1))
    return tmp_path


def test_calibrate_writes_a_point_and_says_what_it_found(folder, capsys):
    assert main(["calibrate", "fit.npz", "--far", "1e-2"]) == 0
    said = capsys.readouterr().out
    assert "FAR ≤ 0.01" in said
    assert "for 60 new classes" in said
    assert "not for:" in said
    assert "wrote point.json; next: evenmatch check NEW_DATA --point point.json" in said
    assert em.OperatingPoint.load("point.json") == em.calibrate(made().subset(slice(None), name="fit"), far=1e-2)


def test_calibrate_json_is_the_summary_of_the_written_point(folder, capsys):
    assert main(["calibrate", "fit.npz", "--frr", "0.1", "--out", "a.json", "--json", "--probability", "none"]) == 0
    assert json.loads(capsys.readouterr().out) == em.OperatingPoint.load("a.json").summary()


def test_calibrate_takes_a_saved_audit_and_says_when_it_does_not_suffice(folder, capsys):
    em.audit(made()).save("run.audit")
    assert main(["calibrate", "run.audit", "--far", "0.05"]) == 0
    capsys.readouterr()
    assert main(["calibrate", "run.audit", "--far", "0.9"]) == 2
    error = capsys.readouterr().err
    assert "these counts do not suffice" in error
    assert error.count("\n") == 1


def test_check_exits_with_0_1_or_2(folder, capsys):
    main(["calibrate", "fit.npz", "--far", "1e-2"])
    assert main(["check", "new.npz", "--point", "point.json", "--fail-above", "far=0.5"]) == 0
    said = capsys.readouterr().out
    assert "the point predicted" in said
    assert "[red]north[/red]" in said
    assert main(["check", "new.npz", "--point", "point.json", "--fail-above", "far=1e-9"]) == 1
    assert "check failed: far is" in capsys.readouterr().err
    assert main(["check", "new.npz", "--point", "none.json"]) == 2
    assert main(["check", "new.npz", "--point", "point.json", "--fail-above", "opis=1"]) == 2
    assert main(["check", "new.npz", "--point", "point.json", "--metric", "euclidean"]) == 2
    assert "calibrated for cosine scores and cannot be used with euclidean" in capsys.readouterr().err


def test_check_json_has_intervals_and_a_row_a_group(folder, capsys):
    main(["calibrate", "fit.npz", "--far", "1e-2"])
    capsys.readouterr()
    assert main(["check", "new.npz", "--point", "point.json", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["far_ci"][0] <= found["far"] <= found["far_ci"][1]
    assert [row["group"] for row in found["groups"]] == ["[red]north[/red]", "south"]
    assert not found["same_data"]
    main(["check", "fit.npz", "--point", "point.json", "--json"])
    assert json.loads(capsys.readouterr().out)["same_data"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "exactly one objective"),
        (["--far", "1e-2", "--frr", "0.1"], "exactly one objective"),
        (["--far", "1.5"], "cannot be reached"),
        (["--far", "1e-7", "--guarantee", "upper"], "60 classes cannot certify FAR 1e-07"),
        (["--far", "1e-2", "--guarantee", "certain"], "use 'mean' or 'upper'"),
        (["--far", "1e-2", "--probability", "magic"], "is unknown"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_written(folder, capsys, arguments, said):
    assert main(["calibrate", "fit.npz", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not Path("point.json").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("calibrate fit.npz --far 1e-2 --ref-labels labels.csv", "--ref-labels: needs a gallery"),
        ("calibrate run.audit --far 1e-2 --labels labels.csv", "--labels: an audit has its own labels"),
        ("check new.npz --point point.json --ref-labels labels.csv", "needs a gallery, too: give it with --ref"),
        ("check new.npz --point point.json --ref-groups labels.csv", "needs a gallery, too: give it with --ref"),
        (
            "transfer new.npz --point point.json --source-labels labels.csv",
            "--source-labels: needs the calibration data",
        ),
    ],
)
def test_options_that_would_be_ignored_are_refused(folder, capsys, command, said):
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
