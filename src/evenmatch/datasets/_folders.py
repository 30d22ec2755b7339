"""Folders of classes: one folder a class, whatever images it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.errors import InputError

__all__ = ["LAYOUT", "folders", "splits"]

LAYOUT = Layout(
    title="A tree of folders, one a class,",
    fetch="or arrange your images so that each class is a folder, with the folders of the split in train and test",
    tree="""
root/
├── train/  (optional; without train and test, the only split is "all")
│   ├── class a/*.png, *.jpg …
│   └── …
└── test/
    ├── class b/*.png, *.jpg …
    └── …
""",
)

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"))


def folders(root: str | Path | None, split: str = "train") -> ImageSet:
    """Read a tree in which each class is a folder.

    Args:
        root: folder of train and test, each with a folder per class; or the folder of the classes itself.
        split: "train" or "test" where the root has such folders, "all" where it has not.

    Returns:
        The images (png, jpg, jpeg, bmp, gif, ppm, pgm, tif, tiff, webp), sorted by class and name; labels are the names
        of the folders, groups None. Hidden files and folders are passed over.

    Raises:
        InputError: the root or the folder of the split is missing, it has no class, or a class folder has no image.

    Examples:
        >>> import pathlib, tempfile
        >>> from evenmatch.datasets import folders
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for file in ("ann/1.jpg", "ann/2.jpg", "bob/1.jpg"):
        ...         path = pathlib.Path(root, file)
        ...         path.parent.mkdir(exist_ok=True)
        ...         path.touch()
        ...     folders(root, "all").labels.tolist()
        ['ann', 'ann', 'bob']
    """
    choose("split of folders", split, ("train", "test", "all"))
    folder = LAYOUT.folder(root)
    divided = splits(folder)
    if split == "all" and "all" not in divided:
        raise InputError(f'{folder} is divided into {" and ".join(divided)}; ask for one of them, not for "all"')
    if split != "all" and split not in divided:
        raise InputError(
            f'{folder} has no folder {split}; ask for the split "all", divide the classes among train and test, '
            f"or write a manifest with a column split. Expected tree:\n{LAYOUT.tree.strip(chr(10))}"
        )
    base = folder if split == "all" else folder / split
    paths: list[str] = []
    labels: list[str] = []
    for label in _names(base, folders=True):
        images = [name for name in _names(base / label, folders=False) if Path(name).suffix.lower() in _SUFFIXES]
        if not images:
            raise InputError(f"{base / label} has no images; add some, or remove the folder")
        paths += [(base / label / name).relative_to(folder).as_posix() for name in images]
        labels += [label] * len(images)
    return ImageSet("folders", split, folder, paths, labels)


def splits(root: str | Path | None) -> tuple[str, ...]:
    """Return the splits that a tree has: train and test, one of them, or all."""
    folder = LAYOUT.folder(root)
    return tuple(name for name in ("train", "test") if (folder / name).is_dir()) or ("all",)


def _names(folder: Path, *, folders: bool) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir() == folders and not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}); check its permissions") from error
    return iter(sorted(names))
