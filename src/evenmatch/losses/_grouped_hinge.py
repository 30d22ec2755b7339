"""The two hinge terms of the TCM loss where every group of samples has an equal say, with their gradient by hand.

As in `_pair_hinge`, the gradient with respect to the similarity matrix is constant on each active set; but a pair of
group g now weighs 1 / (groups with an active pair · active pairs of g), so that it depends on the row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from evenmatch.losses._pair_hinge import Pairs

__all__ = ["GroupedHinge"]


class GroupedHinge(torch.autograd.Function):
    """Mean hinge over the active pairs of each group, averaged over the groups that have one.

    apply(x, ref, labels, ref_labels, ids, ref_ids, groups, n_groups, margin_pos, margin_neg, size) takes what PairHinge
    takes, and the group (n,) of each row of x. A pair belongs to the group of its row; within x a pair has two rows and
    counts in the group of each. It returns four scalars: the averaged mean hinge of the positives and of the negatives
    (0 without an active pair), and the active share of all positives and of all negatives.
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
        groups: Tensor,
        n_groups: int,
        margin_pos: Tensor,
        margin_neg: Tensor,
        size: int,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pairs = Pairs(x, ref, labels, ref_labels, ids, ref_ids)
        # By row: hinges and active pairs of the positives and of the negatives; then their pairs, active or not.
        sums = x.new_zeros((len(x), 2))
        active = labels.new_zeros((len(x), 2))
        present = labels.new_zeros((len(x), 2))
        with torch.autocast(x.device.type, enabled=False):
            for tile in pairs.tiles(size):
                scores, pos, neg, same, allowed = pairs.masks(tile, margin_pos, margin_neg)
                hinges = (torch.where(pos, margin_pos - scores, 0.0), torch.where(neg, scores - margin_neg, 0.0))
                for side, (rows, own) in enumerate(((tile.rows, tile.on_diagonal), (tile.cols, False))):
                    if side == 1 and tile.copies == 1:
                        continue
                    across = 1 - side
                    every = torch.full_like(same, True) if allowed is None else allowed
                    sums[rows] += torch.stack([hinge.sum(across) for hinge in hinges], 1)
                    active[rows] += torch.stack([mask.sum(across) for mask in (pos, neg)], 1)
                    positives = same.sum(across)
                    total = every.sum(across) - (1 if own and allowed is None else 0)
                    present[rows] += torch.stack([positives, total - positives], 1)
            of_group = sums.new_zeros((n_groups, 2)).index_add_(0, groups, sums)
            pairs_of_group = active.new_zeros((n_groups, 2)).index_add_(0, groups, active)
            members = (pairs_of_group > 0).sum(0).clamp_min(1)
            divisors = pairs_of_group.clamp_min(1) * members
            mean_pos, mean_neg = (of_group / divisors).sum(0).unbind()
            share_pos, share_neg = (active.sum(0) / present.sum(0)).to(sums.dtype).unbind()
        ctx.arguments = (margin_pos, margin_neg, size)
        ctx.save_for_backward(*pairs, (1 / divisors.to(sums.dtype))[groups])
        ctx.mark_non_differentiable(share_pos, share_neg)
        return mean_pos, mean_neg, share_pos, share_neg

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        grad_pos, grad_neg = grad_outputs[:2]
        *saved, weights = ctx.saved_tensors
        pairs = Pairs(*saved)
        margin_pos, margin_neg, size = ctx.arguments
        x, ref = pairs.x, pairs.ref
        grad_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        grad_ref = torch.zeros_like(ref) if ref is not None and ctx.needs_input_grad[1] else None
        with torch.autocast(x.device.type, enabled=False):
            fall, rise = -grad_pos * weights[:, 0], grad_neg * weights[:, 1]
            for tile in pairs.tiles(size):
                masks = pairs.masks(tile, margin_pos, margin_neg)
                down, up = fall[tile.rows, None], rise[tile.rows, None]
                if ref is None:  # the pair stands in the group of either end
                    down, up = down + fall[tile.cols], up + rise[tile.cols]
                slope = torch.where(masks.neg, up, 0.0)
                slope = torch.where(masks.pos, down, slope)
                pairs.add_gradient(tile, slope, grad_x, grad_ref)
        return grad_x, grad_ref, *[None] * 9
