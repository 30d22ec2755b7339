"""Tiny trees in the official layouts, with classes and images enough for a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

CLASSES, IMAGES = 5, 5


def image(path: Path, shade: int = 0, size: int = 36) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pattern = np.random.default_rng(shade).integers(0, 200, (6, 6, 3)).repeat(size // 6, 0).repeat(size // 6, 1)
    noise = np.random.default_rng(list(path.as_posix().encode()[-12:])).integers(0, 55, pattern.shape)
    Image.fromarray((pattern + noise).astype(np.uint8)).save(path)


def text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def cub(root: Path) -> None:
    numbers = [*range(1, 1 + CLASSES), *range(101, 101 + CLASSES)]
    files = [(f"{number:03}.A/{i}.jpg", number) for number in numbers for i in range(IMAGES)]
    text(root / "images.txt", [f"{row} {file}" for row, (file, _) in enumerate(files, 1)])
    text(root / "image_class_labels.txt", [f"{row} {number}" for row, (_, number) in enumerate(files, 1)])
    for file, number in files:
        image(root / "images" / file, number)


def cars(root: Path) -> None:
    numbers = [*range(1, 1 + CLASSES), *range(99, 99 + CLASSES)]
    rows = [(f"car_ims/{number}_{i}.jpg", number) for number in numbers for i in range(IMAGES)]
    fields = [("bbox_x1", object), ("class", object), ("relative_im_path", object)]
    annotations = np.array([[(np.array([[1]]), np.array([[label]]), path) for path, label in rows]], dtype=fields)
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / "cars_annos.mat", {"annotations": annotations})
    for path, number in rows:
        image(root / path, number)


def sop(root: Path) -> None:
    number = 0
    for name, first in (("train", 1), ("test", 100)):
        rows = ["image_id class_id super_class_id path"]
        for label in range(first, first + CLASSES):
            for i in range(IMAGES):
                number += 1
                rows.append(f"{number} {label} 1 bicycle_final/{label}_{i}.JPG")
                image(root / rows[-1].split()[3], label)
        text(root / f"Ebay_{name}.txt", rows)


def inshop(root: Path) -> None:
    rows = [
        f"img/MEN/Denim/id_{label:08}/{i}.jpg id_{label:08} {part}"
        for label in range(2 * CLASSES)
        for i, part in enumerate(
            ["train"] * IMAGES if label < CLASSES else ["query", "query", "gallery", "gallery", "gallery"]
        )
    ]
    text(root / "Eval/list_eval_partition.txt", [str(len(rows)), "image_name item_id evaluation_status", *rows])
    for row in rows:
        image(root / row.split()[0], int(row.split()[1][3:]))


def inaturalist(root: Path) -> None:
    for name, first in (("train", 0), ("test", 50)):
        rows = [f"train_val2018/Aves/{label}/{i}.jpg" for label in range(first, first + CLASSES) for i in range(IMAGES)]
        text(root / f"Inaturalist_{name}_set1.txt", rows)
        for row in rows:
            image(root / row, int(row.split("/")[2]))


def vehicleid(root: Path) -> None:
    lists = {"train_list.txt": 0, "test_list_800.txt": 10, "test_list_1600.txt": 20, "test_list_2400.txt": 30}
    for name, first in lists.items():
        rows = [(label * 10 + i, label) for label in range(first, first + CLASSES) for i in range(IMAGES)]
        text(root / "train_test_split" / name, [f"{number:07} {label}" for number, label in rows])
        for number, label in rows:
            image(root / f"image/{number:07}.jpg", label)
    text(root / "attribute/model_attr.txt", ["0 1"])


def omniglot(root: Path) -> None:
    alphabets = ("Balinese", "Greek", "Japanese_(katakana)", "Korean", "Latin", "Early_Aramaic", "Sanskrit", "Tagalog")
    for number, alphabet in enumerate(alphabets):
        for character in (1, 2):
            for i in range(IMAGES):
                file = root / f"images_background/{alphabet}/character{character:02}/{number:04}_{i:02}.png"
                image(file, 2 * number + character)


TREES = {tree.__name__: tree for tree in (cub, cars, sop, inshop, inaturalist, vehicleid, omniglot)}
