"""Small data on disk and small settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


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
