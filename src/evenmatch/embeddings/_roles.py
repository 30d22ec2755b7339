"""What a file can hold beside the embeddings, and the names under which it may."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from evenmatch.errors import InputError

if TYPE_CHECKING:
    from evenmatch.embeddings._set import EmbeddingSet

__all__ = ["ROLES", "Column", "Role", "columns_of", "find", "missing", "pick", "singular"]

Role = Literal["labels", "groups", "ids"]
ROLES: tuple[Role, ...] = ("labels", "groups", "ids")

Column = Any  # whatever `as_column` takes: an array, or a list of Python values


def columns_of(samples: EmbeddingSet) -> dict[Role, NDArray[Any]]:
    """Return the columns that a set has."""
    columns: dict[Role, NDArray[Any] | None] = {"labels": samples.labels, "groups": samples.groups, "ids": samples.ids}
    return {role: column for role, column in columns.items() if column is not None}


def singular(name: str) -> str:
    """Return the name of a column that holds one such thing a row."""
    return name.removesuffix("s")


def find(names: Iterable[str], wanted: str) -> str | None:
    """Return the name under which `wanted` is present (singular or plural), or None."""
    present = {name.strip(): name for name in names}
    return next((present[name] for name in (wanted, singular(wanted)) if name in present), None)


def listed(names: Iterable[str]) -> str:
    """Return names for a message; the first dozen of many."""
    names = sorted(names)
    if not names:
        return "nothing"
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def pick(names: Iterable[str], wanted: frozenset[Role], read: Callable[[str], Column]) -> dict[Role, Column]:
    """Read each wanted column that is present."""
    names = list(names)
    columns: dict[Role, Column] = {}
    for role in ROLES:
        if role in wanted and (name := find(names, role)) is not None:
            columns[role] = read(name)
    return columns


def missing(path: Path, what: str, names: Iterable[str], way_out: str) -> InputError:
    """Return the error that says what is absent and what is there instead."""
    return InputError(f"{path} has no {what}, only {listed(names)}; {way_out}")
