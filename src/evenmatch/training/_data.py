"""The data module: training batches balanced by class, and everything else in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from evenmatch.datasets import Images, require_disjoint
from evenmatch.errors import InputError
from evenmatch.training._config import BatchConfig, ImageConfig, ScheduleConfig
from evenmatch.training._pixels import BatchSource
from evenmatch.training._sampler import BalancedBatches, OrderedBatches, check_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RetrievalData", "hold_out"]


class RetrievalData(LightningDataModule):
    """Images for training and judging an embedding model.

    Batches are dicts: images `(n, c, size, size)` float32, labels `(n,)` int64, rows `(n,)` of the split, query `(n,)`
    where the split tells query and gallery apart, and in training groups `(n,)` int64 where the images have groups.
    What the batch of a step holds depends on the seed and the step alone: not on the number of workers, of processes,
    or on interruptions.

    A class with one image has no positive pair. It is left out of training (`left_out` names it); in validation and
    test its image still serves as a negative.

    Give it to a Trainer with ``use_distributed_sampler=False`` (each process already gets its own part) and
    ``reload_dataloaders_every_n_epochs=1`` (an epoch is the stretch between two checkpoints).

    Args:
        train: training images.
        validation: images to look at while training, or None.
        test: images to judge the result with, or None.
        image: how images become tensors.
        batch: size and balance of training batches; the size counts all processes together.
        schedule: how many steps, and how many to a stretch.
        seed: of batches and augmentation.
        workers: processes that load images; 0 loads in this one.
        eval_batch_size: images of a batch in validation and test.

    Raises:
        InputError: batches that cannot be made from these images, or no class with two images.
    """

    def __init__(
        self,
        train: Images,
        validation: Images | None = None,
        test: Images | None = None,
        *,
        image: ImageConfig,
        batch: BatchConfig,
        schedule: ScheduleConfig,
        seed: int = 0,
        workers: int = 0,
        eval_batch_size: int = 256,
    ) -> None:
        super().__init__()
        self.left_out = _singletons(train)
        if len(self.left_out) == len(train.classes):
            raise InputError("no training class has two images, so there is no positive pair to learn from; add images")
        if len(self.left_out):
            train = train.subset(~np.isin(train.labels, self.left_out))
        check_batch(len(train.classes), batch.size, batch.per_class)
        self.images = {"train": train, "validation": validation, "test": test}
        self.n_classes = len(train.classes)
        self.n_groups = None if train.groups is None else len(np.unique(train.groups))
        self._image, self._batch, self._schedule = image, batch, schedule
        self._seed, self._workers, self._eval_batch_size = seed, workers, eval_batch_size
        self._sources: dict[str, BatchSource] = {}
        self._codes = np.searchsorted(train.classes, train.labels)

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches from the current step to the next checkpoint."""
        trainer, schedule = self.trainer, self._schedule
        start = 0 if trainer is None else trainer.global_step
        batches = BalancedBatches(
            self._codes,
            self._batch.size,
            self._batch.per_class,
            start=start,
            steps=max(min(schedule.every, schedule.steps - start), 0) or 1,
            seed=self._seed,
            rank=0 if trainer is None else trainer.global_rank,
            world_size=1 if trainer is None else trainer.world_size,
        )
        return self._loader("train", batches)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """The validation images in order, or nothing."""
        return [] if self.images["validation"] is None else self._ordered("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """The test images in order."""
        return self._ordered("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test images in order."""
        return self._ordered("test")

    def _ordered(self, split: str) -> DataLoader[Any]:
        images = self.images[split]
        if images is None:
            raise InputError(f"there are no {split} images; give RetrievalData some")
        trainer = self.trainer
        rank, world = (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
        return self._loader(split, OrderedBatches(images.n, self._eval_batch_size, rank=rank, world_size=world))

    def _loader(self, split: str, batches: BalancedBatches | OrderedBatches) -> DataLoader[dict[str, Tensor]]:
        images = self.images[split]
        if split not in self._sources:
            if split == "validation" and images is self.images["test"] and "test" in self._sources:
                self._sources[split] = self._sources["test"]
            elif images is not None:
                codes = self._codes if split == "train" else np.searchsorted(images.classes, images.labels)
                self._sources[split] = BatchSource(images, codes, self._image, augment=split == "train")
        return DataLoader(
            self._sources[split],
            batch_size=None,  # the sampler names whole batches
            sampler=batches,  # type: ignore[arg-type]
            num_workers=self._workers,
            generator=torch.Generator(),  # else each pass draws from the global one
        )


def hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    """Part the images by class: the rest, and a random share of the classes (at least two).

    Raises:
        InputError: fewer than four classes.
    """
    classes = images.classes
    if len(classes) < 4:
        raise InputError(f"{len(classes)} training classes are too few to hold some out; leave data.validation out")
    number = min(max(round(share * len(classes)), 2), len(classes) - 2)
    chosen = np.random.default_rng([seed, 1]).permutation(len(classes))[:number]
    held = np.isin(images.labels, classes[np.sort(chosen)])
    rest, out = images.subset(~held), images.subset(held)
    require_disjoint(rest, out)
    return rest, out


def _singletons(images: Images) -> NDArray[Any] | Sequence[Any]:
    classes, counts = np.unique(images.labels, return_counts=True)
    return classes[counts == 1]
