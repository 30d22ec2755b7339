"""Where a benchmark ran, and its rows: printed as they come, and written as one JSON object."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from itertools import chain
from pathlib import Path

from evenmatch.embeddings import atomic_path

__all__ = ["facts", "main", "show", "write"]

STANDARD_OUTPUT = Path("-")


def facts() -> dict[str, object]:
    """Machine and date, with which every output begins."""
    return {"machine": f"{_processor()}, {os.cpu_count()} cores", "date": date.today().isoformat()}


def _processor() -> str:
    """Kind of the processor, with its widest vectors."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    widest = next((name for name in ("avx512f", "avx2") if name in found.get("flags", "").split()), "")
    return " ".join(filter(None, [platform.machine(), found.get("model name", ""), widest]))


def show(name: str, figures: object) -> None:
    """Print a row: a figure, or several by name."""
    if isinstance(figures, Mapping):
        print(f"{name}: {', '.join(f'{key} {_text(value)}' for key, value in figures.items())}", flush=True)
    else:
        print(f"{name}: {_text(figures)}", flush=True)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write(results: Mapping[str, object], file: Path | None) -> None:
    """All rows as one JSON object: into a file, or printed where the file is "-"; nothing without a file."""
    text = json.dumps(results, indent=2)
    if file == STANDARD_OUTPUT:
        print(text)
    elif file is not None:
        with atomic_path(file) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def main(doc: str | None, rows: Callable[[bool, int], Iterable[tuple[str, object]]], runs: int = 5) -> None:
    """Command line of a benchmark that needs no other options.

    Args:
        doc: of the script; describes the command.
        rows: yields names and figures, given whether to take small sizes, and how many runs.
        runs: by default.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--runs", type=int, default=runs, help="of each work")
    parser.add_argument(
        "--json", nargs="?", type=Path, const=STANDARD_OUTPUT, metavar="FILE",
        help="write one JSON object there, or print it in the place of the rows",
    )  # fmt: skip
    options = parser.parse_args()
    results: dict[str, object] = {}
    for name, figures in chain({**facts(), "runs": options.runs}.items(), rows(options.quick, options.runs)):
        results[name] = figures
        if options.json != STANDARD_OUTPUT:
            show(name, figures)
    write(results, options.json)
