"""The Recall@k surrogate loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evenmatch.errors import InputError
from evenmatch.losses._checks import check_positive, check_positive_int, checked_pairs
from evenmatch.losses._smooth_ranks import smooth_ranks

__all__ = ["RecallAtKLoss"]


class RecallAtKLoss(torch.nn.Module):
    """Smooth Recall@k: each step function in the definition of recall becomes a sigmoid.

    For a query q with positives P among the other samples Ω of the batch, s the cosine similarity and σ_τ(u) the
    logistic function of u/τ:

        rank(q, x)  = 1 + Σ_{z ∈ Ω, z ≠ x} σ_τ₂(s(q, z) − s(q, x))
        recall@k(q) = Σ_{x ∈ P} σ_τ₁(k − rank(q, x)) / min(k, |P|)
        L           = 1 − mean over q and over k of recall@k(q)

    Every sample with a positive is a query in turn; the others serve as negatives only. A batch without any positive
    pair gives 0. A perfect ranking does not: σ_τ₁(0) = ½ at k = rank, as in the paper.

    Source: Patel, Tolias and Matas, "Recall@k Surrogate Loss with Large Batches and Similarity Mixup", CVPR 2022; the
    similarity mixup is not included. Choices: Ω leaves out the query itself, which the authors' program counts as a
    rank; the divisor is min(k, |P|), as in that program, so that a batch with few positives can reach high recall.

    Args:
        k: the list sizes, each at least 1; the loss averages over them.
        temperature_rank: τ₂ > 0 of the inner sigmoid, in units of cosine similarity.
        temperature_k: τ₁ > 0 of the outer sigmoid, in ranks.

    Raises:
        InputError: no k, or a k or temperature out of range.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import RecallAtKLoss
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
        >>> round(float(RecallAtKLoss(k=[1])(embeddings, torch.tensor([0, 0, 1, 1]))), 3)
        0.5
    """

    def __init__(
        self, k: Sequence[int] = (1, 2, 4, 8, 16), temperature_rank: float = 0.01, temperature_k: float = 1.0
    ) -> None:
        super().__init__()
        self.k = tuple(check_positive_int(size, "each k") for size in k)
        if not self.k:
            raise InputError("k is empty; pass at least one list size, e.g. k=(1, 2, 4)")
        self.temperature_rank = check_positive(temperature_rank, "temperature_rank")
        self.temperature_k = check_positive(temperature_k, "temperature_k")

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
            ranks = smooth_ranks(pairs.x, pairs.labels, self.temperature_rank)
            if ranks is None:
                return embeddings.sum().to(pairs.x.dtype) * 0.0
            rank = ranks.of_columns()
            sizes = torch.tensor(self.k, device=rank.device, dtype=rank.dtype)
            hits = torch.sigmoid((sizes - rank[:, :, None]) / self.temperature_k) * ranks.is_positive[:, :, None]
            recall = hits.sum(1) / torch.minimum(sizes, ranks.positives[:, None]).clamp_min(1)
            queries = ranks.positives > 0
            return 1 - (recall.mean(1) * queries).sum() / queries.sum()
