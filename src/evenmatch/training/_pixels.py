"""Images to tensors, whole batches at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode, v2

from evenmatch.datasets import Images
from evenmatch.training._augment import random_affine
from evenmatch.training._config import ImageConfig
from evenmatch.training._sampler import BatchPlan

if TYPE_CHECKING:
    pass

__all__ = ["BatchSource"]

_CACHE_BYTES = 2**30


class BatchSource(Dataset[dict[str, Tensor]]):
    """The batches of a split: indexed by a BatchPlan, gives what the network and the loss need.

    Where images are small and cut alike each time they are decoded once and kept in memory as bytes.

    Args:
        images: of the split.
        codes: (n,) class of each image as an integer.
        settings: how images become tensors.
        augment: whether to do so at random, from the seeds of the plan.
    """

    def __init__(self, images: Images, codes: NDArray[np.int64], settings: ImageConfig, *, augment: bool) -> None:
        self._images = images
        self._codes = torch.from_numpy(np.ascontiguousarray(codes, dtype=np.int64))
        self._query = None if images.roles is None else torch.from_numpy(np.asarray(images.roles) == "query")
        self._groups = None
        if augment and images.groups is not None:
            self._groups = torch.from_numpy(np.unique(images.groups, return_inverse=True)[1].astype(np.int64))
        self._settings = settings
        self._kind = settings.augment if augment else "none"
        self._crop = v2.Compose(
            [
                v2.RandomResizedCrop(settings.size, scale=settings.crop_scale, antialias=True),
                v2.RandomHorizontalFlip(0.5 if settings.flip else 0.0),
            ]
        )
        self._mean, self._std = (
            torch.tensor(values or [0.5]).view(-1, 1, 1) for values in (settings.mean, settings.std)
        )
        self._kept: Tensor | None = None
        if self._wants_cache():
            self._kept = torch.empty((images.n, settings.channels, settings.size, settings.size), dtype=torch.uint8)
            with ThreadPoolExecutor() as pool:
                for row, pixels in enumerate(pool.map(self._still, range(images.n))):
                    self._kept[row] = pixels

    def __len__(self) -> int:
        return self._images.n

    def __getitem__(self, plan: BatchPlan) -> dict[str, Tensor]:
        """Images `(n, c, size, size)` float32, labels `(n,)`, rows `(n,)`, and query `(n,)` where there are roles; with
        augmentation, which is for training, groups `(n,)` where there are groups.
        """
        rows = torch.from_numpy(plan.rows)
        seeds = plan.seeds
        if self._kept is not None:
            pixels = self._kept[rows]
        elif self._kind == "crop" and seeds is not None:
            pixels = torch.stack([self._cut(row, seed) for row, seed in zip(plan.rows.tolist(), seeds, strict=True)])
        else:
            pixels = torch.stack([self._still(row) for row in plan.rows.tolist()])
        batch = {"images": self._scaled(pixels), "labels": self._codes[rows], "rows": rows}
        if self._kind == "affine" and seeds is not None:
            batch["images"] = random_affine(batch["images"], seeds)
        if self._query is not None:
            batch["query"] = self._query[rows]
        if self._groups is not None:
            batch["groups"] = self._groups[rows]
        return batch

    def _wants_cache(self) -> bool:
        settings = self._settings
        if self._kind == "crop" or settings.cache is False:
            return False
        return bool(settings.cache) or self._images.n * settings.channels * settings.size**2 <= _CACHE_BYTES

    def _scaled(self, pixels: Tensor) -> Tensor:
        values = pixels.float() / 255
        if self._settings.invert:
            values = 1 - values
        return (values - self._mean) / self._std

    def _open(self, row: int) -> Any:
        return self._images.open(row).convert("RGB" if self._settings.channels == 3 else "L")

    def _still(self, row: int) -> Tensor:
        image, size, resize = self._open(row), self._settings.size, self._settings.resize
        bilinear = InterpolationMode.BILINEAR
        if resize is None:
            return _bytes(v2.functional.resize(image, [size, size], interpolation=bilinear))
        return _bytes(v2.functional.center_crop(v2.functional.resize(image, [resize], interpolation=bilinear), [size]))

    def _cut(self, row: int, seed: Any) -> Tensor:
        image = self._open(row)
        with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global generator
            torch.manual_seed(int(seed))
            return _bytes(self._crop(image))


def _bytes(image: Any) -> Tensor:
    return v2.functional.pil_to_tensor(image)
