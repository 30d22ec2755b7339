"""A manifest: one CSV or parquet table that lists images with their labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.errors import InputError

__all__ = ["LAYOUT", "manifest", "splits"]

LAYOUT = Layout(
    title="A manifest",
    fetch="or write a table with the columns path and label, and group, split and role if you have them",
    tree="""
root/
├── manifest.csv  (or manifest.parquet, or named with file=)
│     path,label,group,split
│     a/1.jpg,bolt 7,steel,train
└── a/1.jpg …
""",
)

_REQUIRED = ("path", "label")
_OPTIONAL = ("group", "split", "role")
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)  # 007 stays text, and so does what int64 cannot hold

Table = dict[str, list[Any]]


def manifest(root: str | Path | None, split: str = "all", *, file: str | Path | None = None) -> ImageSet:
    r"""Read the images that a table lists.

    Columns: path (relative to the root, or absolute) and label; optionally group, split, and role ("query" or
    "gallery"). Other columns are passed over. In a CSV, labels and groups that are whole numbers throughout ("7", not
    "007") become int, anything else stays text.

    Args:
        root: the folder that the paths start from; or the table itself, with paths starting from its folder.
        split: which value of the column split to take; "all" for every row.
        file: the table, if it is not manifest.csv or manifest.parquet in the root.

    Returns:
        The images, in the order of the table.

    Raises:
        InputError: the root or table is missing, a column is, a row has an empty cell or too few of them (says which),
            or no row has that split.

    Examples:
        >>> import pathlib, tempfile
        >>> from evenmatch.datasets import manifest
        >>> with tempfile.TemporaryDirectory() as root:
        ...     table = pathlib.Path(root, "manifest.csv")
        ...     _ = table.write_text("path,label,split\na/1.jpg,7,train\na/2.jpg,7,test\nb/1.jpg,8,test\n")
        ...     manifest(root, "test").labels.tolist()
        [7, 8]
    """
    folder, table_file = _locate(root, file)
    table = _read(table_file)
    rows = list(range(len(table["path"])))
    if split != "all":
        if "split" not in table:
            raise InputError(
                f'{table_file} has no column split; add it, or ask for the split "all" instead of {split!r}'
            )
        choose(f"split in {table_file}", split, [*dict.fromkeys(table["split"]), "all"])
        rows = [row for row in rows if table["split"][row] == split]

    def column(name: str) -> Any:
        return None if name not in table else np.asarray(table[name])[rows]

    return ImageSet(
        "manifest", split, folder, column("path"), column("label"), groups=column("group"), roles=column("role")
    )


def splits(root: str | Path | None, *, file: str | Path | None = None) -> tuple[str, ...]:
    """Return the values of the column split in the order in which they occur, or "all" if there is no such column."""
    return tuple(dict.fromkeys(_read(_locate(root, file)[1]).get("split", ["all"])))


def _locate(root: str | Path | None, file: str | Path | None) -> tuple[Path, Path]:
    if root is not None and file is None and Path(root).expanduser().is_file():
        table = Path(root).expanduser()
        folder = table.parent
    else:
        folder = LAYOUT.folder(root)
        if file is None:
            table = LAYOUT.find(folder, "manifest.csv", "manifest.parquet")
        else:
            table = folder / Path(file).expanduser()
    if table.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{table} has no known suffix for a manifest; write it as .csv or .parquet")
    if not table.is_file():
        raise InputError(f"{table} does not exist; {LAYOUT.way_out}")
    return folder, table


def _read(file: Path) -> Table:
    return _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file)


def _read_csv(file: Path) -> Table:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            rows = [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read as a UTF-8 .csv table ({error}); write it again") from error
    positions = _positions(file, header)
    table: Table = {name: [] for name in positions}
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(
                f"line {line} of {file} has {len(cells)} cells instead of {len(header)}; "
                "repair it (text with commas needs quotes)"
            )
        for name, position in positions.items():
            if not cells[position]:
                raise InputError(f"line {line} of {file} has no {name}; drop the row or give it one")
            table[name].append(cells[position])
    _require_rows(file, table)
    for name in ("label", "group"):
        if name in table and all(map(_NUMBER.fullmatch, table[name])):
            table[name] = [int(cell) for cell in table[name]]
    return table


def _read_parquet(file: Path) -> Table:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            positions = _positions(file, parquet.schema_arrow.names)
            arrow = parquet.read(columns=list(positions))
            table: Table = {name: arrow.column(name).to_pylist() for name in positions}
    except InputError:
        raise
    except Exception as error:  # pyarrow raises several unrelated types on damaged bytes
        detail = " ".join(str(error).split())[:120]
        raise InputError(f"{file} cannot be read as a .parquet table ({detail}); write it again") from error
    _require_rows(file, table)
    for name, cells in table.items():
        kinds = {type(cell) for cell in cells}
        if type(None) in kinds or "" in cells:
            row = next(row for row, cell in enumerate(cells) if cell is None or cell == "")
            raise InputError(f"row {row} of {file} has no {name}; drop the row or give it one")
        if kinds != {str} and not (kinds == {int} and name in ("label", "group")):
            wanted = "text or whole numbers" if name in ("label", "group") else "text"
            raise InputError(f"column {name} of {file} must be {wanted}; convert it")
    return table


def _positions(file: Path, header: Sequence[str]) -> dict[str, int]:
    for name in _REQUIRED:
        if name not in header:
            named = ", ".join(header[:12]) or "nothing"
            raise InputError(f"{file} has no column {name}, only {named}; give it the columns path and label")
    return {name: list(header).index(name) for name in (*_REQUIRED, *_OPTIONAL) if name in header}


def _require_rows(file: Path, table: Table) -> None:
    if not table["path"]:
        raise InputError(f"{file} lists nothing; write one row per image")
