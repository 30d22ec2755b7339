"""Tiny data sets in the official layouts, written by the tests that read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def cub(root: Path) -> Path:
    files = ["001.A/a.jpg", "001.A/b.jpg", "100.B/a.jpg", "101.C/a.jpg", "101.C/b.jpg", "200.D/a.jpg"]
    text(root / "images.txt", *(f"{i} {file}" for i, file in enumerate(files, 1)))
    text(root / "image_class_labels.txt", *(f"{i} {int(file[:3])}" for i, file in enumerate(files, 1)))
    for file in files:
        image(root / "images" / file)
    return root


def _annotations(rows: list[tuple[str, int]], path_field: str) -> np.ndarray:
    fields = [("bbox_x1", object), ("class", object), (path_field, object)]
    return np.array([[(np.array([[1]]), np.array([[label]]), path) for path, label in rows]], dtype=fields)


def cars(root: Path, rows: tuple[tuple[str, int], ...] = (("1.jpg", 1), ("2.jpg", 98), ("3.jpg", 99))) -> Path:
    listed = [(f"car_ims/{file}", label) for file, label in rows]
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / "cars_annos.mat", {"annotations": _annotations(listed, "relative_im_path")})
    for path, _ in listed:
        image(root / path)
    return root


def cars_devkit(root: Path, *, test_in_devkit: bool) -> Path:
    (root / "devkit").mkdir(parents=True)
    savemat(
        root / "devkit/cars_train_annos.mat", {"annotations": _annotations([("1.jpg", 1), ("2.jpg", 196)], "fname")}
    )
    test = root / ("devkit" if test_in_devkit else "") / "cars_test_annos_withlabels.mat"
    savemat(test, {"annotations": _annotations([("1.jpg", 98), ("2.jpg", 99)], "fname")})
    for half in ("train", "test"):
        image(root / f"cars_{half}/1.jpg")
        image(root / f"cars_{half}/2.jpg")
    return root


def sop(root: Path) -> Path:
    header = "image_id class_id super_class_id path"
    train = ["1 1 1 bicycle_final/1_0.JPG", "2 1 1 bicycle_final/1_1.JPG", "3 2 2 coffee_maker_final/2_0.JPG"]
    test = ["4 3 1 bicycle_final/3_0.JPG", "5 3 1 bicycle_final/3_1.JPG"]
    text(root / "Ebay_train.txt", header, *train)
    text(root / "Ebay_test.txt", header, *test)
    for row in train + test:
        image(root / row.split()[3])
    return root


INSHOP = (
    "img/WOMEN/Dresses/id_00000002/02_1_front.jpg id_00000002 train",
    "img/WOMEN/Dresses/id_00000002/02_2_side.jpg id_00000002 train",
    "img/MEN/Denim/id_00000080/01_1_front.jpg id_00000080 query",
    "img/MEN/Denim/id_00000080/01_2_side.jpg id_00000080 gallery",
    "img/MEN/Denim/id_00000080/01_3_back.jpg id_00000080 gallery",
)


def inshop(root: Path, images: str = "") -> Path:
    text(root / "Eval/list_eval_partition.txt", "5", "image_name item_id evaluation_status", *INSHOP)
    for row in INSHOP:
        image(root / images / row.split()[0])
    return root


def inaturalist(root: Path, lists: str = "") -> Path:
    train = ["train_val2018/Aves/2737/a.jpg", "train_val2018/Aves/2737/b.jpg", "train_val2018/Fungi/12/a.jpg"]
    test = ["train_val2018/Aves/3000/a.jpg"]
    text(root / lists / "Inaturalist_train_set1.txt", *train)
    text(root / lists / "Inaturalist_test_set1.txt", *test)
    for path in train + test:
        image(root / path)
    return root


def vehicleid(root: Path) -> Path:
    lists = {
        "train_list.txt": ["0000001 7", "0000002 7", "0000003 8"],
        "test_list_800.txt": [f"{i:07} {i // 4}" for i in range(1000, 1012)],
        "test_list_1600.txt": [f"{i:07} {i // 4}" for i in range(1000, 1016)],
        "test_list_2400.txt": [f"{i:07} {i // 4}" for i in range(1000, 1020)],
    }
    for name, rows in lists.items():
        text(root / "train_test_split" / name, *rows)
        for row in rows:
            image(root / f"image/{row.split()[0]}.jpg")
    text(root / "attribute/model_attr.txt", "7 12", "250 0")
    return root


def omniglot(root: Path, *, evaluation: bool = False) -> Path:
    halves = {
        "images_background_small1": ["Balinese", "Greek", "Korean", "Latin", "Early_Aramaic"],
        "images_background_small2": ["Greek", "Japanese_(katakana)", "Latin", "Sanskrit", "Tagalog"],
    }
    if evaluation:
        halves["images_evaluation"] = ["Oriya"]
    for half, alphabets in halves.items():
        for alphabet in alphabets:
            for character in ("character01", "character02"):
                for drawing in ("01", "02"):
                    image(root / half / alphabet / character / f"0001_{drawing}.png")
    return root


def folders(root: Path) -> Path:
    for file in ("train/bolt/1.png", "train/bolt/2.JPG", "train/nut/1.jpeg", "test/cog/1.png", "test/cog/2.png"):
        image(root / file)
    text(root / "train/bolt/notes.txt", "not an image")
    text(root / "train/.hidden/1.png", "not a class")
    return root


MANIFEST = ("path,label,group,split", "a/1.png,7,steel,train", "a/2.png,7,brass,train", "b/1.png,8,steel,test")


def manifest(root: Path) -> Path:
    text(root / "manifest.csv", *MANIFEST)
    for file in ("a/1.png", "a/2.png", "b/1.png"):
        image(root / file)
    return root
