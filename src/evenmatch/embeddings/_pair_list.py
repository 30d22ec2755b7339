"""Fixed lists of scored pairs, as verification protocols have them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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
    """Read a table of scored pairs: the arguments of `audit_scores` by name.

    path: `.csv` with a header row, or `.parquet`; one row a pair, with the columns `score` and `same` (0 or 1, true or
        false) and, if there are any, `fold`, `class` and `group`; other columns are not read.

    Raises `InputError`, naming the file, for one that cannot be read, lacks a column or has an empty cell in one.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pairs.csv"
        >>> _ = path.write_text("score,same\\n0.9,1\\n0.2,0\\n")
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
        name = next((name for name in table.column_names if name.strip() in names), None)
        if name is None and role in _NEEDED:
            raise missing(
                path, f"column {names[0]!r}", table.column_names, "give the column that name in the first row"
            )
        if name is None:
            continue
        column = table.column(name)
        values = column.to_numpy()
        empty = column.is_null().to_numpy()
        if values.dtype == object:
            empty = empty | (values == "")
        if empty.any():
            raise InputError(
                f"row {empty.argmax()} of column {name!r} in {path} is empty; drop the pair or give it a value"
            )
        found[role] = values
    return found


def _table(path: Path, suffix: str) -> Any:
    if suffix == ".csv":
        import pyarrow as pa
        from pyarrow import csv

        texts = {name: pa.string() for role in ("classes", "groups") for name in _NAMES[role]}  # 007 is not 7
        return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=texts))
    import pyarrow.parquet as pq

    return pq.read_table(path)
