"""The images of a run, looked at before training starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evenmatch import datasets
from evenmatch.datasets import Images, ImageSet, require_disjoint
from evenmatch.errors import InputError
from evenmatch.training._config import TrainConfig
from evenmatch.training._data import RetrievalData, hold_out

__all__ = ["read_images"]

_NAMED = 3


def read_images(config: TrainConfig, *, skip_bad: bool = False, say: Callable[[str], None] = print) -> RetrievalData:
    """Read the splits of a run and see that they can be trained on.

    Raises:
        InputError: a split cannot be read, images cannot be decoded (names the first, counts all) unless `skip_bad`,
            training and test share classes, or the classes do not suffice for a batch.
    """
    settings = config.data
    train = datasets.build(settings.name, settings.root, settings.train, **settings.options)
    test = datasets.build(settings.name, settings.root, settings.test, **settings.options)
    require_disjoint(train, test)
    if settings.check:
        train = _readable(train, skip_bad, say)
        test = _readable(test, skip_bad, say)
    validation: Images | None = None
    if settings.validation == "test":
        validation = test
    elif isinstance(settings.validation, float):
        train, validation = hold_out(train, settings.validation, config.seed)
    data = RetrievalData(
        train,
        validation,
        test,
        image=config.image,
        batch=config.batch,
        schedule=config.schedule,
        seed=config.seed,
        workers=config.trainer.workers,
        eval_batch_size=config.audit.batch_size,
    )
    if len(data.left_out):
        named = ", ".join(map(str, data.left_out[:_NAMED])) + (", …" if len(data.left_out) > _NAMED else "")
        say(f"left out of training: {len(data.left_out):,} classes with one image ({named}), no positive pair in them")
    for split, images in data.images.items():
        if images is not None:
            say(f"{split}: {images.n:,} images of {len(images.classes):,} classes")
    return data


def _readable(images: Images, skip_bad: bool, say: Callable[[str], None]) -> Images:
    if not isinstance(images, ImageSet):  # drawn in memory
        return images
    failed = images.unreadable()
    if not failed:
        return images
    named = "; ".join(f"{images.paths[row]} {failed[row]}" for row in list(failed)[:_NAMED])
    more = f"; and {len(failed) - _NAMED:,} more" if len(failed) > _NAMED else ""
    found = f"{len(failed):,} of {images.n:,} images of the split {images.split!r} cannot be used: {named}{more}"
    if not skip_bad:
        raise InputError(f"{found}; restore them, or leave them out with --skip-bad")
    if len(failed) == images.n:
        raise InputError(f"{found}; no image is left")
    say(f"left out: {found}")
    return images.subset(np.setdiff1d(np.arange(images.n), list(failed)))
