"""In-Shop Clothes Retrieval of DeepFashion: 7,982 items, with query and gallery."""

from __future__ import annotations

from pathlib import Path

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.datasets._lists import read_rows, read_text
from evenmatch.errors import InputError

__all__ = ["LAYOUT", "inshop"]

LAYOUT = Layout(
    title="In-Shop Clothes Retrieval",
    fetch='"img.zip" and "list_eval_partition.txt" of the DeepFashion In-shop Clothes Retrieval Benchmark '
    "(https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html) and unpack the images",
    tree="""
inshop/
├── Eval/list_eval_partition.txt
└── img/  (or Img/img/)
    ├── MEN/Denim/id_00000080/01_1_front.jpg …
    └── WOMEN/…
""",
)

_STATUS = {"train": ("train",), "test": ("query", "gallery")}


def inshop(root: str | Path | None, split: str = "train") -> ImageSet:
    """Read In-Shop Clothes Retrieval with its official split: train, and a test of queries against a gallery.

    3,997 classes with 25,882 images train; 3,985 classes test, with 14,218 queries and 12,612 gallery images; counts
    from the list's own entries as published with Liu et al., *DeepFashion* (CVPR 2016).

    Args:
        root: folder with Eval/list_eval_partition.txt and img (or Img/img).
        split: "train", or "test" for queries and gallery together, told apart by `roles`.

    Returns:
        The images; labels are the item ids ("id_00000080"), groups the department and category ("MEN/Denim").

    Raises:
        InputError: the root or the list is missing (says what to fetch), a line cannot be read, or lines are lacking.
    """
    choose("split of inshop", split, _STATUS)
    folder = LAYOUT.folder(root)
    file = LAYOUT.find(folder, "Eval/list_eval_partition.txt", "list_eval_partition.txt")
    prefix = "Img/" if (folder / "Img" / "img").is_dir() and not (folder / "img").is_dir() else ""
    paths: list[str] = []
    labels: list[str] = []
    groups: list[str] = []
    roles: list[str] = []
    count = 0
    for row in read_rows(file, 3, skip=2):
        path, item, status = row.cells
        if status not in ("train", "query", "gallery"):
            raise row.error(f"has the status {status!r}", "it is train, query or gallery: restore the file")
        if path.count("/") < 3:
            raise row.error(f"has the path {path!r} without department and category", "restore the file")
        count += 1
        if status in _STATUS[split]:
            paths.append(prefix + path)
            labels.append(item)
            groups.append("/".join(path.split("/")[1:3]))
            roles.append(status)
    _require_count(file, count)
    return ImageSet("inshop", split, folder, paths, labels, groups, None if split == "train" else roles)


def _require_count(file: Path, count: int) -> None:
    announced = read_text(file).split("\n", 1)[0].strip()
    if announced != str(count):
        raise InputError(f"line 1 of {file} announces {announced[:20]!r} images but {count} follow; fetch it again")
