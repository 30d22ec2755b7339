"""What the training tests share: small data in memory and on disk, and small settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_training import SMALL, write_classes

from evenmatch.datasets import ImageSet
from evenmatch.training import TrainConfig, parse_config


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


@pytest.fixture
def small(tree: Path) -> TrainConfig:
    """A configuration that trains for six steps on the tree."""
    return parse_config(SMALL, [f"data.root={tree}"])
