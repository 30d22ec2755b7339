"""Reading and writing embedding sets: which format, which labels, one way to fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evenmatch.embeddings._atomic import atomic_path
from evenmatch.embeddings._folder import read_folder
from evenmatch.embeddings._guard import require_file
from evenmatch.embeddings._label_files import read_label_file
from evenmatch.embeddings._npz import read_npy, read_npz, write_npz
from evenmatch.embeddings._parquet import read_parquet, write_parquet
from evenmatch.embeddings._roles import ROLES, Column, Role
from evenmatch.embeddings._safetensors import read_safetensors, write_safetensors
from evenmatch.embeddings._set import EmbeddingSet
from evenmatch.embeddings._shards import ShardedVectors
from evenmatch.errors import InputError

__all__ = ["load", "save"]

_Reader = Callable[[Path, frozenset[Role]], tuple[NDArray[Any] | ShardedVectors, dict[Role, Column]]]


def _read_npy(path: Path, wanted: frozenset[Role]) -> tuple[NDArray[Any], dict[Role, Column]]:
    if "labels" in wanted:
        raise InputError(
            f"{path} holds embeddings only; name the label file too (labels=, .npy, .csv, .txt or .parquet)"
        )
    return read_npy(path, mmap=True), {}


_READERS: dict[str, _Reader] = {
    ".npz": read_npz,
    ".npy": _read_npy,
    ".parquet": read_parquet,
    ".safetensors": read_safetensors,
}
_WRITERS: dict[str, Callable[[Path, EmbeddingSet], None]] = {
    ".npz": write_npz,
    ".parquet": write_parquet,
    ".safetensors": write_safetensors,
}


def load(
    path: str | os.PathLike[str],
    *,
    labels: Any = None,
    groups: Any = None,
    ids: Any = None,
    name: str | None = None,
) -> EmbeddingSet:
    """Read a file or a folder of embeddings and return it as a validated set.

    path: one of
        `.npz` with keys `embeddings`, `labels` and optionally `groups`, `ids`;
        `.npy` with an `(n, d)` matrix, opened by memory map and never read whole, and `labels=`;
        `.parquet` with a list column `embedding`, a column `label` and optionally `group`, `id`;
        `.safetensors` with a tensor `embeddings`, and `labels`, `groups`, `ids` as integer tensors or as JSON lists in
        the metadata. bfloat16 is read as float32.
        a folder of `.npy` shards, which follow each other in the natural order of their names (`img_emb_2` before
        `img_emb_10`). Labels lie beside them: in one file `labels.*` for all rows, or in one for each shard, which has
        the shard's own name (`00002.npy`, `00002.parquet`) or its number (`img_emb_2.npy`, `labels_2.csv` or
        `metadata_2.parquet`);
        a folder of `.parquet` shards with the columns of a single one. Their lists are decoded once into a temporary
        file (see `tempfile`; TMPDIR chooses the disk), which is removed with the set.
        The vectors of a folder stay on disk: see `ShardedVectors`.
    labels: a file (`.npy`, `.csv`, `.txt`, `.parquet`), a folder of such files in natural order, or `(n,)` values, in
        place of what `path` holds. A label file with columns `group` and `id` supplies those too.
    groups, ids: likewise.
    name: what to call the set in reports; by default the file's name without suffix.

    Everything is looked at once, a block at a time: memory is that of the labels and some 50 bytes a row, beside the
    vectors themselves for `.npz`, `.safetensors` and a single `.parquet`.

    Singular and plural column names are both understood. Nothing is ever unpickled. Raises `InputError`, naming the
    file, if it is missing, unreadable, damaged, of an unknown kind, or if its content is not a valid set.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "parts.npz"
        >>> np.savez(path, embeddings=np.eye(3), labels=np.array(["bolt", "nut", "bolt"]))
        >>> load(path)
        EmbeddingSet(name='parts', n=3, dim=3, dtype=float64, classes=2)
    """
    path = Path(path)
    given = _given(labels=labels, groups=groups, ids=ids)
    vectors, columns = read(path, frozenset(role for role in ROLES if role not in given))
    columns |= given
    try:
        return EmbeddingSet.from_arrays(
            vectors,
            columns["labels"],
            groups=columns.get("groups"),
            ids=columns.get("ids"),
            name=name_of(path) if name is None else name,
        )
    except InputError as error:
        sources = "".join(
            f", {role} from {value}"
            for role, value in (("labels", labels), ("groups", groups), ("ids", ids))
            if _is_path(value)
        )
        raise InputError(f"{path}{sources}: {error}") from error


def read(path: Path, wanted: frozenset[Role]) -> tuple[NDArray[Any] | ShardedVectors, dict[Role, Column]]:
    """Return the vectors of a file or folder of any format, and the wanted columns. Raises `InputError`."""
    if path.is_dir():
        return read_folder(path, wanted)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} has no known suffix for embeddings; use one of {', '.join(_READERS)}, or a folder")
    require_file(path)
    return reader(path, wanted)


def name_of(path: Path) -> str:
    """Return what to call the set of a file or folder."""
    return path.absolute().name if path.is_dir() else path.stem


def save(path: str | os.PathLike[str], embedding_set: EmbeddingSet) -> None:
    """Write a set to `.npz`, `.parquet` or `.safetensors`; `load` returns an equal one.

    path: the file to write. It appears whole or not at all; one that is there is replaced.

    Raises `InputError` for another suffix, for a folder that is missing or not writable, and for labels that the
    format cannot store (objects other than str, int, float and bool).

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "faces.parquet"
        >>> faces = EmbeddingSet.from_arrays(np.eye(3, dtype="float16"), ["ann", "bob", "ann"])
        >>> save(path, faces)
        >>> load(path).fingerprint == faces.fingerprint
        True
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path} has no suffix that embeddings are written to; use one of {', '.join(_WRITERS)}")
    with atomic_path(path) as temporary:
        writer(temporary, embedding_set)


def _given(**sources: Any) -> dict[Role, Column]:
    """Return what the caller supplied; a column named on its own wins over a companion in the label file."""
    columns: dict[Role, Column] = {}
    for role in ROLES:
        source = sources[role]
        if _is_path(source):
            columns |= read_label_file(Path(source), role)
        elif source is not None:
            columns[role] = source
    return columns


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike)
