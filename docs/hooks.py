"""Fills the page of the command line with the help that the program itself prints."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

MARK = "<!-- commands -->"
COMMANDS = (
    "audit",
    "calibrate",
    "check",
    "transfer",
    "compare",
    "robustness",
    "scores",
    "train",
    "embed",
    "datasets list",
    "datasets check",
    "demo",
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark with one section a command."""
    if MARK not in markdown:
        return markdown
    return markdown.replace(MARK, "\n".join(f"## {name}\n\n```text\n{_help(name)}\n```\n" for name in COMMANDS))


def _help(command: str) -> str:
    plain = {**os.environ, "COLUMNS": "84", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "evenmatch", *command.split(), "--help"],
        capture_output=True, text=True, check=True, env=plain,
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
