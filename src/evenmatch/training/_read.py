"""The images of a run, looked at before training starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evenmatch import datasets
from evenmatch.auditing import progress_bar
from evenmatch.datasets import Images, ImageSet, require_disjoint
from evenmatch.errors import InputError
from evenmatch.training._build import build_regularizer
from evenmatch.training._config import TrainConfig
from evenmatch.training._data import RetrievalData, hold_out

__all__ = ["read_images", "readable"]

_NAMED = 3
_GROUPS = 256  # what an audit compares at most


def read_images(
    config: TrainConfig, *, skip_bad: bool = False, say: Callable[[str], None] = print, progress: bool = False
) -> RetrievalData:
    """Read the splits of a run and see that they can be trained on.

    Raises:
        InputError: a split cannot be read, images cannot be decoded (names the first, counts all) unless `skip_bad`,
            training and test share classes, the classes do not suffice for a batch, TCM by group has no groups, or
            the test images (or held-out training classes) could not be audited.
    """
    settings = config.data
    train = datasets.build(settings.name, settings.root, settings.train, **settings.options)
    if isinstance(train, ImageSet) and train.roles is not None:
        train = replace(train, roles=None)  # held-out classes may lack queries; compare all of their images
    test = datasets.build(settings.name, settings.root, settings.test, **settings.options)
    require_disjoint(train, test)
    data = _arranged(config, train, test)  # what does not fit shows before images are decoded
    if settings.check:
        train, test = (readable(images, skip_bad, say, progress) for images in (train, test))
        data = _arranged(config, train, test)
    if len(data.left_out):
        named = ", ".join(map(str, data.left_out[:_NAMED])) + (", …" if len(data.left_out) > _NAMED else "")
        say(f"left out of training: {len(data.left_out):,} classes with one image ({named}), no positive pair in them")
    for split, images in data.images.items():
        if images is not None:
            say(f"{split}: {images.n:,} images of {len(images.classes):,} classes")
    return data


def _arranged(config: TrainConfig, train: Images, test: Images) -> RetrievalData:
    settings = config.data
    _require_audit(test, f"the split {settings.test!r}", config.audit.far)
    groups = 0 if test.groups is None else len(np.unique(test.groups))
    if groups > _GROUPS:
        raise InputError(
            f"the split {settings.test!r} cannot be audited: it has {groups} groups and at most {_GROUPS} can be "
            "compared; merge some, or leave the groups out"
        )
    validation: Images | None = None
    if settings.validation == "test":
        validation = test
    elif isinstance(settings.validation, float):
        train, validation = hold_out(train, settings.validation, config.seed)
        _require_audit(validation, "the held-out training classes", config.audit.far)
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
    build_regularizer(config.tcm, data.n_groups)  # refuses to work by group without groups
    return data


def _require_audit(images: Images, place: str, far: tuple[float, float]) -> None:
    """Refuse images whose embeddings no audit could take, whatever they come out as."""
    codes = np.searchsorted(images.classes, images.labels)
    if images.roles is None:
        sizes = np.bincount(codes)
        pairs, positives = images.n * (images.n - 1) // 2, int((sizes * (sizes - 1)).sum()) // 2
        wanted = "two images"
    else:
        query = np.asarray(images.roles) == "query"
        ours, theirs = (np.bincount(codes[side], minlength=len(images.classes)) for side in (query, ~query))
        pairs, positives = int(ours.sum() * theirs.sum()), int((ours * theirs).sum())
        wanted = "a query and a gallery image"
    if not positives:
        raise InputError(
            f"{place} cannot be audited: no class has {wanted}, so there is no positive pair; give it more images"
        )
    low, high = sorted(far)
    negatives = pairs - positives
    if int(negatives * low + 1e-9) == int(negatives * high + 1e-9):  # the product may fall just short of a whole number
        raise InputError(
            f"{place} cannot be audited: {negatives} negative pairs are too few to tell FAR {low:g} from FAR "
            f"{high:g}; give it more classes or images, or audit.far rates further apart"
        )


def readable(
    images: Images, skip_bad: bool, say: Callable[[str], None], progress: bool | Callable[[float], None]
) -> Images:
    """Decode every image, and leave out those that cannot be.

    Raises:
        InputError: there are such, and they may not be skipped; or no other is left.
    """
    if not isinstance(images, ImageSet):  # drawn in memory
        return images
    with progress_bar("Looking at the images", progress) as report:
        failed = images.unreadable(progress=report and (lambda done, total: report(done / total)))
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
