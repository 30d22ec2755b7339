"""A loss with one learned threshold for all pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from evenmatch.errors import InputError
from evenmatch.losses._checks import check_finite, check_positive, checked_pairs
from evenmatch.losses._pair_hinge import Tile
from evenmatch.losses._tcm import TCMStats

__all__ = ["UnifiedThresholdLoss"]


class UnifiedThresholdLoss(torch.nn.Module):
    """The USS loss: a learned threshold b/γ that positive pairs should exceed and negative pairs stay below.

    For a sample i of a batch with positives P(i) and negatives N(i), s the cosine similarity:

        L = mean over i and p ∈ P(i) of log(1 + exp(b − γ·(s(i, p) − m)))
            + mean over i of log(1 + Σ_{n ∈ N(i)} exp(γ·s(i, n) − b))

    with one b for all, a parameter of this module: hand `loss.parameters()` to an optimizer. It is a loss of its own,
    and may regularise another one in the place of TCM: WithTCM(base, UnifiedThresholdLoss()).

    Source: Li, Jia, Zhou, Shen and Duan, "UniTSFace: Unified Threshold Integrated Sample-to-Sample Loss for Face
    Recognition", NeurIPS 2023 (arXiv 2311.02523), with the margin m of its variant USS-m. Choices: the paper draws one
    positive for each sample and keeps the other ends of the pairs in a memory of one vector a class; here the batch
    gives all of them, and several positives of a sample are averaged. A sample without positives (negatives) is left
    out of the first (second) mean.

    Args:
        scale: γ > 0.
        margin: m, in cosine similarity.
        threshold: the learned threshold b/γ at the beginning, in [-1, 1]; the authors' program starts from the mean
            log-sum-exp of the first batch.

    Attributes:
        last: TCMStats of the last forward pass: shares of the positive pairs below and of the negative pairs at or
            above the threshold, and the two terms; None before the first.

    Raises:
        InputError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import UnifiedThresholdLoss
        >>> loss = UnifiedThresholdLoss(scale=10.0, threshold=0.5)
        >>> rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> round(float(loss(rows, torch.tensor([0, 0, 1])).detach()), 3)
        2.348
        >>> round(float(loss.threshold), 3)
        0.5
    """

    def __init__(self, scale: float = 16.0, margin: float = 0.0, threshold: float = 0.6) -> None:
        super().__init__()
        self.scale = check_positive(scale, "scale")
        if not -1 <= check_finite(threshold, "threshold") <= 1:
            raise InputError(f"threshold is {threshold}; pass a cosine similarity, from -1 to 1")
        self.margin = check_finite(margin, "margin")
        self.bias = torch.nn.Parameter(torch.tensor(self.scale * threshold))
        self.last: TCMStats | None = None

    @property
    def threshold(self) -> Tensor:
        """The learned threshold b/γ as it stands, a scalar on the loss's device."""
        return self.bias.detach() / self.scale

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        *,
        ids: Tensor | None = None,
        ref_ids: Tensor | None = None,
    ) -> Tensor:
        """Loss of a batch, or of a batch against reference embeddings; the arguments are those of TCMLoss.

        Args:
            embeddings: floating-point (n, d); need not be normalised.
            labels: integer (n,); the class of each row.
            ref_emb: (m, d).
            ref_labels: integer (m,), required with ref_emb.
            ids: integer (n,); rows with equal ids are one sample and make no pair.
            ref_ids: integer (m,), required with ref_emb when ids are given.

        Returns:
            A scalar, float32 (float64 for float64 embeddings); a term without a pair is 0. Memory is O(n²), or O(n·m).

        Raises:
            InputError: shapes, types or lengths that do not fit together.
        """
        pairs = checked_pairs(embeddings, labels, ref_emb, ref_labels, ids, ref_ids)
        with torch.autocast(embeddings.device.type, enabled=False):
            every = Tile(slice(None), slice(None), on_diagonal=pairs.ref is None, copies=1)
            similarities, same, allowed = pairs.scores(every)
            different = ~same
            if pairs.ref is None:
                same.fill_diagonal_(False)
            if allowed is not None:
                same &= allowed
                different &= allowed
            scores = self.scale * similarities
            bias = self.bias.to(scores.dtype)
            missed = torch.nn.functional.softplus(bias - scores + self.scale * self.margin)
            positive = torch.where(same, missed, 0.0).sum() / same.sum().clamp_min(1)
            # −1e4 is exp → 0 in any precision, and unlike −inf gives no NaN to a row without a negative.
            hardest = torch.where(different, scores - bias, -1e4).logsumexp(1)
            has_negative = different.any(1)
            accepted = torch.nn.functional.softplus(hardest)
            negative = torch.where(has_negative, accepted, 0.0).sum() / has_negative.sum().clamp_min(1)
            rejected, passed = same & (scores < bias), different & (scores >= bias)
            self.last = TCMStats(
                rejected.sum() / same.sum(), passed.sum() / different.sum(), positive.detach(), negative.detach()
            )
            return positive + negative

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return f"scale={self.scale}, margin={self.margin}"
