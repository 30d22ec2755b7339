"""safetensors: tensors with a JSON header, nothing to execute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.embeddings._guard import reading, require_magic
from evenmatch.embeddings._json_column import from_json, to_json
from evenmatch.embeddings._roles import ROLES, Column, Role, columns_of, missing
from evenmatch.embeddings._vectors import row_blocks
from evenmatch.errors import InputError

if TYPE_CHECKING:
    from evenmatch.embeddings._set import EmbeddingSet

__all__ = ["read_safetensors", "write_safetensors", "write_tensors"]

_KIND = "a .safetensors file"
_HEADER_LIMIT = 100_000_000  # the format's own; readers refuse a longer header


def read_safetensors(path: Path, wanted: frozenset[Role]) -> tuple[NDArray[Any], dict[Role, Column]]:
    """Return the tensor `embeddings`, and the wanted columns from tensors or from JSON lists in the metadata."""
    require_magic(path, b"{", _KIND, at=8)
    from safetensors import safe_open

    columns: dict[Role, Column] = {}
    with reading(path, _KIND), safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        metadata: dict[str, str] = file.metadata() or {}
        if "embeddings" not in names:
            raise missing(path, "tensor 'embeddings'", names, "save it under that name")
        for role in ROLES:
            if role not in wanted:
                continue
            if role in names:
                columns[role] = _tensor(path, file, role)
            elif role in metadata:
                columns[role] = from_json(metadata[role], f"the metadata key {role!r} of {path}")
        if "labels" in wanted and "labels" not in columns:
            raise missing(
                path,
                "tensor 'labels' and no metadata key 'labels'",
                [*names, *metadata],
                "add an integer tensor or a JSON list of names, or name a label file",
            )
        return _tensor(path, file, "embeddings"), columns


def _tensor(path: Path, file: Any, name: str) -> NDArray[Any]:
    view = file.get_slice(name)
    if view.get_dtype() != "BF16":
        return file.get_tensor(name)
    with path.open("rb") as raw:
        length = int.from_bytes(raw.read(8), "little")
        begin = json.loads(raw.read(length))[name]["data_offsets"][0]
    halves = np.memmap(path, dtype="<u2", mode="r", offset=8 + length + begin, shape=tuple(view.get_shape()))
    # bfloat16 is the upper half of a float32.
    values = np.empty(halves.shape, dtype=np.float32)
    bits = values.view(np.uint32)
    for rows in row_blocks(halves) if halves.ndim == 2 else (slice(None),):
        bits[rows] = halves[rows].astype(np.uint32) << 16
    return values


def write_safetensors(path: Path, samples: EmbeddingSet) -> None:
    """Write tensors for numbers, and JSON lists in the metadata for text and mixed types."""
    tensors = {"embeddings": np.ascontiguousarray(samples.vectors)}
    metadata: dict[str, str] = {}
    for role, column in columns_of(samples).items():
        if column.dtype.kind in "biuf":
            tensors[role] = np.ascontiguousarray(column)
        elif column.dtype.kind in "UO":
            metadata[role] = to_json(column, role)
        else:
            raise InputError(
                f"{role} of dtype {column.dtype} cannot be stored in .safetensors; convert them to str or int first"
            )
    if len(json.dumps(metadata)) > _HEADER_LIMIT - 10_000:
        raise InputError("the names in labels, groups and ids are too long for a .safetensors header; use .parquet")
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: dict[str, NDArray[Any]], metadata: dict[str, str]) -> None:
    """Write contiguous arrays and text to a file that has the permissions of any other new file."""
    from safetensors.numpy import save_file

    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, metadata=metadata or None)
    path.chmod(mode)  # the library makes files that only their owner can read
