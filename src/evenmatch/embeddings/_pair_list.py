"""Fixed lists of scored pairs, as verification protocols have them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evenmatch.embeddings._guard import reading, require_file, require_magic
from evenmatch.embeddings._roles import missing
from evenmatch.errors import InputError

__all__ = ["load_scores"]

_NAMES = {
    "scores": ("score", "scores"),
    "same": ("same",),
    "folds": ("fold", "folds"),
    "classes": ("class", "classes"),
    "groups": ("group", "groups"),
}
_NEEDED = ("scores", "same")


def load_scores(path: str | os.PathLike[str]) -> dict[str, Any]:
    r"""Read a table of scored pairs: the arguments of `audit_scores` by name.

    path: `.csv` with a header row, or `.parquet`; one row a pair, with the columns `score` and `same` (0 or 1, true or
        false) and, if there are any, `fold`, `class` and `group`; other columns are not read.

    Raises `InputError`, naming the file, for one that cannot be read, lacks a column or has an empty cell in one.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pairs.csv"
        >>> _ = path.write_text("score,same\n0.9,1\n0.2,0\n")
        >>> load_scores(path)["same"]
        array([1, 0])
    """
    path = Path(path)
    require_file(path)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InputError(f"{path} has no known suffix for scored pairs; use .csv or .parquet")
    kind = f"a {suffix} table"
    if suffix == ".parquet":
        require_magic(path, b"PAR1", kind)
    with reading(path, kind):
        table = _table(path, suffix)
    found = {}
    for role, names in _NAMES.items():
        present = [name for name in table.column_names if name in names]
        if not present and role in _NEEDED:
            raise missing(path, f"column {names[0]!r}", table.column_names, "name the column so in the first row")
        if len(present) > 1:
            raise InputError(f"{path} has the columns {' and '.join(map(repr, present))}; keep one of them")
        if present:
            found[role] = _values(path, present[0], table.column(present[0]))
    return found


def _values(path: Path, name: str, column: Any) -> NDArray[Any]:
    values = column.to_numpy()
    empty = column.is_null().to_numpy()
    if values.dtype == object:
        empty = empty | (values == "")
    if empty.any():
        raise InputError(f"row {empty.argmax()} of column {name!r} in {path} is empty; drop the pair or give a value")
    return values


def _table(path: Path, suffix: str) -> Any:
    """The table of a file, spaces around its column names removed."""
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        return table.rename_columns([name.strip() for name in table.column_names])
    import pyarrow as pa
    from pyarrow import csv

    with csv.open_csv(path) as reader:
        names = reader.schema.names
    texts = (*_NAMES["classes"], *_NAMES["groups"])  # there 007 is not 7
    types = {name: pa.string() for name in names if name.strip() in texts}
    table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))
    return table.rename_columns([name.strip() for name in names])
