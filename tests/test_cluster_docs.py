"""The Python blocks of docs/cluster.md run; those that need machines at least compile and name what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")

PAGE = Path(__file__).parents[1] / "docs/cluster.md"
BLOCK = re.compile(r"^```(python|sh|python notest)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_blocks_of_the_page_run(tmp_path, monkeypatch, capfd):
    from evenmatch.cli import main

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(20), 15))
    x = (rng.normal(size=(20, 8))[codes] + rng.normal(size=(300, 8))).astype(np.float32)
    (tmp_path / "shards").mkdir()
    for i in range(3):
        np.save(tmp_path / f"shards/img_emb_{i}.npy", x[100 * i : 100 * i + 100])
        np.save(tmp_path / f"shards/labels_{i}.npy", codes[100 * i : 100 * i + 100])
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [kind for kind, _ in blocks].count("python") == 3
    for kind, body in blocks:
        if kind == "python":
            exec(compile(body, str(PAGE), "exec"), {"__name__": "__main__"})
        elif kind == "sh":
            assert main(body.split()[1:]) == 0
    assert "True\n" in capfd.readouterr().out


def test_the_other_blocks_compile_and_import_what_exists():
    blocks = [body for kind, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "python notest"]
    assert len(blocks) == 2
    names: Any = [
        alias.name
        for body in blocks
        for node in ast.walk(ast.parse(body))
        if isinstance(node, ast.ImportFrom) and node.module == "distributed"
        for alias in node.names
    ]
    assert "SSHCluster" in names
    assert all(hasattr(distributed, name) for name in names)


def test_every_option_of_the_page_exists():
    import typer.main

    from evenmatch.cli import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in ("audit", "train"):
        known = {option for parameter in commands[name].params for option in parameter.opts}
        for line in re.findall(rf"evenmatch {name} [^`|]*?(?=\n[^ ]|$)", PAGE.read_text(encoding="utf-8")):
            for option in re.findall(r"(?<= )--[\w-]+", line.partition("#")[0]):
                assert option in known, (name, option, line)
