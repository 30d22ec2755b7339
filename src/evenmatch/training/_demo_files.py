"""What both demos write for an audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evenmatch.auditing import Audit
from evenmatch.embeddings import atomic_path
from evenmatch.errors import InputError

__all__ = ["AUDIT_FILES", "make_folder", "write_audit", "write_json"]

_FIGURES = ("utility", "rates", "det")
AUDIT_FILES = ("audit.json", "run.audit", "by_class.csv", *(f"{name}.png" for name in _FIGURES))


def make_folder(out: Path) -> None:
    """Make the folder of the demo.

    Raises:
        InputError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}); choose another folder with --out") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_audit(result: Audit, out: Path) -> tuple[Path, ...]:
    """Write an audit as JSON, as a file to load again, as a table of all classes and as figures; return the files."""
    files = tuple(out / name for name in AUDIT_FILES)
    write_json(files[0], result.summary())
    result.save(files[1])
    with atomic_path(files[2]) as temporary:
        result.by_class.to_csv(temporary)
    for name, path in zip(_FIGURES, files[3:], strict=True):
        _figure(result, name, path)
    return files


def _figure(result: Audit, name: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    getattr(result.plot, name)(ax=figure.add_subplot())
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=200)
