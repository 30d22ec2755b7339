"""What lies in many files, in the order of their names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from evenmatch.embeddings._roles import ROLES, Column, Role
from evenmatch.errors import InputError

__all__ = ["joined", "natural", "number_of"]


def natural(folder: Path) -> list[Path]:
    """Return the files of a folder as a person counts: `x_2` before `x_10`. Hidden ones and `_…` are left out."""
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "_"))]
    return sorted(files, key=_natural_key)


def _natural_key(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    parts = re.split(r"([0-9]+)", path.stem)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts], path.name


def number_of(path: Path) -> int | None:
    """Return the number that a file's name ends in, before its suffix."""
    found = re.search(r"([0-9]+)$", path.stem)
    return int(found[1]) if found else None


def joined(files: list[Path], parts: list[dict[Role, Column]]) -> dict[Role, Column]:
    """Return each column of several files as one. Raises `InputError` if some files lack a column that others have."""
    columns: dict[Role, Column] = {}
    for role in ROLES:
        having = [role in part for part in parts]
        if all(having):
            columns[role] = _concatenated([part[role] for part in parts])
        elif any(having):
            with_it, without = files[having.index(True)], files[having.index(False)]
            raise InputError(f"{with_it} has {role} but {without} has none; give them to all files or to none")
    return columns


def _concatenated(parts: list[Column]) -> Column:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    # kinds that numpy joins without passing through float
    if len(arrays) == len(parts) and len({array.dtype.kind for array in arrays}) == 1 and arrays[0].dtype != object:
        return np.concatenate(arrays)
    lists = [part.tolist() if isinstance(part, np.ndarray) else part for part in parts]
    # text was read as int only where a whole file looks like it: one class may be 7 in one file and "7" in another
    if {type(part[0]) for part in lists if len(part)} == {int, str}:
        lists = [[str(entry) for entry in part] for part in lists]
    return [entry for part in lists for entry in part]
