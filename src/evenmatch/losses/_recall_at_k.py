"""The Recall@k surrogate loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evenmatch.errors import InputError
from evenmatch.losses._checks import check_embeddings, check_finite, check_positive_int, integer_labels
from evenmatch.losses._pair_hinge import unit_rows

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
        for name, temperature in {"temperature_rank": temperature_rank, "temperature_k": temperature_k}.items():
            if check_finite(temperature, name) <= 0:
                raise InputError(f"{name} is {temperature}; pass a number above 0")
        self.temperature_rank = float(temperature_rank)
        self.temperature_k = float(temperature_k)

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
        check_embeddings(embeddings)
        labels = integer_labels(labels, embeddings, "labels", "embeddings")
        with torch.autocast(embeddings.device.type, enabled=False):
            x = unit_rows(embeddings)
            scores = x @ x.T
            same = labels[:, None] == labels
            same.fill_diagonal_(False)
            positives = same.sum(1)
            most = int(positives.max()) if positives.numel() else 0
            if most == 0:
                return embeddings.sum().to(x.dtype) * 0.0
            is_positive, columns = same.to(torch.uint8).topk(most, dim=1)
            of_positive = scores.gather(1, columns)
            above = torch.sigmoid((scores[:, None, :] - of_positive[:, :, None]) / self.temperature_rank)
            own = torch.arange(len(x), device=x.device)[:, None, None]
            ranked = torch.arange(len(x), device=x.device) != columns[:, :, None]
            rank = 1 + (above * (ranked & (own != torch.arange(len(x), device=x.device)))).sum(2)
            sizes = torch.tensor(self.k, device=x.device, dtype=x.dtype)
            hits = torch.sigmoid((sizes - rank[:, :, None]) / self.temperature_k) * is_positive[:, :, None]
            recall = hits.sum(1) / torch.minimum(sizes, positives[:, None]).clamp_min(1)
            queries = positives > 0
            return 1 - (recall.mean(1) * queries).sum() / queries.sum()
