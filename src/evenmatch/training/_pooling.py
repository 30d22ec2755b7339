"""From feature maps to one vector an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GeM"]


class GeM(nn.Module):
    """Generalised-mean pooling: (mean of x^p)^(1/p) over all positions; p = 1 is the average, p → ∞ the maximum.

    Source: Radenović, Tolias and Chum, *Fine-tuning CNN Image Retrieval with No Human Annotation* (TPAMI 2019), eq. 3.
    Features are cut off below at `eps`, since a negative one has no such power; computed in float32 under autocast.

    Args:
        p: where the exponent starts; it is learned, one for all channels.
        eps: smallest feature.

    Examples:
        >>> import torch
        >>> from evenmatch.training import GeM
        >>> round(float(GeM(p=2.0)(torch.tensor([[[[1.0, 7.0]]]])).detach()), 3)
        5.0
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """`(n, c)` of feature maps `(n, c, h, w)`."""
        with torch.autocast(features.device.type, enabled=False):
            powers = features.float().clamp(min=self.eps).pow(self.p)
            return powers.mean(dim=(-2, -1)).pow(1 / self.p)

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return f"p={float(self.p.detach()):.3g}, eps={self.eps:g}"
