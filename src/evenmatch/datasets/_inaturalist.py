"""iNaturalist-2018 with the open-world class split of Smooth-AP: 8,142 species."""

from __future__ import annotations

from pathlib import Path

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.datasets._lists import read_rows
from evenmatch.errors import InputError

__all__ = ["LAYOUT", "inaturalist"]

LAYOUT = Layout(
    title="iNaturalist-2018",
    fetch='"train_val2018.tar.gz" of the iNaturalist 2018 competition '
    "(https://github.com/visipedia/inat_comp/tree/master/2018) and the list files of the open-world split from the "
    "page of Smooth-AP (https://github.com/Andrew-Brown1/Smooth_AP)",
    tree="""
inaturalist/
├── Inaturalist_train_set1.txt  (here or in Inat_dataset_splits/, or named with train_list=, test_list=)
├── Inaturalist_test_set1.txt
└── train_val2018/
    ├── Aves/2737/*.jpg
    └── …
""",
)

_IMAGES = "train_val2018"


def inaturalist(
    root: str | Path | None,
    split: str = "train",
    *,
    train_list: str | Path | None = None,
    test_list: str | Path | None = None,
) -> ImageSet:
    """Read iNaturalist-2018 by the list files of an open-world split, which the user provides.

    With the lists of Brown et al., *Smooth-AP* (ECCV 2020), 5,690 classes with 325,846 images train and 2,452 with
    136,093 test; counts from that paper; together they are the 461,939 images of the competition's train and
    validation sets.

    Args:
        root: folder with train_val2018.
        split: "train" or "test".
        train_list: one image a line, "train_val2018/Aves/2737/….jpg"; what precedes train_val2018 is dropped. By
            default Inaturalist_train_set1.txt in the root or in Inat_dataset_splits.
        test_list: the same for the test, by default Inaturalist_test_set1.txt.

    Returns:
        The images; labels are "super category/category number" ("Aves/2737"), groups the super category.

    Raises:
        InputError: the root or a list is missing (says what to fetch), or a line cannot be read.
    """
    choose("split of inaturalist", split, ("train", "test"))
    folder = LAYOUT.folder(root)
    given = train_list if split == "train" else test_list
    if given is None:
        name = f"Inaturalist_{split}_set1.txt"
        file = LAYOUT.find(folder, name, f"Inat_dataset_splits/{name}")
    else:
        file = Path(given).expanduser()
        if not file.is_file():
            raise InputError(f"{split}_list {file} does not exist; {LAYOUT.way_out}")
    paths: list[str] = []
    labels: list[str] = []
    groups: list[str] = []
    for row in read_rows(file, 1, split=lambda line: [line.strip()]):
        parts = row.cells[0].split("/")
        if _IMAGES in parts:
            parts = parts[parts.index(_IMAGES) :]
        if len(parts) != 4 or parts[0] != _IMAGES or not all(parts):
            raise row.error(
                f"is {row.cells[0][:80]!r}", f"each line is {_IMAGES}/super category/category/image: restore the file"
            )
        paths.append("/".join(parts))
        labels.append(f"{parts[1]}/{parts[2]}")
        groups.append(parts[1])
    return ImageSet("inaturalist", split, folder, paths, labels, groups)
