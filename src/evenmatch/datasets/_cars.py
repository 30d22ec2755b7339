"""Cars-196: car models, 196 classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.errors import InputError

__all__ = ["LAYOUT", "cars"]

LAYOUT = Layout(
    title="Cars-196",
    fetch='"car_ims.tgz" and "cars_annos.mat" (or the devkit with cars_train, cars_test and '
    '"cars_test_annos_withlabels.mat") of the Stanford Cars data set '
    "(https://ai.stanford.edu/~jkrause/cars/car_dataset.html) and unpack them side by side",
    tree="""
cars196/
├── cars_annos.mat
└── car_ims/000001.jpg …
or
cars196/
├── devkit/
│   ├── cars_train_annos.mat
│   └── cars_test_annos_withlabels.mat  (here or beside devkit)
├── cars_train/00001.jpg …
└── cars_test/00001.jpg …
""",
)

_CLASSES = 196
_TRAIN_CLASSES = 98


def cars(root: str | Path | None, split: str = "train") -> ImageSet:
    """Read Cars-196 with the split by class that metric learning uses.

    The first 98 classes train (8,054 images), the last 98 test (8,131); counts as in Song et al., *Deep Metric Learning
    via Lifted Structured Feature Embedding* (CVPR 2016). The official split of the images is not used: both of its
    halves are read, and shared out by class.

    Args:
        root: folder with cars_annos.mat and car_ims, or with devkit, cars_train and cars_test.
        split: "train" or "test".

    Returns:
        The images; labels are the official class numbers 1 … 196, groups None.

    Raises:
        InputError: the root or an annotation file is missing (says what to fetch), or cannot be read.
    """
    choose("split of cars", split, ("train", "test"))
    folder = LAYOUT.folder(root)
    pairs = [pair for pair in _annotations(folder) if (pair[1] <= _TRAIN_CLASSES) == (split == "train")]
    return ImageSet("cars", split, folder, [path for path, _ in pairs], [label for _, label in pairs])


def _annotations(folder: Path) -> Iterator[tuple[str, int]]:
    if not (folder / "devkit").is_dir():
        yield from _read(LAYOUT.find(folder, "cars_annos.mat"), "relative_im_path", "")
        return
    train = LAYOUT.find(folder, "devkit/cars_train_annos.mat")
    test = LAYOUT.find(folder, "devkit/cars_test_annos_withlabels.mat", "cars_test_annos_withlabels.mat")
    yield from _read(train, "fname", "cars_train/")
    yield from _read(test, "fname", "cars_test/")


def _read(file: Path, path_field: str, prefix: str) -> Iterator[tuple[str, int]]:
    for row, annotation in enumerate(np.atleast_1d(_load(file))):
        try:
            path, label = str(annotation[path_field]), int(annotation["class"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"annotation {row} of {file} has no {path_field} with a class; take the file with the labels"
            ) from error
        if not 1 <= label <= _CLASSES:
            raise InputError(f"annotation {row} of {file} has class {label}, but they are 1 … {_CLASSES}; restore it")
        yield prefix + path, label


def _load(file: Path) -> Any:
    from scipy.io import loadmat

    try:
        content = loadmat(file, simplify_cells=True)
    except Exception as error:  # scipy raises several unrelated types on damaged bytes
        detail = " ".join(str(error).split())[:120]
        raise InputError(f"{file} cannot be read as a .mat file ({detail}); fetch it again") from error
    if "annotations" not in content or np.size(content["annotations"]) == 0:
        raise InputError(f"{file} has no annotations; fetch it again")
    return content["annotations"]
