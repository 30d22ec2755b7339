"""Stanford Online Products: 22,634 products from an auction site."""

from __future__ import annotations

from pathlib import Path

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.datasets._lists import read_rows

__all__ = ["LAYOUT", "sop"]

LAYOUT = Layout(
    title="Stanford Online Products",
    fetch='"Stanford_Online_Products.zip" from the page of Song et al., CVPR 2016 '
    "(https://cvgl.stanford.edu/projects/lifted_struct/), unpack it and pass the folder Stanford_Online_Products",
    tree="""
Stanford_Online_Products/
├── Ebay_train.txt
├── Ebay_test.txt
├── bicycle_final/111085122871_0.JPG …
└── …
""",
)


def sop(root: str | Path | None, split: str = "train") -> ImageSet:
    """Read Stanford Online Products with its official split, which is one by class.

    11,318 classes with 59,551 images train, 11,316 with 60,502 test; counts from Song et al., *Deep Metric Learning via
    Lifted Structured Feature Embedding* (CVPR 2016).

    Args:
        root: the unpacked folder Stanford_Online_Products.
        split: "train" or "test".

    Returns:
        The images; labels are the official class_id, groups the super class ("bicycle", "cabinet", …).

    Raises:
        InputError: the root or a list is missing (says what to fetch), or a line cannot be read.
    """
    choose("split of sop", split, ("train", "test"))
    folder = LAYOUT.folder(root)
    paths: list[str] = []
    labels: list[int] = []
    groups: list[str] = []
    for row in read_rows(LAYOUT.find(folder, f"Ebay_{split}.txt"), 4, skip=1):
        path = row.cells[3]
        if "/" not in path:
            raise row.error(f"has the path {path!r} without a folder", "restore the file")
        paths.append(path)
        labels.append(row.integer(1, "a class_id"))
        groups.append(path.split("/")[0].removesuffix("_final"))
    return ImageSet("sop", split, folder, paths, labels, groups)
