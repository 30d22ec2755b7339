"""evenmatch check --unlabeled and evenmatch transfer, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import evenmatch as em
from evenmatch.cli import main


def made(seed: int = 0, offset: float = 0.0) -> em.EmbeddingSet:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(60), 8)
    x = rng.normal(size=(60, 16))[codes] + 0.6 * rng.normal(size=(codes.size, 16)) + offset
    return em.EmbeddingSet.from_arrays(x.astype(np.float32), codes)


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys) -> Path:
    monkeypatch.chdir(tmp_path)
    em.save("fit.npz", made())
    np.save("new.npy", made(1).vectors)
    em.save("moved.npz", made(2, 0.5))
    assert main(["calibrate", "fit.npz", "--far", "1e-2"]) == 0
    capsys.readouterr()
    return tmp_path


def test_no_drift_is_said_and_exits_with_0(folder, capsys):
    assert main(["check", "--unlabeled", "new.npy", "--point", "point.json", "--fail-on-drift"]) == 0
    said = capsys.readouterr().out
    assert "no drift seen" in said
    assert "480 samples without labels" in said


def test_drift_is_said_and_exits_with_1_only_where_asked(folder, capsys):
    assert main(["check", "moved.npz", "--unlabeled", "--point", "point.json"]) == 0
    assert "DRIFT: p = " in capsys.readouterr().out
    assert main(["check", "moved.npz", "--unlabeled", "--point", "point.json", "--fail-on-drift", "--json"]) == 1
    caught = capsys.readouterr()
    found = json.loads(caught.out)
    assert found["drift"]
    assert found["p_value"] < found["alpha"] == 0.01
    assert caught.err.startswith("check failed: the scores of moved.npz have drifted (p = ")
    assert caught.err.count("\n") == 1


def test_alpha_decides(folder, capsys):
    main(["check", "--unlabeled", "new.npy", "--point", "point.json", "--json"])
    p = json.loads(capsys.readouterr().out)["p_value"]
    arguments = ["check", "--unlabeled", "new.npy", "--point", "point.json", "--fail-on-drift", "--alpha"]
    assert main([*arguments, str(p + 1e-3)]) == 1
    assert main([*arguments, str(p - 1e-3)]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--unlabeled", "--fail-above", "far=0.1"], "--fail-above needs labels or a gallery"),
        (["--unlabeled", "--labels", "x.csv"], "--labels needs labels or a gallery"),
        (["--unlabeled", "--alpha", "2"], "alpha is 2"),
        (["--fail-on-drift"], "belong to --unlabeled"),
        (["--alpha", "0.1"], "belong to --unlabeled"),
        (["--unlabeled", "--metric", "euclidean"], "cannot be used with euclidean"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(folder, capsys, arguments, said):
    assert main(["check", "moved.npz", "--point", "point.json", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_transfer_writes_a_point_that_says_where_it_comes_from(folder, capsys):
    assert main(["transfer", "moved.npz", "--point", "point.json", "--source", "fit.npz", "--out", "there.json"]) == 0
    said = capsys.readouterr().out
    assert "wrote there.json" in said
    assert "assumed" in said
    point = em.OperatingPoint.load("there.json")
    assert point.origin is not None
    assert point.origin.method == "neighbours"
    assert point.threshold > em.OperatingPoint.load("point.json").threshold
    assert main(["check", "moved.npz", "--point", "there.json", "--fail-above", "far=0.015"]) == 0
    assert main(["check", "moved.npz", "--point", "point.json", "--fail-above", "far=0.015"]) == 1


def test_transfer_json_is_the_summary(folder, capsys):
    arguments = [
        "transfer",
        "moved.npz",
        "--point",
        "point.json",
        "--samples-per-class",
        "8",
        "--far",
        "0.05",
        "--json",
    ]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    expected = em.transfer(em.OperatingPoint.load("point.json"), made(2, 0.5).vectors, samples_per_class=8, far=0.05)
    assert found == expected.summary()


def test_thin_evidence_writes_nothing(folder, capsys):
    assert main(["transfer", "moved.npz", "--point", "point.json", "--far", "1e-5", "--out", "thin.json"]) == 2
    caught = capsys.readouterr()
    assert "TOO THIN" in caught.out
    assert "too thin to ship" in caught.err
    assert not Path("thin.json").exists()


@pytest.mark.parametrize(("name", "said"), [("none.npz", "does not exist"), ("a.txt", "no known suffix")])
def test_files_that_cannot_be_read_are_named(folder, capsys, name, said):
    Path("a.txt").write_text("x")
    assert main(["check", "--unlabeled", name, "--point", "point.json"]) == 2
    assert said in capsys.readouterr().err
