"""What an official layout looks like, and what to say when it is not there."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evenmatch.errors import InputError

__all__ = ["Layout", "choose", "nearest"]


@dataclass(frozen=True)
class Layout:
    """Where a data set comes from and how it lies on disk.

    Attributes:
        title: its full name.
        fetch: what to fetch and from where, as in "fetch … ".
        tree: the expected tree, a line each, the root being the first line.
    """

    title: str
    fetch: str
    tree: str

    def folder(self, root: str | Path | None) -> Path:
        """Return the root.

        Raises:
            InputError: no root was given, or it is not a folder; says what to fetch.
        """
        if root is None:
            raise InputError(f"{self.title} needs a root folder; {self.way_out}")
        folder = Path(root).expanduser()
        if not folder.is_dir():
            problem = "is a file, not a folder" if folder.exists() else "does not exist"
            raise InputError(f"{folder} {problem}; {self.way_out}")
        return folder

    def find(self, root: Path, *candidates: str) -> Path:
        """Return the first of the candidate files or folders that exists below the root.

        Raises:
            InputError: none does; says what to fetch, or which subfolder is the real root.
        """
        for candidate in candidates:
            if (root / candidate).exists():
                return root / candidate
        wanted = " or ".join(candidates)
        for candidate in candidates:
            for found in sorted(root.glob(f"*/{candidate}")):
                inner = found.parents[len(Path(candidate).parts) - 1]
                raise InputError(f"{root} has no {wanted}, but {inner} has; pass {inner} as the root")
        raise InputError(f"{root} has no {wanted}; {self.way_out}")

    @property
    def way_out(self) -> str:
        """What to fetch, and the expected tree."""
        return f"fetch {self.fetch}. Expected tree:\n{textwrap.indent(self.tree.strip(chr(10)), '  ')}"


def choose(what: str, given: str, known: Iterable[str]) -> str:
    """Return `given` if it is one of the known names.

    Raises:
        InputError: it is not; names the known ones and the nearest.
    """
    known = list(known)
    if given in known:
        return given
    guess = nearest(given, known)
    meant = f"did you mean {guess!r}? " if guess else ""
    raise InputError(f"there is no {what} {given!r}; {meant}choose one of {', '.join(map(repr, known))}")


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like the given one, if any does."""
    by_key = {_key(name): name for name in known}
    key = _key(given)
    matches = difflib.get_close_matches(key, by_key, n=1, cutoff=0.5)
    if matches:
        return by_key[matches[0]]
    return next((name for other, name in by_key.items() if key and (key.startswith(other) or other in key)), None)


def _key(name: str) -> str:
    return "".join(character for character in str(name).lower() if character.isalnum())
