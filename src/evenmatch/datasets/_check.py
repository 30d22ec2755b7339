"""Holding a data set on disk against its published counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evenmatch.datasets._images import Images
from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._registry import Part, find
from evenmatch.errors import CheckFailed

__all__ = ["CheckReport", "SplitCheck", "check"]

_NAMED = 5  # how many files or classes a report names; all are counted


@dataclass(frozen=True)
class SplitCheck:
    """What one split holds, beside what it should hold.

    Attributes:
        name: the split, with the option that chose it: "train", "test (small)".
        classes, images: how many the lists name.
        expected_classes, expected_images: the published counts, or None.
        queries, expected_queries: the same for the queries, or None where there is no query and gallery.
        missing: how many of the images do not exist; `missing_files` names the first.
        unreadable: how many cannot be decoded, or None if that was not tried; `unreadable_files` names the first, each
            with the reason.
        singletons: how many classes have one image; `singleton_classes` names the first. No fault, but such classes
            have no genuine pair.
    """

    name: str
    classes: int
    images: int
    expected_classes: int | None = None
    expected_images: int | None = None
    queries: int | None = None
    expected_queries: int | None = None
    missing: int = 0
    missing_files: tuple[str, ...] = ()
    unreadable: int | None = None
    unreadable_files: tuple[str, ...] = ()
    singletons: int = 0
    singleton_classes: tuple[str, ...] = ()

    def problems(self) -> Iterator[str]:
        """Yield one line for each thing that is wrong."""
        for what in ("classes", "images", "queries"):
            found, expected = getattr(self, what), getattr(self, f"expected_{what}")
            if expected is not None and found != expected:
                yield f"{self.name}: {found or 0:,} {what} found, {expected:,} expected"
        if self.missing:
            yield f"{self.name}: {self.missing:,} images are missing: {_named(self.missing_files, self.missing)}"
        if self.unreadable:
            named = _named(self.unreadable_files, self.unreadable)
            yield f"{self.name}: {self.unreadable:,} images are unreadable: {named}"


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes:
        name: the data set.
        root: where it lies, or None for glyphs.
        splits: one entry per split.
        overlap: how many classes are both in the training split and in another; `overlap_classes` names the first.
    """

    name: str
    root: str | None
    splits: tuple[SplitCheck, ...]
    overlap: int = 0
    overlap_classes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether counts are as published, all images are there (and readable, if tried), and no class is shared."""
        return not self.problems()

    def problems(self) -> tuple[str, ...]:
        """Return one line for each thing that is wrong."""
        lines = [line for split in self.splits for line in split.problems()]
        if self.overlap:
            named = _named(self.overlap_classes, self.overlap)
            lines.append(f"{self.overlap:,} classes are in train and in test: {named}")
        return tuple(lines)

    def require_ok(self) -> None:
        """Raise `CheckFailed`, which names the first problem and counts the others, unless all is as it should be."""
        if problems := self.problems():
            first, *others = problems
            more = f" (and {len(others)} more)" if others else ""
            raise CheckFailed(f"{self.name} is not as published: {first}{more}")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-safe dict."""
        return {**asdict(self), "ok": self.ok, "problems": list(self.problems())}

    def __str__(self) -> str:
        lines = [f"{self.name} in {self.root}" if self.root is not None else self.name]
        for split in self.splits:
            notes = [f"{split.classes:,} classes", f"{split.images:,} images"]
            if split.queries is not None:
                notes.append(f"{split.queries:,} queries against {split.images - split.queries:,}")
            if split.singletons:
                notes.append(f"{split.singletons:,} classes with one image")
            if split.unreadable is not None:
                notes.append(f"{split.unreadable:,} unreadable")
            lines.append(f"  {split.name}: {', '.join(notes)}")
        lines += [f"  wrong: {line}" for line in self.problems()] or ["  all as expected"]
        return "\n".join(lines)


def check(
    name: str,
    root: str | Path | None = None,
    *,
    decode: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> CheckReport:
    """Count what a data set holds and hold it against the published counts.

    Every split is read, its files are looked for, and the classes of train are compared with those of the other splits:
    none may be shared.

    Args:
        name: one of `names()`.
        root: where the data set lies.
        decode: decode every image, too, to find the damaged ones.
        threads: how many images are decoded at a time; by default one per processor.
        progress: called as progress(images decoded, images in the split) while decoding.
        options: options of the reader, such as `file` of manifest.

    Returns:
        The report; `ok` tells whether all is as it should be.

    Raises:
        InputError: the data set is unknown, or cannot be read at all.

    Examples:
        >>> from evenmatch import datasets
        >>> datasets.check("glyphs").ok
        True
    """
    entry = find(name)
    entry.require_options(options)
    found = [
        (part, entry.read(root, part.split, **{**part.options, **options})) for part in entry.parts_in(root, options)
    ]
    training = [images for part, images in found if part.split == "train"]
    others = [images for part, images in found if part.split != "train"]
    shared = sorted(
        {label for train in training for other in others for label in np.intersect1d(train.classes, other.classes)},
        key=str,
    )
    return CheckReport(
        name=name,
        root=None if root is None else str(root),
        splits=tuple(_check(part, images, decode, threads, progress) for part, images in found),
        overlap=len(shared),
        overlap_classes=tuple(map(str, shared[:_NAMED])),
    )


def _check(
    part: Part, images: Images, decode: bool, threads: int | None, progress: Callable[[int, int], None] | None
) -> SplitCheck:
    classes, counts = np.unique(images.labels, return_counts=True)
    singletons = classes[counts == 1]
    missing: list[str] = []
    unreadable: list[str] | None = None
    if isinstance(images, ImageSet):  # what is drawn in memory is always there
        absent = images.missing()
        missing = images.paths[absent].tolist()
        if decode:
            present = np.delete(np.arange(images.n), absent)
            failed = {}
            if len(present):
                failed = images.subset(present).unreadable(threads=threads, progress=progress)
            unreadable = [f"{images.paths[present[row]]} {reason}" for row, reason in failed.items()]
    return SplitCheck(
        name=part.name,
        classes=len(classes),
        images=images.n,
        expected_classes=part.classes,
        expected_images=part.images,
        queries=None if images.roles is None else int(np.count_nonzero(images.roles == "query")),
        expected_queries=part.queries,
        missing=len(missing),
        missing_files=tuple(missing[:_NAMED]),
        unreadable=None if unreadable is None else len(unreadable),
        unreadable_files=tuple((unreadable or [])[:_NAMED]),
        singletons=len(singletons),
        singleton_classes=tuple(map(str, singletons[:_NAMED].tolist())),
    )


def _named(first: tuple[str, ...], count: int) -> str:
    return ", ".join(first) + (f" and {count - len(first):,} more" if count > len(first) else "")
