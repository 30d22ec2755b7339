"""A file that cannot be written is refused before any work."""

from __future__ import annotations

import pytest

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
