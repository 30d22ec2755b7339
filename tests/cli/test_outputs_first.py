"""A file that cannot be written is refused before any work."""

from __future__ import annotations

import numpy as np
import pytest

import evenmatch as em
from evenmatch.cli import main
from evenmatch.embeddings import require_writable


@pytest.mark.parametrize(
    "command",
    [
        "audit none.npz --save nowhere/run.audit",
        "audit none.npz --csv nowhere/run.csv",
        "audit none.npz --html nowhere/run.html",
        "calibrate none.npz --far 1e-2 --out nowhere/point.json",
        "compare none.audit other.audit --html nowhere/compare.html",
        "transfer none.npz --point point.json --out nowhere/point.json",
        "robustness none.npz --csv nowhere/table.csv",
        "robustness none.npz --figure nowhere/figure.png",
    ],
)
def test_the_folder_is_looked_for_before_the_data(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert "nowhere does not exist; create it first" in said
    assert said.count("\n") == 1


def test_embed_looks_at_the_suffix_before_the_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("torch")
    assert main(["embed", "none", "--out", "out.doc"]) == 2
    assert "out.doc has no suffix that can be written" in capsys.readouterr().err


def test_what_can_be_written_is_let_through(tmp_path):
    require_writable(tmp_path / "figure.PNG", (".png",))
    require_writable(tmp_path / "any.thing")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("named.npz --html r.html --images typo", "typo is not a folder"),
        ("named.npz --html r.html --images .", "no sample id is the path of an image under ."),
        ("plain.npz --html r.html --images .", "the samples have no ids"),
        ("named.npz --ref plain.npz --html r.html --images .", "the samples have no ids"),
        ("bytes.npz --save run.audit", "is a bytes, which a saved audit cannot hold"),
        ("dates.parquet --save run.audit", "is a date, which a saved audit cannot hold"),
        ("plain.npz --groups dates.parquet --save run.audit", "is a date, which a saved audit cannot hold"),
    ],
)
def test_what_an_output_cannot_hold_is_said_before_the_count(tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    x, codes = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3
    np.savez("plain.npz", embeddings=x, labels=codes)
    np.savez("named.npz", embeddings=x, labels=codes, ids=[f"{row}.png" for row in range(12)])
    np.savez("bytes.npz", embeddings=x, labels=[b"c%d" % code for code in codes])
    days = np.datetime64("2020-01-01") + codes
    em.save("dates.parquet", em.EmbeddingSet.from_arrays(x, days, groups=days))
    monkeypatch.setattr("evenmatch.auditing._run.count_pairs", lambda *_, **__: pytest.fail("counted"))
    assert main(["audit", *options.split()]) == 2
    assert said in capsys.readouterr().err
