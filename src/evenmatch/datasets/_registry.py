"""The data sets by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenmatch.datasets import (
    _cars,
    _cub,
    _folders,
    _glyphs,
    _inaturalist,
    _inshop,
    _manifest,
    _omniglot,
    _sop,
    _vehicleid,
)
from evenmatch.datasets._images import Images
from evenmatch.datasets._layout import Layout, choose, nearest
from evenmatch.errors import InputError

__all__ = ["DataSet", "Part", "build", "catalogue", "find", "names"]


@dataclass(frozen=True)
class Part:
    """A split that a data set has, and what it should hold.

    Attributes:
        split: the name to ask `build` for.
        title: the name to show; differs from the split where options choose among several.
        options: options for `build`.
        classes, images: the published counts, or None where there are none to hold the data against.
        queries: the published number of queries, where the protocol tells query and gallery apart.
    """

    split: str
    classes: int | None = None
    images: int | None = None
    queries: int | None = None
    title: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The title, or the split if it has none."""
        return self.title or self.split


@dataclass(frozen=True)
class DataSet:
    """An entry of the registry.

    Attributes:
        name: what `build` calls it.
        title: its full name.
        parts: its splits with the published counts.
        fetch: what to fetch and from where, or what to prepare; empty if nothing.
        tree: the expected tree.
        read: the function that reads it.
        splits: what tells which splits a root has, for data sets in which that differs.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    fetch: str
    tree: str
    read: Callable[..., Images]
    splits: Callable[..., tuple[str, ...]] | None = None

    def require_options(self, options: Iterable[str]) -> None:
        """Raise `InputError` for an option that the reader does not take; says the nearest."""
        known = list(inspect.signature(self.read).parameters)[2:]
        for option in options:
            if option not in known:
                guess = nearest(option, known)
                meant = f"did you mean {guess!r}? " if guess else ""
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise InputError(f"{self.name} has no option {option!r}; {meant}{takes}")

    def parts_in(self, root: str | Path | None, options: Mapping[str, Any]) -> tuple[Part, ...]:
        """Return the parts that a root has."""
        if self.splits is None:
            return self.parts
        takes = inspect.signature(self.splits).parameters
        present = self.splits(root, **{option: value for option, value in options.items() if option in takes})
        by_split = {part.split: part for part in self.parts}
        return tuple(by_split.get(split, Part(split)) for split in present)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as a JSON-safe dict."""
        parts = [
            {"split": part.split, "name": part.name, "classes": part.classes, "images": part.images}
            for part in self.parts
        ]
        return {"name": self.name, "title": self.title, "fetch": self.fetch, "tree": self.tree, "splits": parts}

    def __str__(self) -> str:
        sizes = [
            f"{part.name} {part.classes:,} classes {f'{part.images:,}' if part.images else '?'} images"
            for part in self.parts
            if part.classes
        ]
        return f"{self.name}: {self.title.rstrip(',')}" + (f" ({'; '.join(sizes)})" if sizes else "")


def _entry(
    name: str,
    layout: Layout,
    read: Callable[..., Images],
    *parts: Part,
    splits: Callable[..., tuple[str, ...]] | None = None,
) -> DataSet:
    return DataSet(name, layout.title, parts, layout.fetch, layout.tree.strip("\n"), read, splits)


def _read_glyphs(
    root: str | Path | None, split: str = "train", *, size: int = 32, seed: int = 0, copies: int = 1
) -> Images:
    del root  # the fonts come with matplotlib
    return _glyphs.glyphs(split, size=size, seed=seed, copies=copies)


_ANY_SPLIT = (Part("train"), Part("test"), Part("all"))

# Where the counts come from is said in the docstring of each reader.
_DATASETS = {
    entry.name: entry
    for entry in (
        _entry("cub", _cub.LAYOUT, _cub.cub, Part("train", 100, 5_864), Part("test", 100, 5_924)),
        _entry("cars", _cars.LAYOUT, _cars.cars, Part("train", 98, 8_054), Part("test", 98, 8_131)),
        _entry("sop", _sop.LAYOUT, _sop.sop, Part("train", 11_318, 59_551), Part("test", 11_316, 60_502)),
        _entry(
            "inshop",
            _inshop.LAYOUT,
            _inshop.inshop,
            Part("train", 3_997, 25_882),
            Part("test", 3_985, 14_218 + 12_612, queries=14_218),
        ),
        _entry(
            "inaturalist",
            _inaturalist.LAYOUT,
            _inaturalist.inaturalist,
            Part("train", 5_690, 325_846),
            Part("test", 2_452, 136_093),
        ),
        _entry(
            "vehicleid",
            _vehicleid.LAYOUT,
            _vehicleid.vehicleid,
            Part("train", 13_164, 113_346),
            Part("test", 800, title="test (small)", options={"size": "small"}),
            Part("test", 1_600, title="test (medium)", options={"size": "medium"}),
            Part("test", 2_400, title="test (large)", options={"size": "large"}),
        ),
        _entry(
            "omniglot",
            _omniglot.LAYOUT,
            _omniglot.omniglot,
            Part("train", 161, 3_220),
            Part("test", 81, 1_620),
            Part("background", 964, 19_280),
            Part("evaluation", 659, 13_180),
            splits=_omniglot.splits,
        ),
        _entry("folders", _folders.LAYOUT, _folders.folders, *_ANY_SPLIT, splits=_folders.splits),
        _entry("manifest", _manifest.LAYOUT, _manifest.manifest, *_ANY_SPLIT, splits=_manifest.splits),
        DataSet(
            "glyphs",
            "Glyphs, drawn from the fonts that matplotlib ships",
            (Part("train"), Part("test")),
            fetch="",
            tree="",
            read=_read_glyphs,
        ),
    )
}


def names() -> tuple[str, ...]:
    """Return the names that `build` knows.

    Examples:
        >>> from evenmatch import datasets
        >>> "cub" in datasets.names()
        True
    """
    return tuple(_DATASETS)


def catalogue() -> tuple[DataSet, ...]:
    """Return every data set with its splits, published counts and where to fetch it.

    Examples:
        >>> from evenmatch import datasets
        >>> print(datasets.catalogue()[0])
        cub: CUB-200-2011 (train 100 classes 5,864 images; test 100 classes 5,924 images)
    """
    return tuple(_DATASETS.values())


def find(name: str) -> DataSet:
    """Return the entry of a data set.

    Raises:
        InputError: the name is unknown; says the nearest.
    """
    return _DATASETS[choose("data set", name, _DATASETS)]


def build(name: str, root: str | Path | None = None, split: str = "train", **options: Any) -> Images:
    """Read one split of a data set, by name.

    Nothing is ever downloaded: if the root or a file is missing, the error says what to fetch from where, and shows the
    expected tree.

    Args:
        name: one of `names()`.
        root: where the data set lies; None for `glyphs`, which needs none.
        split: "train", "test", or another that the data set has.
        options: what else its reader takes: `train_list` and `test_list` of inaturalist, `size`, `gallery_seed` and
            `group` of vehicleid, `alphabets` of omniglot, `file` of manifest, `size`, `seed` and `copies` of glyphs.

    Returns:
        The images: an `ImageSet`, or `Glyphs` for glyphs.

    Raises:
        InputError: unknown name, split or option (says the nearest), or the data cannot be read.

    Examples:
        >>> from evenmatch import datasets
        >>> datasets.build("glyphs", split="train").classes[0]
        np.str_('A U+0041')
    """
    entry = find(name)
    entry.require_options(options)
    return entry.read(root, split, **options)
