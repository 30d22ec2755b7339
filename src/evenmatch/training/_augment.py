"""Small random affine maps of a whole batch at once."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["random_affine"]


def random_affine(
    images: Tensor,
    seeds: NDArray[np.uint64],
    *,
    degrees: float = 10.0,
    scale: float = 0.1,
    shift: float = 0.08,
    shear: float = 0.1,
) -> Tensor:
    """Rotate, scale, shear and shift each image by amounts drawn from its own seed; edges continue outwards.

    Args:
        images: floating point (n, c, h, w).
        seeds: (n,) one seed an image, so that its map does not depend on the others in the batch.
        degrees: largest rotation, either way.
        scale: largest change of each axis, as a share.
        shift: largest shift, as a share of the side.
        shear: largest shear, as a tangent.

    Returns:
        (n, c, h, w).
    """
    drawn = np.stack([np.random.Generator(np.random.PCG64(int(seed))).uniform(-1, 1, 6) for seed in seeds])
    angle, scale_x, scale_y, shear_x, shift_x, shift_y = torch.from_numpy(drawn.T).to(images.dtype)
    angle = angle * math.radians(degrees)
    cos, sin = torch.cos(angle), torch.sin(angle)
    size_x, size_y, slope = 1 + scale * scale_x, 1 + scale * scale_y, shear * shear_x
    rows = (
        torch.stack([cos * size_x, (cos * slope - sin) * size_y, 2 * shift * shift_x], dim=1),
        torch.stack([sin * size_x, (sin * slope + cos) * size_y, 2 * shift * shift_y], dim=1),
    )
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
