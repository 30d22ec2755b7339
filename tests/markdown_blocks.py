"""Code blocks of Markdown pages, run as a reader would run them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np

import evenmatch as em
from evenmatch.cli import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```[ \t]*(\w+)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
SHELLS = ("bash", "sh", "shell", "console")
NOT_RUN = ("pip install", "python -m pip install", "git clone", "cd ", "#")


def blocks(text: str, *languages: str) -> list[str]:
    return [body for language, body in BLOCK.findall(text) if language in languages]


def commands(body: str) -> list[str]:
    """The lines of a shell block, continued lines joined, prompts and trailing remarks taken off."""
    lines = [line.strip().removeprefix("$ ") for line in body.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line]


def write_inputs(text: str, folder: Path) -> None:
    """Data under every file name that a block of the text mentions."""
    code = "\n".join(blocks(text, "python", *SHELLS))
    for name in sorted(set(re.findall(r"[\w./-]+\.(?:npz|npy|parquet|safetensors|csv|txt)\b", code))):
        path = folder / name
        if not Path(name).is_absolute() and ".." not in path.parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)


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
    assert words[0] == "evenmatch", f"a page has a command that no test can run: {line}"
    if ">" in words:
        words = words[: words.index(">")]
    code = main(words[1:])
    captured = capfd.readouterr()
    limited = "--fail-above" in words or any(word.startswith("--fail-above=") for word in words)
    assert code == 0 or (limited and code == 1), f"{line}\n{captured.err}"
    assert "Traceback" not in captured.err


def run_page(text: str, name: str, capfd: Any) -> None:
    """Run the blocks in the order of the page: what one writes, a later one may read."""
    namespace: dict[str, Any] = {"__name__": "__page__"}
    for language, body in BLOCK.findall(text):
        if language == "python":
            exec(compile(body, name, "exec"), namespace)
        elif language in SHELLS:
            for line in commands(body):
                run_command(line, capfd)
