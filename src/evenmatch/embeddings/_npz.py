"""numpy files: .npz archives, and .npy arrays by memory map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.embeddings._guard import reading, require_magic
from evenmatch.embeddings._json_column import from_json, to_json
from evenmatch.embeddings._roles import ROLES, Column, Role, columns_of, missing
from evenmatch.errors import InputError

if TYPE_CHECKING:
    from evenmatch.embeddings._set import EmbeddingSet

__all__ = ["read_npy", "read_npz", "write_npz"]

_JSON = "_json"  # `labels_json` stands in for `labels` where numpy would need a pickle


def read_npz(path: Path, wanted: frozenset[Role]) -> tuple[NDArray[Any], dict[Role, Column]]:
    """Return the embeddings and the wanted columns of an archive; other keys are not even read."""
    require_magic(path, b"PK", "a .npz archive")
    columns: dict[Role, Column] = {}
    # Opened here because numpy leaves the file open if the archive turns out to be damaged.
    with reading(path, "a .npz archive"), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if "embeddings" not in archive.files:
            raise missing(path, "key 'embeddings'", archive.files, "save it under that name")
        for role in ROLES:
            if role not in wanted:
                continue
            if role in archive.files:
                columns[role] = archive[role]
            elif role + _JSON in archive.files:
                columns[role] = from_json(str(archive[role + _JSON]), f"the key {role + _JSON!r} of {path}")
        if "labels" in wanted and "labels" not in columns:
            raise missing(path, "key 'labels'", archive.files, "add it, or name a label file")
        return archive["embeddings"], columns


def read_npy(path: Path, *, mmap: bool) -> NDArray[Any]:
    """Return the array of a .npy file, by memory map if asked: then only what is looked at is read."""
    require_magic(path, b"\x93NUMPY", "a .npy array")
    with reading(path, "a .npy array"):
        return np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)


def write_npz(path: Path, samples: EmbeddingSet) -> None:
    """Write an uncompressed archive: floats hardly compress, and reading stays fast."""
    entries: dict[str, Any] = {"embeddings": samples.vectors}
    for role, column in columns_of(samples).items():
        if column.dtype == object:
            entries[role + _JSON] = np.array(to_json(column, role))
        else:
            entries[role] = column
    try:
        with path.open("wb") as file:  # given a name, numpy would append its own suffix to it
            np.savez(file, allow_pickle=False, **entries)
    except ValueError as error:
        raise InputError(
            f"the set cannot be stored as .npz ({error}); convert the labels to str or int first"
        ) from error
