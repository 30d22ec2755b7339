"""Conv-4: a backbone for images of 28 to 105 pixels, small enough for a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evenmatch.errors import InputError

__all__ = ["Conv4"]


class Conv4(nn.Module):
    """Four blocks of 3×3 convolution, batch norm, 2×2 max-pooling and ReLU.

    The backbone of the few-shot literature on Omniglot (Vinyals et al., *Matching Networks for One Shot Learning*,
    NeurIPS 2016). An image of 28 pixels becomes one cell of `width` features, one of 105 pixels 6 × 6 cells. ReLU comes
    after the pooling: it commutes with a maximum, and has a quarter of the values to look at.

    Args:
        channels: of the images, 1 or 3.
        width: features of every block.

    Raises:
        InputError: channels or width below 1.

    Examples:
        >>> import torch
        >>> from evenmatch.training import Conv4
        >>> Conv4(channels=1)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 64, 1, 1])
    """

    def __init__(self, channels: int = 1, width: int = 64) -> None:
        if channels < 1 or width < 1:
            raise InputError(f"conv4 got channels={channels} and width={width}; both must be at least 1")
        super().__init__()
        self.blocks = nn.Sequential(*(_block(channels if depth == 0 else width, width) for depth in range(4)))
        self.width = width
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU

    def forward(self, images: Tensor) -> Tensor:
        """Feature maps `(n, width, h // 16, w // 16)` of images `(n, channels, h, w)` with h, w ≥ 16."""
        if min(images.shape[-2:]) < 16:
            raise InputError(f"conv4 got images of {images.shape[-2]} × {images.shape[-1]}; use at least 16 × 16")
        return self.blocks(images.contiguous(memory_format=torch.channels_last))


def _block(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )
