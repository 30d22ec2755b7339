"""The two hinge terms of the TCM loss over all pairs of a batch, with their gradient written out by hand.

Both terms are linear in the similarities of the active pairs, so their gradient with respect to the similarity matrix
is constant on each active set: −1/|active positives| there, +1/|active negatives| there, 0 elsewhere. Two boolean masks
are all that the backward pass needs, and with tiles not even those: they are computed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Masks", "PairHinge", "Pairs", "Tile", "unit_rows"]

SMALLEST_NORM = 1e-12  # as in torch.nn.functional.normalize


def unit_rows(embeddings: Tensor) -> Tensor:
    """Rows of unit length; a row shorter than 1e-12 becomes zeros, and its gradient is zero rather than 1e12 too large.

    Half precision is widened to float32, float64 stays.
    """
    if embeddings.dtype in (torch.float16, torch.bfloat16):
        embeddings = embeddings.float()
    norm = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True)
    inverse = torch.where(norm > SMALLEST_NORM, norm.clamp_min(SMALLEST_NORM).reciprocal(), 0.0)
    # A NaN or infinite norm must show in the loss: `NaN > eps` is false, and the row would pass for a zero vector.
    return embeddings * torch.where(norm.isfinite(), inverse, torch.nan)


class Pairs(NamedTuple):
    """Both sides of every pair; `ref` is None when the pairs are those within `x`."""

    x: Tensor
    ref: Tensor | None
    labels: Tensor
    ref_labels: Tensor | None
    ids: Tensor | None
    ref_ids: Tensor | None

    def tiles(self, size: int) -> Iterator[Tile]:
        """Cut the similarity matrix into tiles; within `x` only its upper half, off-diagonal tiles standing for two."""
        rows = self.x.shape[0]
        cols = rows if self.ref is None else self.ref.shape[0]
        for row in range(0, rows, size):
            for col in range(row if self.ref is None else 0, cols, size):
                on_diagonal = self.ref is None and row == col
                copies = 2 if self.ref is None and not on_diagonal else 1
                yield Tile(slice(row, row + size), slice(col, col + size), on_diagonal, copies)

    def scores(self, tile: Tile) -> tuple[Tensor, Tensor, Tensor | None]:
        """Similarities of a tile, whether each pair shares its class, and where ids were given, whether it is a pair.

        On the diagonal of the pairs within `x` a sample meets itself: that is no pair unless the caller says so.
        """
        y = (self.x if self.ref is None else self.ref)[tile.cols]
        other_labels = (self.labels if self.ref_labels is None else self.ref_labels)[tile.cols]
        other_ids = self.ids if self.ref_ids is None else self.ref_ids
        allowed = None
        if self.ids is not None and other_ids is not None:
            allowed = self.ids[tile.rows, None] != other_ids[tile.cols]
        return self.x[tile.rows] @ y.T, self.labels[tile.rows, None] == other_labels, allowed

    def masks(self, tile: Tile, margin_pos: float | Tensor, margin_neg: float | Tensor) -> Masks:
        """Similarities of a tile, its active pairs, its positive pairs, and which are pairs where ids were given."""
        scores, same, allowed = self.scores(tile)
        # `>` between booleans is "and not", in one pass. A NaN score passes neither comparison and so counts as
        # active on both sides: it must reach the loss instead of dropping out of the mean.
        neg = ~(scores < margin_neg)
        neg = neg > same
        if allowed is not None:
            neg &= allowed
            same &= allowed
        elif tile.on_diagonal:
            same.fill_diagonal_(False)
        return Masks(scores, same > (scores > margin_pos), neg, same, allowed)

    def active(self, tile: Tile, margin_pos: float | Tensor, margin_neg: float | Tensor) -> _Active:
        """Masks of the active pairs of a tile, their summed hinges, and the counts."""
        scores, pos, neg, same, allowed = self.masks(tile, margin_pos, margin_neg)
        total = scores.numel() - (scores.shape[0] if tile.on_diagonal else 0)
        counts = torch.stack(
            (
                pos.sum(),
                neg.sum(),
                same.sum(),
                torch.full_like(same.sum(), total) if allowed is None else allowed.sum(),
            )
        )
        sums = torch.stack(
            (torch.where(pos, margin_pos - scores, 0.0).sum(), torch.where(neg, scores - margin_neg, 0.0).sum())
        )
        return _Active(pos, neg, sums, counts)

    def add_gradient(self, tile: Tile, slope: Tensor, grad_x: Tensor | None, grad_ref: Tensor | None) -> None:
        """Add, in place, what the slopes of a tile's scores are to the rows on both of its sides.

        Within `x` a tile off the diagonal stands for its mirror image, too.
        """
        if grad_x is not None:
            grad_x[tile.rows].addmm_(slope, (self.x if self.ref is None else self.ref)[tile.cols])
            if tile.copies == 2:
                grad_x[tile.cols].addmm_(slope.T, self.x[tile.rows])
        if grad_ref is not None:
            grad_ref[tile.cols].addmm_(slope.T, self.x[tile.rows])


class Tile(NamedTuple):
    """One rectangle of the similarity matrix, and how often each of its pairs is to be counted."""

    rows: slice
    cols: slice
    on_diagonal: bool
    copies: int


class Masks(NamedTuple):
    """A tile pair by pair; `allowed` is None where every entry off the diagonal is a pair."""

    scores: Tensor
    pos: Tensor  # active
    neg: Tensor  # active
    same: Tensor
    allowed: Tensor | None


class _Active(NamedTuple):
    """What is active in a tile: two masks, the two sums of hinges, and four counts."""

    pos: Tensor
    neg: Tensor
    sums: Tensor
    counts: Tensor  # active positive, active negative, positive, all


class PairHinge(torch.autograd.Function):
    """Mean hinge over the active positive and over the active negative pairs.

    apply(x, ref, labels, ref_labels, ids, ref_ids, margin_pos, margin_neg, size) takes unit rows x (n, d) and
    ref (m, d), or ref = None for the pairs within x. It returns four scalars: mean hinge of the active positives and
    of the active negatives (0 where the set is empty), and the active share of the positives and of the negatives
    (NaN where there is no such pair). A margin is a number, or a scalar tensor that nobody changes before the backward
    pass; no gradient flows into it. Within x every unordered pair counts twice, in sums and counts alike: the means
    stay what they are and the gradient becomes a symmetric matrix, one product instead of two.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        ref: Tensor | None,
        labels: Tensor,
        ref_labels: Tensor | None,
        ids: Tensor | None,
        ref_ids: Tensor | None,
        margin_pos: float | Tensor,
        margin_neg: float | Tensor,
        size: int,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pairs = Pairs(x, ref, labels, ref_labels, ids, ref_ids)
        tiles = list(pairs.tiles(size))
        # A row for each tile, allocated before the first: small tensors kept from every tile would lie between the
        # large freed ones, and the C allocator could not use that memory again.
        all_sums = x.new_zeros((len(tiles), 2))
        all_counts = labels.new_zeros((len(tiles), 4))
        masks: tuple[Tensor | None, Tensor | None] = (None, None)
        with torch.autocast(x.device.type, enabled=False):
            for index, tile in enumerate(tiles):
                active = pairs.active(tile, margin_pos, margin_neg)
                all_sums[index] = active.sums * tile.copies
                all_counts[index] = active.counts * tile.copies
                masks = (active.pos, active.neg)
            sums = all_sums.sum(0)
            counts = all_counts.sum(0)
            active_counts = counts[:2].to(sums.dtype)
            share_pos = active_counts[0] / counts[2]
            share_neg = active_counts[1] / (counts[3] - counts[2])
            divisors = active_counts.clamp_min(1)
            mean_pos, mean_neg = (sums / divisors).unbind()
        if len(tiles) > 1:
            masks = (None, None)  # computed again in backward: memory stays at O(n·d)
        ctx.arguments = (margin_pos, margin_neg, size)
        ctx.save_for_backward(*pairs, divisors, *masks)
        ctx.mark_non_differentiable(share_pos, share_neg)
        return mean_pos, mean_neg, share_pos, share_neg

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        grad_pos, grad_neg = grad_outputs[:2]
        *saved, divisors, pos, neg = ctx.saved_tensors
        pairs = Pairs(*saved)
        margin_pos, margin_neg, size = ctx.arguments
        x, ref = pairs.x, pairs.ref
        within = ref is None
        grad_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        grad_ref = torch.zeros_like(ref) if ref is not None and ctx.needs_input_grad[1] else None
        with torch.autocast(x.device.type, enabled=False):
            # Within x each score moves both of its ends: twice the slope, since the matrix is symmetric.
            fall = -(2 if within else 1) * grad_pos / divisors[0]
            rise = (2 if within else 1) * grad_neg / divisors[1]
            for tile in pairs.tiles(size):
                if pos is None or neg is None:
                    tile_pos, tile_neg, *_ = pairs.active(tile, margin_pos, margin_neg)
                else:
                    tile_pos, tile_neg = pos, neg
                slope = torch.where(tile_neg, rise, 0.0).masked_fill_(tile_pos, fall)
                pairs.add_gradient(tile, slope, grad_x, grad_ref)
        return grad_x, grad_ref, None, None, None, None, None, None, None
