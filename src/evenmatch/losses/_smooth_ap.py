"""The Smooth-AP loss."""

from __future__ import annotations

import torch
from torch import Tensor

from evenmatch.losses._checks import check_positive, checked_pairs
from evenmatch.losses._smooth_ranks import smooth_ranks

__all__ = ["SmoothAPLoss"]


class SmoothAPLoss(torch.nn.Module):
    """Smooth average precision: the ranks in the definition of AP become sums of sigmoids.

    For a query q with positives P among the other samples Ω of the batch, s the cosine similarity and σ_τ(u) the
    logistic function of u/τ:

        rank(q, x, A) = 1 + Σ_{z ∈ A, z ≠ x} σ_τ(s(q, z) − s(q, x))
        AP(q)         = 1/|P| · Σ_{x ∈ P} rank(q, x, P) / rank(q, x, Ω)
        L             = 1 − mean over q of AP(q)

    Every sample with a positive is a query in turn; the others serve as negatives only. A batch without any positive
    pair gives 0. Rows may come in any order, and classes may differ in size.

    Source: Brown, Xie, Kalogeiton and Zisserman, "Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval",
    ECCV 2020, eq. 5 and 7. As in the paper Ω leaves out the query itself, which the authors' program counts. The
    loss of pytorch-metric-learning 2.9 is not used: it takes the number of classes for the size of a class, so that its
    groups are classes only where both are equal, and needs O(n³) memory.

    Args:
        temperature: τ > 0, in units of cosine similarity.

    Raises:
        InputError: a temperature out of range.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import SmoothAPLoss
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
        >>> round(float(SmoothAPLoss()(embeddings, torch.tensor([0, 1, 0, 1]))), 3)
        0.0
    """

    def __init__(self, temperature: float = 0.01) -> None:
        super().__init__()
        self.temperature = check_positive(temperature, "temperature")

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            embeddings: floating-point (n, d); need not be normalised.
            labels: integer (n,); the class of each row.

        Returns:
            A scalar, float32 (float64 for float64 embeddings). Memory is O(n² · largest number of positives); that
            number is read on the host, which waits for the device once.

        Raises:
            InputError: shapes or types that do not fit together.
        """
        pairs = checked_pairs(embeddings, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            ranks = smooth_ranks(pairs.x, pairs.labels, self.temperature)
            if ranks is None:
                return embeddings.sum().to(pairs.x.dtype) * 0.0
            share = ranks.of_columns(among_positives=True) / ranks.of_columns()
            precision = (share * ranks.is_positive).sum(1) / ranks.positives.clamp_min(1)
            return 1 - precision.sum() / (ranks.positives > 0).sum()

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return f"temperature={self.temperature}"
