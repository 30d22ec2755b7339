"""evenmatch robustness, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evenmatch as em
from evenmatch.cli import main

SHORT = ["--disturb", "outliers=0.05", "--disturb", "wrong labels=0.1", "--repeats", "2"]


@pytest.fixture
def data(tmp_path, monkeypatch, capsys) -> em.EmbeddingSet:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(30), 8)
    x = rng.normal(size=(30, 16))[codes] + 0.5 * rng.normal(size=(codes.size, 16))
    em.save("e.npz", em.EmbeddingSet.from_arrays(x.astype(np.float32), codes))
    assert main(["calibrate", "e.npz", "--far", "2e-2", "--metric", "euclidean"]) == 0
    capsys.readouterr()
    return em.load("e.npz")


def test_json_is_the_summary(data, capsys):
    assert main(["robustness", "e.npz", *SHORT, "--seed", "3", "--threshold", "0.4", "--json"]) == 0
    expected = em.robustness(
        data, threshold=0.4, disturbances={"outliers": [0.05], "wrong labels": [0.1]}, repeats=2, seed=3
    )
    assert json.loads(capsys.readouterr().out) == expected.summary()


def test_a_point_brings_its_threshold_and_metric(data, capsys):
    assert main(["robustness", "e.npz", *SHORT, "--point", "point.json", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    point = em.OperatingPoint.load("point.json")
    assert found["threshold"] == point.threshold < 0
    assert found["rows"][0]["far"] == point.check(data).far


def test_table_csv_and_figure_are_written(data, capsys):
    assert main(["robustness", "e.npz", *SHORT, "--csv", "r.csv", "--figure", "r.png"]) == 0
    said = capsys.readouterr().out
    assert "raised most by: FAR " in said
    assert "wrote r.csv" in said
    assert pd.read_csv("r.csv")["disturbance"].tolist() == ["none", "outliers", "wrong labels"]
    assert Path("r.png").read_bytes().startswith(b"\x89PNG")


def test_the_highest_rate_decides_the_exit_code(data, capsys):
    table = em.robustness(data, disturbances={"outliers": [0.05], "wrong labels": [0.1]}, repeats=2).table
    highest = table["frr"].max()
    assert highest > table["frr"][0]
    assert main(["robustness", "e.npz", *SHORT, "--fail-above", f"frr={highest + 1e-6}"]) == 0
    assert main(["robustness", "e.npz", *SHORT, "--fail-above", f"frr={highest - 1e-6}"]) == 1
    assert capsys.readouterr().err.startswith("check failed: frr is ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--disturb", "rain=0.1"], "disturbance 'rain' is unknown"),
        (["--disturb", "outliers"], "outliers has levels ()"),
        (["--disturb", "outliers=much"], "is not a list of numbers"),
        (["--point", "point.json", "--threshold", "0.5"], "give one of them"),
        (["--point", "point.json", "--metric", "cosine"], "cannot be used with cosine"),
        (["--far", "1e-2"], "is not two rates"),
        (["--figure", "r.doc"], "r.doc has no suffix that can be written"),
        (["--csv", "nowhere/r.csv"], "the folder nowhere does not exist"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(data, capsys, arguments, said):
    assert main(["robustness", "e.npz", *arguments]) == 2
    caught = capsys.readouterr()
    assert said in caught.err
    assert caught.err.count("\n") == 1
    assert not caught.out
