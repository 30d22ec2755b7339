"""What the training tests share: small data in memory and on disk, and small settings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenmatch.datasets import ImageSet
from evenmatch.training import TrainConfig, parse_config

sys.path.insert(0, str(Path(__file__).parent))


def write_classes(root: Path, names: list[str], images: int = 5, size: int = 20) -> None:
    """Folders of classes: each a pattern of its own, with noise."""
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        pattern = rng.integers(0, 255, (5, 5)).repeat(4, 0).repeat(4, 1)
        for i in range(images):
            noise = np.random.default_rng([number, i]).normal(0, 25, (size, size))
            path = root / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pattern + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with train (12 classes of 5) and test (6 other classes of 5)."""
    root = tmp_path_factory.mktemp("tree")
    write_classes(root / "train", [f"a{i}" for i in range(12)])
    write_classes(root / "test", [f"b{i}" for i in range(6)])
    return root


@pytest.fixture(scope="session")
def splits(tree: Path) -> tuple[ImageSet, ImageSet]:
    from evenmatch import datasets

    return datasets.build("folders", tree, "train"), datasets.build("folders", tree, "test")


SMALL = {
    "data": {"name": "folders"},
    "image": {"size": 20, "resize": None, "channels": 1, "augment": "affine"},
    "model": {"backbone": "conv4", "pooling": "flatten", "dim": 8, "options": {"width": 8}},
    "loss": {"name": "smooth_ap"},
    "batch": {"size": 8, "per_class": 2},
    "optimizer": {"lr": 1e-3},
    "schedule": {"steps": 6, "every": 2},
    "trainer": {"accelerator": "cpu", "devices": 1, "log_every": 1},
}


@pytest.fixture
def small(tree: Path) -> TrainConfig:
    """A configuration that trains for six steps on the tree."""
    return parse_config(SMALL, [f"data.root={tree}"])
