"""CUB-200-2011: birds, 200 classes."""

from __future__ import annotations

from pathlib import Path

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.datasets._lists import read_rows

__all__ = ["LAYOUT", "cub"]

LAYOUT = Layout(
    title="CUB-200-2011",
    fetch='"CUB_200_2011.tgz" from the Caltech-UCSD Birds-200-2011 page '
    "(https://www.vision.caltech.edu/datasets/cub_200_2011/), unpack it and pass the folder CUB_200_2011",
    tree="""
CUB_200_2011/
├── images.txt
├── image_class_labels.txt
└── images/
    ├── 001.Black_footed_Albatross/*.jpg
    └── …
""",
)

_CLASSES = 200
_TRAIN_CLASSES = 100


def cub(root: str | Path | None, split: str = "train") -> ImageSet:
    """Read CUB-200-2011 with the split by class that metric learning uses.

    The first 100 classes train (5,864 images), the last 100 test (5,924); counts as in Song et al., *Deep Metric
    Learning via Lifted Structured Feature Embedding* (CVPR 2016). The official train_test_split.txt splits images,
    not classes, and is not used.

    Args:
        root: the unpacked folder CUB_200_2011.
        split: "train" or "test".

    Returns:
        The images; labels are the official class numbers 1 … 200, groups None.

    Raises:
        InputError: the root or a list is missing (says what to fetch), or a line cannot be read.
    """
    choose("split of cub", split, ("train", "test"))
    folder = LAYOUT.folder(root)
    label_of: dict[str, int] = {}
    for row in read_rows(LAYOUT.find(folder, "image_class_labels.txt"), 2):
        label = row.integer(1, "a class number")
        if not 1 <= label <= _CLASSES:
            raise row.error(f"has class {label}", f"classes are 1 … {_CLASSES}: restore the file")
        label_of[row.cells[0]] = label
    paths: list[str] = []
    labels: list[int] = []
    for row in read_rows(LAYOUT.find(folder, "images.txt"), 2):
        number, path = row.cells
        if number not in label_of:
            raise row.error(f"has image {number}, which image_class_labels.txt lacks", "restore both files")
        if (label_of[number] <= _TRAIN_CLASSES) == (split == "train"):
            paths.append(f"images/{path}")
            labels.append(label_of[number])
    return ImageSet("cub", split, folder, paths, labels)
