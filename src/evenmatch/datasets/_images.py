"""What every data set offers, whether its images lie on disk or were drawn in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from evenmatch.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Images", "require_disjoint"]


class Images(Protocol):
    """Labelled images of one split; `ImageSet` and `Glyphs` are such.

    labels: `(n,)` class of each image. groups: `(n,)` or None. roles: `(n,)` "query" or "gallery", or None where every
    image is compared with every other. ids: `(n,)` unique names. classes: `(K,)` the distinct labels, sorted.
    """

    @property
    def labels(self) -> NDArray[Any]: ...
    @property
    def groups(self) -> NDArray[Any] | None: ...
    @property
    def roles(self) -> NDArray[Any] | None: ...
    @property
    def ids(self) -> NDArray[Any]: ...
    @property
    def n(self) -> int: ...
    @property
    def classes(self) -> NDArray[Any]: ...

    def open(self, row: int) -> Image:
        """Return one image, decoded."""
        ...

    def subset(self, rows: Any) -> Self:
        """Return the images of a boolean mask, of indices or of a slice, in that order."""
        ...


def require_disjoint(train: Images, test: Images) -> None:
    """Raise `InputError` if a class of the training images is among the test images, too.

    Figures on classes that were trained on say nothing about the classes that a shipped model will meet.
    """
    shared = np.intersect1d(train.classes, test.classes)
    if len(shared):
        named = ", ".join(repr(label) for label in shared[:3].tolist()) + (", …" if len(shared) > 3 else "")
        raise InputError(
            f"{len(shared)} of {len(test.classes)} test classes are training classes, too ({named}); "
            "an open-world split shares none: move each class to one side"
        )
