"""Which characters share their rendering, and which one of them stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["keep_distinct", "nearest_rendering"]


def nearest_rendering(n: int, styles: Iterable[tuple[Sequence[int], NDArray[np.uint8]]]) -> NDArray[np.float64]:
    """How much two characters differ in the style in which they differ least.

    In one style, the difference of two images a and b is `‖a − b‖² / max(‖a‖², ‖b‖²)`: the share of the ink that
    changes, the same for thin and for bold type. 0 = the same image; two images without common ink have 1 or more.

    Args:
        n: number of characters.
        styles: for each style the ascending indices, within 0 … n−1, of the characters that it draws, and their
            aligned images (len(indices), height, width).

    Returns:
        (n, n) symmetric matrix; inf on the diagonal and where two characters have no style in common.
    """
    nearest = np.full((n, n), np.inf)
    for indices, images in styles:
        # Sums of products of bytes are integers far below 2⁵³, so float64 is exact on every BLAS.
        pixels = images.reshape(len(indices), -1).astype(np.float64)
        inner = pixels @ pixels.T
        energy = np.diagonal(inner)
        difference = energy[:, None] + energy[None, :] - 2 * inner
        difference /= np.maximum(energy[:, None], energy[None, :])
        both = np.ix_(indices, indices)
        nearest[both] = np.minimum(nearest[both], difference)
    np.fill_diagonal(nearest, np.inf)
    return nearest


def keep_distinct(difference: NDArray[np.float64], threshold: float) -> tuple[list[int], dict[int, int]]:
    """Walk down the characters and drop each that looks like one already kept.

    Args:
        difference: (n, n) from `nearest_rendering`, the characters in order of preference.
        threshold: two characters look alike iff their difference is at most this.

    Returns:
        Indices kept, ascending, no two of which look alike; and for each index dropped the most similar one kept.
    """
    kept: list[int] = []
    dropped: dict[int, int] = {}
    for index, row in enumerate(difference):
        nearest = min(kept, key=row.__getitem__, default=None)
        if nearest is not None and row[nearest] <= threshold:
            dropped[index] = nearest
        else:
            kept.append(index)
    return kept, dropped
