"""Labels, groups and ids from files of their own."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

from evenmatch.embeddings._guard import reading, require_file
from evenmatch.embeddings._joined import joined, natural
from evenmatch.embeddings._npz import read_npy
from evenmatch.embeddings._parquet import read_parquet_columns
from evenmatch.embeddings._roles import ROLES, Column, Role, find, missing, singular
from evenmatch.errors import InputError

__all__ = ["read_label_file"]

_CANONICAL_INT = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_INT_DIGITS = 300  # Python refuses to parse longer ones; nobody counts that far
_KNOWN_HEADERS = {name for role in ROLES for name in (role, singular(role))}


def read_label_file(path: Path, role: Role) -> dict[Role, Column]:
    """Return the column `role` of a file, and for a label file also its groups and ids if it has them.

    path: `.npy` (1-d), `.txt` (one a line), `.csv` (a header row, or one column without) or `.parquet`; or a folder
        of such files, which follow each other in the natural order of their names (2 before 10).
    role: what the file was named for: "labels", "groups" or "ids".

    Text stays text, except that a column in which every entry is a canonical integer (`7`, not `007`) becomes int.
    Raises `InputError` for a file that cannot be read or has no such column.
    """
    if path.is_dir():
        files = [file for file in natural(path) if file.suffix.lower() in _READERS]
        if not files:
            raise InputError(f"{path} holds no file with {role}; use {', '.join(_READERS)}, one for each shard")
        return joined(files, [read_label_file(file, role) for file in files])
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} has no known suffix for {role}; use one of {', '.join(_READERS)}")
    require_file(path)
    return reader(path, role)


def _read_lines(path: Path) -> list[str]:
    with reading(path, "a UTF-8 text file"):
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _typed(entries: list[str], path: Path, role: Role) -> Column:
    for row, entry in enumerate(entries):
        if not entry:
            raise InputError(f"row {row} of {role} in {path} is empty; drop the row or give it a value")
    if all(_CANONICAL_INT.fullmatch(entry) and len(entry) < _INT_DIGITS for entry in entries):
        return [int(entry) for entry in entries]
    return entries


def _read_csv(path: Path, role: Role) -> dict[Role, Column]:
    with reading(path, "a UTF-8 .csv table"), path.open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.reader(file, strict=True))
    while table and not table[-1]:
        table.pop()
    if not table:
        raise InputError(f"{path} is empty; write one row per sample")
    header = [cell.strip() for cell in table[0]]
    if len(header) == 1:
        rows = table[1:] if header[0] in _KNOWN_HEADERS else table
        _require_width(path, rows, 1, len(table) - len(rows))
        return {role: _typed([row[0] for row in rows], path, role)}
    columns: dict[Role, Column] = {}
    _require_width(path, table[1:], len(header), 1)
    for found, name in _positions(path, header, role).items():
        position = header.index(name)
        columns[found] = _typed([row[position] for row in table[1:]], path, found)
    return columns


def _require_width(path: Path, rows: list[list[str]], width: int, skipped: int) -> None:
    for row, cells in enumerate(rows):
        if len(cells) != width:
            raise InputError(
                f"row {row + skipped} of {path} has {len(cells)} cells instead of {width}; "
                "repair it (text with commas needs quotes)"
            )


def _positions(path: Path, names: list[str], role: Role) -> dict[Role, str]:
    """Return the column for `role`, and for labels also the columns of their companions."""
    name = find(names, role)
    if name is None:
        raise missing(path, f"column {singular(role)!r}", names, "give the column that name in the first row")
    found: dict[Role, str] = {role: name}
    if role == "labels":
        for other in ROLES[1:]:
            if (companion := find(names, other)) is not None:
                found[other] = companion
    return found


def _read_parquet(path: Path, role: Role) -> dict[Role, Column]:
    columns = read_parquet_columns(path)
    if len(columns) == 1:
        return {role: next(iter(columns.values()))()}
    return {found: columns[name]() for found, name in _positions(path, list(columns), role).items()}


_READERS: dict[str, Callable[[Path, Role], dict[Role, Column]]] = {
    ".npy": lambda path, role: {role: read_npy(path, mmap=False)},
    ".txt": lambda path, role: {role: _typed(_read_lines(path), path, role)},
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
