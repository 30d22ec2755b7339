"""The blocks of docs/transfer.md run, in the order of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np

import evenmatch as em
from evenmatch.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "transfer.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    kinds = []
    for language, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        kinds.append(language)
        if language == "python":
            exec(compile(body, str(PAGE), "exec"), namespace)
            assert namespace["alarm"].drift
            assert Path("new_point.json").exists()
            Path("new_point.json").unlink()
            em.save("embeddings.npz", em.EmbeddingSet.from_arrays(namespace["old"], namespace["old_labels"]))
            np.save("new.npy", namespace["new"])
            continue
        for line in body.splitlines():
            words = shlex.split(line)
            assert words[0] == "evenmatch"
            assert main(words[1:]) == ("--fail-on-drift" in words), capsys.readouterr().err
    assert kinds == ["python", "sh"]
    assert em.OperatingPoint.load("new_point.json").origin is not None
