"""What the commands' options have in common: lists of numbers, limits, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenmatch.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "check_limits",
    "check_outputs",
    "numbers",
    "parse_limits",
    "print_json",
    "print_summary",
    "write_csv",
]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def numbers(text: str, option: str) -> list[float]:
    """Comma-separated numbers.

    Raises:
        InputError: a part is no number; names the option.
    """
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"{option} {text!r} is not a list of numbers; write it as 0.01,0.1") from None


def parse_limits(limits: list[str], known: list[str]) -> dict[str, float]:
    """``name=value`` limits of ``--fail-above``.

    Raises:
        InputError: the name is unknown or the value is no number.
    """
    parsed = {}
    for limit in limits:
        name, _, value = limit.partition("=")
        if name not in known:
            raise InputError(f"--fail-above {limit!r} names no quantity; use one of {', '.join(known)}, as opis=0.02")
        try:
            parsed[name] = float(value)
        except ValueError:
            raise InputError(f"--fail-above {limit!r} has no number; write it as {name}=0.02") from None
        if parsed[name] != parsed[name]:
            raise InputError(f"--fail-above {limit!r} is no limit: nothing is above NaN; write it as {name}=0.02")
    return parsed


def check_limits(values: dict[str, Any], limits: dict[str, float]) -> None:
    """Compare values with their upper limits.

    Raises:
        InputError: a value is undefined.
        CheckFailed: a value is above its limit.
    """
    for name in limits:
        if values[name] is None:
            raise InputError(f"--fail-above {name}: it is undefined on these data; leave the limit out")
    above = [f"{name} is {values[name]:.6g}, above {limit:g}" for name, limit in limits.items() if values[name] > limit]
    if above:
        raise CheckFailed("; ".join(above))


def check_outputs(*paths: Path | None) -> None:
    """Hold every file that is to be written against its folder, before any work.

    Raises:
        InputError: one could not be written.
    """
    from evenmatch.embeddings import require_writable

    for path in paths:
        if path is not None:
            require_writable(path)


def print_json(value: Any) -> None:
    """Print JSON on stdout."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_summary(summary: dict[str, Any], table: Callable[[dict[str, Any], Console], None], as_json: bool) -> None:
    """Print a result on stdout, as JSON for machines or as its table."""
    if as_json:
        print_json(summary)
    else:
        from rich.console import Console

        table(summary, Console())


def write_csv(table: Any, path: Path) -> None:
    """Write a DataFrame as CSV, whole or not at all; text that a spreadsheet would run gets an apostrophe in front."""
    from evenmatch.embeddings import atomic_path

    plain = table.reset_index()
    for column in plain.select_dtypes(exclude="number"):
        plain[column] = [
            f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value for value in plain[column]
        ]
    with atomic_path(path) as temporary:
        plain.to_csv(temporary, index=False)
