"""Parquet: one row per sample, the embedding as a list column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.embeddings._guard import reading, require_magic
from evenmatch.embeddings._json_column import from_json, to_json
from evenmatch.embeddings._roles import Column, Role, columns_of, find, missing, pick, singular
from evenmatch.embeddings._vectors import row_blocks
from evenmatch.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from evenmatch.embeddings._set import EmbeddingSet

__all__ = [
    "embedding_and_columns",
    "matrix_blocks",
    "matrix_dtype",
    "read_parquet",
    "read_parquet_columns",
    "write_parquet",
]

_KIND = "a .parquet table"
_JSON = {b"evenmatch": b"json"}  # on a text column: each cell is JSON, for values of mixed types


def read_parquet(path: Path, wanted: frozenset[Role]) -> tuple[NDArray[Any], dict[Role, Column]]:
    """Return the list column `embedding` (or `embeddings`) as a matrix, and the wanted columns."""
    require_magic(path, b"PAR1", _KIND)
    import pyarrow.parquet as pq

    with reading(path, _KIND), pq.ParquetFile(path) as file:
        name, columns = embedding_and_columns(path, file, wanted)
        return _matrix(path, file, name), columns


def embedding_and_columns(path: Path, file: Any, wanted: frozenset[Role]) -> tuple[str, dict[Role, Column]]:
    """Return the name of the list column of an open file, and the wanted columns."""
    names = file.schema_arrow.names
    name = find(names, "embeddings")
    if name is None:
        raise missing(path, "column 'embedding'", names, "give the list column that name")
    if "labels" in wanted and find(names, "labels") is None:
        raise missing(path, "column 'label'", names, "add it, or name a label file")
    return name, pick(names, wanted, lambda column: _column(path, file, column))


def read_parquet_columns(path: Path) -> dict[str, Any]:
    """Return, by name, how to read each column that is not a list: a function without arguments."""
    require_magic(path, b"PAR1", _KIND)
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path, _KIND), pq.ParquetFile(path) as file:
        flat = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]

    def read(name: str) -> Column:
        with reading(path, _KIND), pq.ParquetFile(path) as file:
            return _column(path, file, name)

    return {name: (lambda name=name: read(name)) for name in flat}


def _matrix(path: Path, file: Any, name: str) -> NDArray[Any]:
    matrix: NDArray[Any] | None = None
    start = 0
    for block in matrix_blocks(path, file, name):
        if matrix is None:
            matrix = np.empty((file.metadata.num_rows, block.shape[1]), dtype=block.dtype)
        matrix[start : start + len(block)] = block
        start += len(block)
    return np.empty((0, 0), dtype=np.float32) if matrix is None else matrix


def matrix_dtype(path: Path, file: Any, name: str) -> np.dtype:
    """Return the dtype of a list column's values. Raises `InputError` if it is not a list of floats."""
    import pyarrow as pa

    kind = file.schema_arrow.field(name).type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise InputError(f"column {name!r} of {path} has type {kind}; it must be a list of floats, one list per row")
    if not pa.types.is_floating(kind.value_type):
        raise InputError(f"column {name!r} of {path} is a {kind}; embeddings must be floating point")
    return np.dtype(kind.value_type.to_pandas_dtype())


def matrix_blocks(path: Path, file: Any, name: str) -> Iterator[NDArray[Any]]:
    """Yield the lists of a column as matrices of some thousand rows, all of one width; one at a time is in memory."""
    import pyarrow.compute as pc

    matrix_dtype(path, file, name)
    width, start = 0, 0
    for batch in file.iter_batches(batch_size=8192, columns=[name]):
        lists = batch.column(0)
        _refuse_null(path, name, lists, start)
        lengths = np.asarray(pc.call_function("list_value_length", [lists]))
        if not len(lengths):
            continue
        width = width if start else int(lengths[0])
        if (lengths != width).any():
            row = int(np.argmax(lengths != width))
            raise InputError(
                f"row {start + row} of column {name!r} in {path} has {lengths[row]} values but row 0 has "
                f"{width}; all embeddings must have the same length"
            )
        values = lists.flatten()
        if values.null_count:
            row = int(np.argmax(~np.asarray(values.is_valid()))) // width
            raise InputError(f"row {start + row} of column {name!r} in {path} has a missing value; drop or repair it")
        yield values.to_numpy(zero_copy_only=False).reshape(len(lists), width)
        start += len(lists)


def _column(path: Path, file: Any, name: str) -> Column:
    import pyarrow as pa

    table = file.read(columns=[name])
    field, column = table.schema.field(name), table.column(name).combine_chunks()
    _refuse_null(path, name, column, 0)
    if (field.metadata or {}).items() >= _JSON.items():
        return [from_json(cell, f"column {name!r} of {path}")[0] for cell in column.to_pylist()]
    if pa.types.is_dictionary(field.type):
        column = column.dictionary_decode()
    kind = column.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_temporal(kind)
    ):
        return column.to_numpy(zero_copy_only=False)
    return column.to_pylist()


def _refuse_null(path: Path, name: str, column: Any, start: int) -> None:
    if column.null_count:
        row = start + int(np.argmax(~np.asarray(column.is_valid())))
        raise InputError(f"row {row} of column {name!r} in {path} is missing; drop the row or give it a value")


def write_parquet(path: Path, samples: EmbeddingSet) -> None:
    """Write columns `embedding`, `label` and, where known, `group` and `id`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    value_type = pa.from_numpy_dtype(samples.vectors.dtype)
    fields = [pa.field("embedding", pa.list_(value_type, samples.dim))]
    columns: list[pa.Array] = []
    for role, values in columns_of(samples).items():
        column, metadata = _arrow_column(values, role)
        fields.append(pa.field(singular(role), column.type, metadata=metadata))
        columns.append(column)
    schema = pa.schema(fields)
    flat = [field.name for field in fields[1:]]
    # Dictionaries pay for labels and cost for floats, which never repeat.
    with pq.ParquetWriter(path, schema, use_dictionary=flat) as writer:  # pyright: ignore[reportArgumentType]
        for rows in row_blocks(samples.vectors, rows=8192):
            values = pa.array(np.ascontiguousarray(samples.vectors[rows]).reshape(-1), type=value_type)
            lists = pa.FixedSizeListArray.from_arrays(values, samples.dim)
            parts = [column.slice(rows.start, rows.stop - rows.start) for column in columns]
            writer.write_batch(pa.record_batch([lists, *parts], schema=schema))


def _arrow_column(values: NDArray[Any], role: Role) -> tuple[pa.Array, dict[bytes, bytes] | None]:
    import pyarrow as pa

    if values.dtype.kind in "US":
        try:
            return pa.array(values.tolist()), None
        except UnicodeEncodeError:  # lone surrogates, as in file names that are not UTF-8
            pass
    elif values.dtype != object:
        try:
            return pa.array(values), None
        except (pa.ArrowException, TypeError) as error:
            raise InputError(
                f"{role} of dtype {values.dtype} cannot be stored in .parquet; convert them to str or int first"
            ) from error
    to_json(values, role)
    cells = [to_json(values[row : row + 1], role) for row in range(len(values))]
    return pa.array(cells), _JSON
