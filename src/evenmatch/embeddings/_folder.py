"""Folders of shards: .npy matrices with label files beside them, or parquet files with a list column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.embeddings._guard import reading, require_magic
from evenmatch.embeddings._joined import joined, natural, number_of
from evenmatch.embeddings._label_files import read_label_file
from evenmatch.embeddings._npz import read_npy
from evenmatch.embeddings._parquet import embedding_and_columns, matrix_blocks, matrix_dtype
from evenmatch.embeddings._roles import Column, Role
from evenmatch.embeddings._shards import Shard, ShardedVectors
from evenmatch.embeddings._spool import spool
from evenmatch.errors import InputError

__all__ = ["read_folder"]

_LABEL_NAMES = ("label", "labels", "metadata")
_LABEL_SUFFIXES = (".npy", ".csv", ".txt", ".parquet")
_KIND = "a .parquet table"


def read_folder(path: Path, wanted: frozenset[Role]) -> tuple[ShardedVectors, dict[Role, Column]]:
    """Return the rows of all shards of a folder as one matrix in files, and the wanted columns.

    The folder's own files count, in the natural order of their names; those whose name begins with `.` or `_` do not.
    """
    with reading(path, "a folder"):
        files = natural(path)
    shards = [file for file in files if file.suffix.lower() == ".npy" and not _holds_labels(file)]
    if shards:
        return _read_npy_shards(path, files, shards, wanted)
    tables = [file for file in files if file.suffix.lower() == ".parquet"]
    if tables:
        return _read_tables(path, tables, wanted)
    raise InputError(f"{path} is a folder without shards of embeddings; put .npy or .parquet files directly in it")


def _holds_labels(file: Path) -> bool:
    return file.stem.rstrip("0123456789").rstrip("_-. ").lower() in _LABEL_NAMES


def _read_npy_shards(
    path: Path, files: list[Path], shards: list[Path], wanted: frozenset[Role]
) -> tuple[ShardedVectors, dict[Role, Column]]:
    found = [shard for file in shards if (shard := _npy_shard(file)) is not None]
    if not found:
        raise InputError(f"the shards in {path} have no rows; at least one row is needed")
    vectors = ShardedVectors(found)
    if "labels" not in wanted:
        return vectors, {}
    whole = [file for file in files if _holds_labels(file) and number_of(file) is None and _readable(file)]
    if len(whole) > 1:
        raise InputError(f"{path} has labels in both {whole[0].name} and {whole[1].name}; keep one of them")
    if whole:
        columns = read_label_file(whole[0], "labels")
        _require_rows(whole[0], columns["labels"], vectors.shape[0], f"the shards in {path} have")
        return vectors, _kept(columns, wanted)
    rows = {shard.path: shard.shape[0] for shard in found}
    parts = []
    kept = [file for file in shards if str(file.absolute()) in rows]
    whose: dict[Path, Path] = {}
    for shard in kept:
        labels = _labels_of(shard, files)
        if (other := whose.setdefault(labels, shard)) != shard:
            raise InputError(
                f"{labels} fits both {other.name} and {shard.name}; give the labels the name of their "
                "own shard, or keep one kind of embedding in the folder"
            )
        columns = read_label_file(labels, "labels")
        _require_rows(labels, columns["labels"], rows[str(shard.absolute())], f"{shard.name} has")
        parts.append(columns)
    return vectors, _kept(joined(kept, parts), wanted)


def _npy_shard(file: Path) -> Shard | None:
    """Describe a file; None if it has no rows."""
    require_magic(file, b"\x93NUMPY", "a .npy array")
    with reading(file, "a .npy array"), file.open("rb") as raw:  # the header alone, as an empty array has no map
        version = np.lib.format.read_magic(raw)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(raw)
    if len(shape) != 2:
        raise InputError(f"{file} has shape {shape}; a shard is a matrix (n, d), one row per sample")
    if dtype.kind != "f" or dtype.itemsize > 8 or not dtype.isnative:
        raise InputError(f"{file} is {dtype.str}; convert it to float16, float32 or float64 of this machine")
    if 0 in shape:
        return None
    mapped = read_npy(file, mmap=True)
    shard = Shard.of(mapped) if isinstance(mapped, np.memmap) else None
    if shard is None:
        raise InputError(f"{file} cannot be memory-mapped; save it again as a .npy array")
    return shard


def _labels_of(shard: Path, files: list[Path]) -> Path:
    """Return the label file of a shard: its own name with another suffix, or `labels_…`/`metadata_…` of its number."""
    number = number_of(shard)
    own = [
        file
        for file in files
        if _readable(file)
        and file != shard
        and (file.stem == shard.stem or (_holds_labels(file) and number is not None and number_of(file) == number))
    ]
    if len(own) == 1:
        return own[0]
    if own:
        raise InputError(f"{shard} has labels in both {own[0].name} and {own[1].name}; keep one of them")
    name = "labels" if number is None else f"labels_{number}"
    raise InputError(
        f"{shard} has no labels: there is neither labels.npy for all shards nor {name}.npy for this one "
        "(.csv, .txt and .parquet will do, and metadata for labels); or name a file (labels=, --labels)"
    )


def _readable(file: Path) -> bool:
    return file.suffix.lower() in _LABEL_SUFFIXES


def _require_rows(file: Path, column: Column, rows: int, whose: str) -> None:
    if len(column) != rows:
        raise InputError(f"{file} has {len(column)} labels but {whose} {rows} rows; give one label for each row")


def _kept(columns: dict[Role, Column], wanted: frozenset[Role]) -> dict[Role, Column]:
    return {role: column for role, column in columns.items() if role in wanted}


def _read_tables(path: Path, tables: list[Path], wanted: frozenset[Role]) -> tuple[ShardedVectors, dict[Role, Column]]:
    """Decode the list columns once into a temporary file: rows are then read in another order, many times."""
    import pyarrow.parquet as pq

    parts, names, dtypes, rows = [], [], [], []
    for file in tables:
        require_magic(file, b"PAR1", _KIND)
        with reading(file, _KIND), pq.ParquetFile(file) as table:
            if not table.metadata.num_rows:
                continue
            name, columns = embedding_and_columns(file, table, wanted)
            parts.append(columns)
            names.append((file, name))
            dtypes.append(matrix_dtype(file, table, name))
            rows.append(table.metadata.num_rows)
            if dtypes[-1] != dtypes[0]:
                raise InputError(f"{file} is {dtypes[-1]} but {names[0][0]} is {dtypes[0]}; convert them to one dtype")
    if not names:
        raise InputError(f"the tables in {path} have no rows; at least one row is needed")
    columns = joined([file for file, _ in names], parts)
    blocks = _table_blocks(names)
    first = next(blocks)
    shape = (sum(rows), first.shape[1])

    def checked() -> Iterator[NDArray[Any]]:
        yield first
        yield from blocks

    return spool(checked(), shape, dtypes[0], f"decoding {path}"), columns


def _table_blocks(names: list[tuple[Path, str]]) -> Iterator[NDArray[Any]]:
    import pyarrow.parquet as pq

    width: tuple[int, Path] | None = None
    for file, name in names:
        with ExitStack() as stack:
            stack.enter_context(reading(file, _KIND))
            table = stack.enter_context(pq.ParquetFile(file))
            for block in matrix_blocks(file, table, name):
                width = width or (block.shape[1], file)
                if block.shape[1] != width[0]:
                    raise InputError(
                        f"{file} has {block.shape[1]} values a row but {width[1]} has {width[0]}; "
                        "all shards must come from the same model"
                    )
                yield block
