"""PKU VehicleID: vehicles seen by traffic cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose
from evenmatch.datasets._lists import read_rows
from evenmatch.errors import InputError

__all__ = ["LAYOUT", "vehicleid"]

LAYOUT = Layout(
    title="PKU VehicleID",
    fetch='"VehicleID_V1.0" by request from the PKU VehicleID page '
    "(https://www.pkuml.org/resources/pku-vehicleid.html) and unpack it",
    tree="""
VehicleID_V1.0/
├── train_test_split/
│   ├── train_list.txt
│   ├── test_list_800.txt
│   ├── test_list_1600.txt
│   └── test_list_2400.txt
├── attribute/model_attr.txt, color_attr.txt  (only for groups)
└── image/0000001.jpg …
""",
)

_SIZES = {"small": 800, "medium": 1600, "large": 2400}
_ATTRIBUTES = ("model", "color")
_UNLABELLED = "unlabelled"


def vehicleid(
    root: str | Path | None,
    split: str = "train",
    *,
    size: str | int = "small",
    gallery_seed: int | None = None,
    group: str | None = None,
) -> ImageSet:
    """Read PKU VehicleID with its official lists, which share no vehicle between train and test.

    13,164 vehicles train; the small, medium and large test sets have 800, 1,600 and 2,400 (README of the data set).
    train_list.txt of VehicleID_V1.0 names 113,346 images; the 110,178 of Liu et al. (CVPR 2016) are those before the
    authors removed faked number plates from the lists.

    Args:
        root: the unpacked folder VehicleID_V1.0.
        split: "train" or "test".
        size: which test set: "small", "medium" or "large", or 800, 1600 or 2400.
        gallery_seed: None for the test set as it is, all images against all. A seed for the field's protocol, one
            random image of each vehicle as gallery and the others as queries, told apart by `roles`; the protocol
            averages over ten such draws.
        group: "model" or "color" for groups from attribute/, by their official numbers; many vehicles have none and
            are "unlabelled".

    Returns:
        The images; labels are the official vehicle numbers.

    Raises:
        InputError: the root or a list is missing (says what to fetch), a line cannot be read, or an option is unknown.
    """
    choose("split of vehicleid", split, ("train", "test"))
    if group is not None:
        choose("group of vehicleid", group, _ATTRIBUTES)
    if gallery_seed is not None and (isinstance(gallery_seed, bool) or not isinstance(gallery_seed, int | np.integer)):
        raise InputError(f"gallery_seed={gallery_seed!r} of vehicleid must be a whole number, or None")
    if gallery_seed is not None and gallery_seed < 0:
        raise InputError(f"gallery_seed={gallery_seed} of vehicleid must not be negative")
    name = "train_list.txt" if split == "train" else f"test_list_{_vehicles(size)}.txt"
    folder = LAYOUT.folder(root)
    paths: list[str] = []
    labels: list[int] = []
    for row in read_rows(LAYOUT.find(folder, f"train_test_split/{name}"), 2):
        paths.append(f"image/{row.cells[0]}.jpg")
        labels.append(row.integer(1, "a vehicle number"))
    vehicles = np.array(labels, dtype=np.int64)
    roles = None if gallery_seed is None or split == "train" else _one_a_vehicle(vehicles, int(gallery_seed))
    groups = None if group is None else _groups(folder, group, labels)
    return ImageSet("vehicleid", split, folder, paths, vehicles, groups, roles)


def _vehicles(size: str | int) -> int:
    by_name = {**_SIZES, **{str(vehicles): vehicles for vehicles in _SIZES.values()}}
    return by_name[choose("test size of vehicleid", str(size), by_name)]


def _one_a_vehicle(vehicles: NDArray[np.int64], seed: int) -> NDArray[Any]:
    _, codes, counts = np.unique(vehicles, return_inverse=True, return_counts=True)
    by_vehicle = np.argsort(codes, kind="stable")
    starts = np.cumsum(counts) - counts
    drawn = np.random.default_rng(seed).integers(counts)
    roles = np.full(len(vehicles), "query", dtype="<U7")
    roles[by_vehicle[starts + drawn]] = "gallery"
    return roles


def _groups(folder: Path, group: str, labels: list[int]) -> list[str]:
    number_of: dict[int, str] = {}
    for row in read_rows(LAYOUT.find(folder, f"attribute/{group}_attr.txt"), 2):
        number_of[row.integer(0, "a vehicle number")] = str(row.integer(1, f"a {group} number"))
    return [number_of.get(label, _UNLABELLED) for label in labels]
