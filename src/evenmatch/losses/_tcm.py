"""The threshold-consistent margin loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from evenmatch.errors import InputError
from evenmatch.losses._checks import check_finite, check_positive_int, checked_pairs
from evenmatch.losses._pair_hinge import PairHinge

__all__ = ["TCMLoss", "TCMStats", "default_tile"]

CPU_TILE = 512


class TCMStats(NamedTuple):
    """What the two terms did in the last forward pass: detached scalar tensors, still on the device.

    share_pos, share_neg: share of the positive and negative pairs that are active, in [0, 1]; NaN without such a pair.
    mean_pos, mean_neg: mean hinge over the active pairs, before the weights; 0 where the active set is empty.

    Reading one with `float()` waits for the device, so do it when you log, not at every step.
    """

    share_pos: Tensor
    share_neg: Tensor
    mean_pos: Tensor
    mean_neg: Tensor


class TCMLoss(torch.nn.Module):
    """Threshold-consistent margin loss: hard positive pairs above one margin, hard negative pairs below another.

    With S⁺ and S⁻ the cosine similarities of the positive and negative pairs of a batch:

        L = λ⁺ · mean of (m⁺ − s) over {s ∈ S⁺ : s ≤ m⁺}  +  λ⁻ · mean of (s − m⁻) over {s ∈ S⁻ : s ≥ m⁻}

    It regularises a base loss (see WithTCM) so that one similarity threshold suits every class.

    Source: "Threshold-Consistent Margin Loss for Open-World Deep Metric Learning", arXiv 2307.04047, ICLR 2024. Where
    the paper leaves a choice open:

    - Each mean is taken over the active set, not over all pairs: as easy pairs drop out, the rest keep their pull.
    - A score equal to its margin is in the active set; it adds 0 to the sum and 1 to the count.
    - A term whose active set is empty is 0, and its gradient is 0.
    - A pair is unordered and never a sample with itself. A zero vector has similarity 0 to everything and receives no
      gradient; a NaN makes the loss NaN.

    The loss is computed from the similarity matrix, in float32 (float64 for float64 embeddings) also under autocast,
    never asks the device for a value, and compiles without a graph break.

    Args:
        margin_pos: m⁺, the cosine similarity that positive pairs should exceed.
        margin_neg: m⁻, the cosine similarity that negative pairs should stay below.
        weight_pos: λ⁺ ≥ 0.
        weight_neg: λ⁻ ≥ 0.
        chunk_size: an integer computes the similarity matrix in tiles of chunk_size × chunk_size, and once more in the
            backward pass: O(n·d) memory, for batches whose matrix does not fit. None holds the matrix at once, except
            on a CPU, where tiles of 512 that stay in cache are faster.
        check_margins: False allows margins outside 0 < m⁻ < m⁺ ≤ 1.

    Attributes:
        last: TCMStats of the last forward pass, for logging; None before the first.

    Raises:
        InputError: a margin, weight or chunk_size is out of range.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import TCMLoss
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], requires_grad=True)
        >>> loss = TCMLoss(margin_pos=0.9, margin_neg=0.5)(embeddings, torch.tensor([0, 0, 1]))
        >>> round(float(loss.detach()), 4)  # (0.9 − 0.6) / 1 + (0.8 − 0.5) / 1
        0.6
        >>> loss.backward()
    """

    def __init__(
        self,
        margin_pos: float = 0.9,
        margin_neg: float = 0.5,
        weight_pos: float = 1.0,
        weight_neg: float = 1.0,
        *,
        chunk_size: int | None = None,
        check_margins: bool = True,
    ) -> None:
        super().__init__()
        self.margin_pos = check_finite(margin_pos, "margin_pos")
        self.margin_neg = check_finite(margin_neg, "margin_neg")
        if check_margins and not 0 < self.margin_neg < self.margin_pos <= 1:
            raise InputError(
                f"margin_pos is {margin_pos} and margin_neg is {margin_neg}; keep 0 < margin_neg < margin_pos <= 1, "
                "or pass check_margins=False if you mean it"
            )
        self.weight_pos = check_finite(weight_pos, "weight_pos", minimum=0)
        self.weight_neg = check_finite(weight_neg, "weight_neg", minimum=0)
        self.chunk_size = None if chunk_size is None else check_positive_int(chunk_size, "chunk_size")
        self.last: TCMStats | None = None

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
        """Loss of a batch, or of a batch against reference embeddings.

        Args:
            embeddings: floating-point (n, d); need not be normalised.
            labels: integer (n,); the class of each row.
            ref_emb: (m, d), e.g. a memory or the other ranks; gradients flow into it unless it is detached. With it,
                the pairs are all (embedding, reference) pairs; without it, the pairs within the batch.
            ref_labels: integer (m,), required with ref_emb.
            ids: integer (n,); two rows with the same id are one sample and never make a pair. Without ref_emb a row
                is never paired with itself whether ids are given or not.
            ref_ids: integer (m,), required with ref_emb when ids are given.

        Returns:
            A scalar, float32 (float64 for float64 embeddings).

        Raises:
            InputError: shapes, types or lengths that do not fit together.
        """
        pairs = checked_pairs(embeddings, labels, ref_emb, ref_labels, ids, ref_ids)
        with torch.autocast(embeddings.device.type, enabled=False):
            mean_pos, mean_neg, share_pos, share_neg = PairHinge.apply(
                *pairs, self.margin_pos, self.margin_neg, self.chunk_size or default_tile(pairs.x, pairs.ref)
            )
            self.last = TCMStats(share_pos, share_neg, mean_pos.detach(), mean_neg.detach())
            return self.weight_pos * mean_pos + self.weight_neg * mean_neg

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return (
            f"margin_pos={self.margin_pos}, margin_neg={self.margin_neg}, weight_pos={self.weight_pos}, "
            f"weight_neg={self.weight_neg}, chunk_size={self.chunk_size}"
        )


def default_tile(x: Tensor, ref: Tensor | None) -> int:
    """Side of a tile when the user chose none; the compiler fuses the whole matrix and would unroll the tiles."""
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return CPU_TILE
    return max(x.shape[0], 0 if ref is None else ref.shape[0], 1)
