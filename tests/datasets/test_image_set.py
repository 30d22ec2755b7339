from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import official_trees as trees
import pytest
from PIL import Image

from evenmatch import datasets
from evenmatch.datasets import ImageSet
from evenmatch.errors import InputError


@pytest.fixture
def parts() -> ImageSet:
    return ImageSet(
        "parts", "test", "here", ["a/1", "a/2", "b/1"], [2, 2, 1], ["x", "y", "x"], ["query", "gallery", "query"]
    )


def test_an_image_set_is_frozen(parts: ImageSet) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.split = "train"  # pyright: ignore[reportAttributeAccessIssue]
    for column in (parts.paths, parts.labels, parts.groups, parts.roles, parts.classes):
        assert column is not None
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[1]


def test_subset_keeps_columns_together_and_the_given_order(parts: ImageSet) -> None:
    for rows in ([2, 0], np.array([2, 0])):
        chosen = parts.subset(rows)
        assert chosen.paths.tolist() == ["b/1", "a/1"]
        assert chosen.labels.tolist() == [1, 2]
        assert chosen.roles is not None
        assert chosen.roles.tolist() == ["query", "query"]
    assert parts.subset(parts.labels == 1).classes.tolist() == [1]
    assert parts.subset(slice(1, None)).ids.tolist() == ["a/2", "b/1"]
    assert (chosen.name, chosen.split, chosen.root) == ("parts", "test", Path("here"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "has no images"),
        ([0, 0], "lists the image a/1 twice"),
        ([3], "rows do not fit 3 images"),
        (np.array([True]), "rows do not fit 3 images"),
        (np.array([0.5]), "rows do not fit 3 images"),
    ],
)
def test_subset_refuses_rows_that_do_not_fit(parts: ImageSet, rows: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parts.subset(rows)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="2 paths but 1 labels"):
        ImageSet("parts", "test", ".", ["a", "b"], [1])


def test_repr_counts() -> None:
    assert (
        repr(ImageSet("parts", "test", ".", ["a"], ["x"], ["g"]))
        == "<ImageSet parts/test: 1 images, 1 classes, groups=1>"
    )


def test_missing_and_unreadable_files_are_found(tmp_path: Path) -> None:
    for name in ("good.png", "good.jpg"):
        trees.image(tmp_path / name)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for name in ("cut.png", "cut.jpg"):
        Image.fromarray(noise).save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    flipped = bytearray((tmp_path / "good.png").read_bytes())
    flipped[-14] ^= 0xFF  # in the check sum of the pixels, which decoding alone does not look at
    (tmp_path / "flipped.png").write_bytes(flipped)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    names = ["good.png", "good.jpg", "cut.png", "cut.jpg", "flipped.png", "text.png", "folder.png", "absent/1.png"]
    images = ImageSet("parts", "test", tmp_path, names, range(len(names)))
    assert images.missing().tolist() == [6, 7]
    done: list[tuple[int, int]] = []
    failed = images.unreadable(threads=2, progress=lambda *step: done.append(step))
    assert list(failed) == [2, 3, 4, 5, 6, 7]
    assert failed[5] == "is no image of a known format"
    assert failed[7] == "does not exist"
    assert done == [(8, 8)]
    with pytest.raises(InputError, match=r"cut\.jpg cannot be decoded \(.*restore it from the archive"):
        images.open(3)


def test_shared_classes_are_refused() -> None:
    train = ImageSet("parts", "train", ".", ["a", "b"], [1, 2])
    test = ImageSet("parts", "test", ".", ["c", "d"], [2, 3])
    with pytest.raises(InputError, match=r"1 of 2 test classes are training classes, too \(2\)"):
        datasets.require_disjoint(train, test)


def test_glyphs_offer_what_an_image_set_offers() -> None:
    images = datasets.build("glyphs", split="train")
    assert images.n == len(images.ids) == len(images.labels)
    assert images.roles is None
    few = images.subset(images.labels == images.classes[0])
    assert few.classes.tolist() == ["A U+0041"]
    assert few.open(0).size == (32, 32)
    assert np.array_equal(np.asarray(few.open(0)), few.images[0])  # pyright: ignore[reportAttributeAccessIssue]


def test_paths_may_be_absolute_or_lie_in_the_root_itself(tmp_path: Path) -> None:
    trees.image(tmp_path / "elsewhere/a.png")
    trees.image(tmp_path / "root/b.png")
    names = [str(tmp_path / "elsewhere/a.png"), "b.png", "/absent.png", "a.png"]
    images = ImageSet("parts", "all", tmp_path / "root", names, range(4))
    assert images.missing().tolist() == [2, 3]
    assert images.open(0).size == images.open(1).size == (4, 4)
