"""The text files in which data sets list their images, read line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evenmatch.errors import InputError

__all__ = ["Row", "read_rows", "read_text"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: its file, its number from 1, and its cells."""

    file: Path
    number: int
    cells: list[str]

    def integer(self, position: int, what: str) -> int:
        """Return a cell as a whole number.

        Raises:
            InputError: it is none; names the line.
        """
        cell = self.cells[position]
        if not (cell.isascii() and cell.isdigit()):
            raise self.error(f"has {cell!r} where {what} belongs", "restore the file")
        return int(cell)

    def error(self, fact: str, way_out: str) -> InputError:
        """Return the error that names this line."""
        return InputError(f"line {self.number} of {self.file} {fact}; {way_out}")


def read_rows(file: Path, width: int, *, skip: int = 0, split: Callable[[str], list[str]] = str.split) -> Iterator[Row]:
    """Yield the lines of a list; blank ones are passed over.

    Args:
        file: text file in UTF-8.
        width: how many cells each line has.
        skip: number of lines at the start that are not rows.
        split: what makes cells of a line.

    Raises:
        InputError: the file cannot be read, has no rows, or a line has another number of cells.
    """
    empty = True
    for number, line in enumerate(read_text(file).splitlines()[skip:], start=skip + 1):
        if not line.strip():
            continue
        row = Row(file, number, split(line))
        if len(row.cells) != width:
            raise row.error(
                f"has {len(row.cells)} cells instead of {width} ({line.strip()[:60]!r})", "restore the file"
            )
        empty = False
        yield row
    if empty:
        raise InputError(f"{file} lists nothing; it is empty or was cut short: restore it from the archive")


def read_text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text (byte {error.start}); restore it from the archive") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); check the path and its permissions") from error
