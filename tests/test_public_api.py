"""The public API is a list in a file, so that no change to it goes unseen.

After a change that is meant: ``python tests/test_public_api.py`` writes the list again, and the diff shows the change.
"""

from __future__ import annotations

import enum
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LIST = Path(__file__).with_name("public_api.txt")
PACKAGES = (
    "evenmatch",
    "evenmatch.embeddings",
    "evenmatch.pairs",
    "evenmatch.measures",
    "evenmatch.calibration",
    "evenmatch.auditing",
    "evenmatch.losses",
    "evenmatch.datasets",
    "evenmatch.training",
    "evenmatch.plot",
    "evenmatch.errors",
)


def parameters(function: Any) -> str:
    """Names and defaults; annotations may be spelled differently by another Python."""
    shown = []
    star = False
    for each in inspect.signature(function).parameters.values():
        if each.kind is each.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        mark = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        star = star or mark == "*"
        default = "" if each.default is each.empty else f"={_default(each.default)}"
        shown.append(f"{mark}{each.name}{default}")
    return f"({', '.join(shown)})"


def _default(value: Any) -> str:
    return repr(value) if isinstance(value, int | float | str | tuple | type(None)) else type(value).__name__


def members(cls: type) -> Iterator[str]:
    """The class's own public methods and properties."""
    for name, value in sorted(vars(cls).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, staticmethod | classmethod):
            yield f"{name}{parameters(value.__func__)}"
        elif inspect.isfunction(value):
            yield f"{name}{parameters(value)}"
        elif isinstance(value, property) or type(value).__name__ == "cached_property":
            yield name


def lines() -> Iterator[str]:
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in sorted(module.__all__):
            value = getattr(module, name)
            if not inspect.isclass(value):
                yield f"{package}.{name}{parameters(value) if callable(value) else ''}"
                continue
            own = issubclass(value, Exception | enum.Enum)
            yield f"{package}.{name}{'' if own else parameters(value)}"
            for member in members(value):
                yield f"{package}.{name}.{member}"


def test_the_public_api_is_the_listed_one():
    pytest.importorskip("torch")
    listed, found = LIST.read_text(encoding="utf-8").splitlines(), list(lines())
    gone, new = sorted(set(listed) - set(found)), sorted(set(found) - set(listed))
    assert (gone, new) == ([], []), "if this is meant, run python tests/test_public_api.py and note it in the CHANGELOG"


def test_every_public_name_has_a_docstring():
    pytest.importorskip("torch")
    bare = []
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if (inspect.isclass(value) or inspect.isroutine(value)) and not (value.__doc__ or "").strip():
                bare.append(f"{package}.{name}")
    assert bare == []


if __name__ == "__main__":
    LIST.write_text("\n".join(lines()) + "\n", encoding="utf-8")
