"""Every block of the README runs, with files of the names that it uses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import evenmatch as em
from evenmatch.cli import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```[ \t]*(\w+)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
SHELLS = ("bash", "sh", "shell", "console")
NOT_RUN = ("pip install", "python -m pip install", "git clone", "cd ", "#")


def blocks(text: str, *languages: str) -> list[str]:
    return [body for language, body in BLOCK.findall(text) if language in languages]


def commands(body: str) -> list[str]:
    """The lines of a shell block, continued lines joined, prompts and trailing remarks taken off."""
    lines = [line.strip().removeprefix("$ ") for line in body.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line]


@pytest.fixture(scope="module")
def text() -> str:
    assert README.is_file(), "there is no README.md"
    return README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(text, tmp_path_factory) -> Path:
    """A folder with data under every name that a block reads."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "configs").symlink_to(ROOT / "configs")
    code = "\n".join(blocks(text, "python", *SHELLS))
    for name in sorted(set(re.findall(r"[\w./-]+\.(?:npz|npy|parquet|safetensors|csv|txt)\b", code))):
        path = folder / name
        if not Path(name).is_absolute() and ".." not in path.parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
    return folder


def write(path: Path) -> None:
    """Embeddings of 40 characters in four scripts, or their labels, by the file's suffix."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(40), 12))
    x = (rng.normal(size=(40, 16))[codes] + rng.normal(size=(480, 16)) * 0.8).astype(np.float32)
    scripts = np.array(["Greek", "Cyrillic", "Armenian", "Georgian"])
    labels = np.array([f"U+{0x370 + code:04X}" for code in codes])
    about_labels = any(word in path.stem for word in ("label", "class", "y_"))
    about_groups = any(word in path.stem for word in ("group", "site", "domain"))
    column = scripts[codes % 4] if about_groups else labels
    match path.suffix:
        case ".npy" if not (about_labels or about_groups):
            np.save(path, x)
        case ".npy":
            np.save(path, column)
        case ".csv":
            path.write_text("label\n" + "\n".join(column) + "\n")
        case ".txt":
            path.write_text("\n".join(column) + "\n")
        case _:
            em.save(path, em.EmbeddingSet.from_arrays(x, labels, groups=scripts[codes % 4]))


def run_command(line: str, capfd: Any) -> None:
    words = shlex.split(line, comments=True)
    if not words or line.startswith(NOT_RUN):
        return
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+)\s*:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        for target in words[1:]:
            if "=" not in target and not target.startswith("-"):
                assert target in targets, f"the Makefile has no target {target}: {line}"
        return
    if words[:3] == ["python", "-m", "evenmatch"]:
        words = words[2:]
    assert words[0] == "evenmatch", f"the README has a command that no test can run: {line}"
    if ">" in words:
        words = words[: words.index(">")]
    code = main(words[1:])
    captured = capfd.readouterr()
    limited = "--fail-above" in words or any(word.startswith("--fail-above=") for word in words)
    assert code == 0 or (limited and code == 1), f"{line}\n{captured.err}"
    assert "Traceback" not in captured.err


def test_the_readme_has_blocks_of_both_kinds(text):
    assert blocks(text, "python")
    assert blocks(text, *SHELLS)


def test_every_fence_is_closed_and_named(text):
    assert text.count("```") % 2 == 0


def test_the_blocks_run(text, folder, monkeypatch, capfd):
    """In the order of the page: what one block writes, a later one may read."""
    monkeypatch.chdir(folder)
    plt.switch_backend("Agg")
    namespace: dict[str, Any] = {"__name__": "__readme__"}
    for language, body in BLOCK.findall(text):
        if language == "python":
            exec(compile(body, "README.md", "exec"), namespace)
        elif language in SHELLS:
            for line in commands(body):
                run_command(line, capfd)
    plt.close("all")
