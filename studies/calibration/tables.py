"""What the two studies share: where they ran, tables, and raw results."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

import evenmatch

__all__ = ["describe_run", "markdown", "share_with_error", "write_csv"]


def describe_run(n: int, what: str) -> str:
    """One line: how much, with what, on what, when."""
    return (
        f"{n} {what}; evenmatch {evenmatch.__version__}, numpy {np.__version__}, {os.cpu_count()} cores "
        f"{platform.machine()}, no GPU, {date.today().isoformat()}."
    )


def share_with_error(held: Sequence[bool]) -> str:
    """A share of trials with its standard error."""
    share = float(np.mean(held))
    return f"{share:.1%} ± {np.sqrt(share * (1 - share) / len(held)):.1%}"


def markdown(heads: list[str], lines: list[list[str]]) -> str:
    """A table."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    """Raw results, one row each."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
