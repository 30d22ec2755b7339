"""ImageSet: which images a split has and what they show; the pixels stay on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.datasets import _decoding
from evenmatch.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageSet"]

_ROLES = ("query", "gallery")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class ImageSet:
    """The images of one split of a data set: where they are and what they show, never their pixels.

    Attributes:
        name: the data set, as `build` knows it.
        split: "train", "test", …
        root: the folder that `paths` are relative to.
        paths: (n,) files, with forward slashes; unique. They are the `ids`, too.
        labels: (n,) class of each image, int or str as in the official files.
        groups: (n,) a second label (super class, alphabet, …), or None.
        roles: (n,) "query" or "gallery" where the protocol tells them apart, or None.

    All arrays are read-only. Whether the files exist is not looked at until `missing` or `unreadable` is called.

    Raises:
        InputError: no images, columns of different length, an image listed twice, or an unknown role.

    Examples:
        >>> from evenmatch.datasets import ImageSet
        >>> parts = ImageSet("bolts", "test", ".", ["a/1.png", "a/2.png", "b/1.png"], ["a", "a", "b"])
        >>> parts.n, parts.classes.tolist(), parts.singletons().tolist()
        (3, ['a', 'b'], ['b'])
    """

    name: str
    split: str
    root: Path
    paths: NDArray[np.str_]
    labels: NDArray[Any]
    groups: NDArray[Any] | None = None
    roles: NDArray[Any] | None = None

    def __init__(
        self,
        name: str,
        split: str,
        root: str | Path,
        paths: Sequence[str] | NDArray[Any],
        labels: Sequence[Any] | NDArray[Any],
        groups: Sequence[Any] | NDArray[Any] | None = None,
        roles: Sequence[str] | NDArray[Any] | None = None,
    ) -> None:
        where = f"the split {split!r} of {name} in {root}"
        if len(paths) == 0:
            raise InputError(f"{where} has no images; check the files that list them")
        columns = {"paths": paths, "labels": labels, "groups": groups, "roles": roles}
        for column, values in columns.items():
            if values is not None and len(values) != len(paths):
                raise InputError(f"{where} has {len(paths)} paths but {len(values)} {column}; give one per image")
        arrays = {column: None if values is None else _frozen(values) for column, values in columns.items()}
        _require_unique(arrays["paths"], where)
        if arrays["roles"] is not None and not np.isin(arrays["roles"], _ROLES).all():
            wrong = arrays["roles"][~np.isin(arrays["roles"], _ROLES)][0]
            raise InputError(f'{where} has an image with role {str(wrong)!r}; a role is "query" or "gallery"')
        for field, value in {"name": name, "split": split, "root": Path(root), **arrays}.items():
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        groups = "" if self.groups is None else f", groups={len(np.unique(self.groups))}"
        return f"<ImageSet {self.name}/{self.split}: {self.n:,} images, {len(self.classes):,} classes{groups}>"

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.paths)

    @property
    def ids(self) -> NDArray[np.str_]:
        """(n,) unique name of each image: its path relative to the root."""
        return self.paths

    @property
    def classes(self) -> NDArray[Any]:
        """(K,) the distinct labels, sorted."""
        return self._classes

    @cached_property
    def _classes(self) -> NDArray[Any]:
        return _frozen(np.unique(self.labels))

    def file(self, row: int) -> Path:
        """Return where an image lies."""
        return self.root / str(self.paths[row])

    def open(self, row: int) -> Image:
        """Return one image, decoded, in the mode it was stored in.

        Raises:
            InputError: the file is missing or cannot be decoded.
        """
        return _decoding.load(self.file(row))

    def subset(self, rows: Any) -> ImageSet:
        """Return the images of a boolean mask `(n,)`, of indices or of a slice, in that order.

        Raises:
            InputError: no row, a repeated row, a mask of another length, or an index out of range.
        """
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(index, np.ndarray) and index.size == 0:
            index = index.astype(np.int64)
        try:
            kept = {
                column: None if values is None else values[index]
                for column, values in (
                    ("paths", self.paths),
                    ("labels", self.labels),
                    ("groups", self.groups),
                    ("roles", self.roles),
                )
            }
        except IndexError as error:
            raise InputError(f"rows do not fit {self.n} images ({error}); pass a mask, indices or a slice") from error
        return replace(self, **kept)

    def with_role(self, role: str) -> ImageSet:
        """Return the images of one role, "query" or "gallery".

        Raises:
            InputError: the split does not tell them apart, or no image has that role.
        """
        if self.roles is None:
            raise InputError(f"the split {self.split!r} of {self.name} has no query and gallery; use all of its images")
        if role not in _ROLES:
            raise InputError(f'there is no role {role!r}; choose "query" or "gallery"')
        return self.subset(self.roles == role)

    def singletons(self) -> NDArray[Any]:
        """Return the classes with a single image: they have no genuine pair, so no false reject rate."""
        classes, counts = np.unique(self.labels, return_counts=True)
        return classes[counts == 1]

    def missing(self) -> NDArray[np.int64]:
        """Return the rows whose file does not exist; each folder is listed once, no image is opened."""
        listed: dict[str, frozenset[str]] = {}
        absent: list[int] = []
        for row, path in enumerate(self.paths.tolist()):
            folder, slash, name = path.rpartition("/")
            folder = folder or ("/" if slash else ".")
            if folder not in listed:
                listed[folder] = _file_names(self.root / folder)
            if name not in listed[folder]:
                absent.append(row)
        return np.array(absent, dtype=np.int64)

    def unreadable(
        self, *, threads: int | None = None, progress: Callable[[int, int], None] | None = None
    ) -> dict[int, str]:
        """Decode every image and return the rows that fail, each with the reason; missing files fail, too.

        Args:
            threads: how many images are decoded at a time; by default one per processor.
            progress: called as progress(images decoded, images in all), from the calling thread.

        Returns:
            {row: reason}, ascending.
        """
        files = [self.root / path for path in self.paths.tolist()]
        return _decoding.failures(files, threads=threads, progress=progress)


def _frozen(values: Any) -> NDArray[Any]:
    view = np.asarray(values).view()
    view.flags.writeable = False
    return view


def _require_unique(paths: Any, where: str) -> None:
    seen: set[str] = set()
    for path in paths.tolist():
        if path in seen:
            raise InputError(f"{where} lists the image {path} twice; an image compared with itself is no pair")
        seen.add(path)


def _file_names(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if not entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}); check its permissions") from error
