"""The threshold-consistent margin loss with margins that follow the data."""

from __future__ import annotations

import torch
from torch import Tensor

from evenmatch.errors import InputError
from evenmatch.losses._checks import check_finite, check_positive_int, checked_pairs, integer_labels
from evenmatch.losses._grouped_hinge import GroupedHinge
from evenmatch.losses._pair_hinge import PairHinge, Pairs
from evenmatch.losses._score_histogram import BINS, merge, quantiles, tally
from evenmatch.losses._tcm import TCMStats, default_tile

__all__ = ["AdaptiveTCMLoss"]


class AdaptiveTCMLoss(torch.nn.Module):
    """TCM whose margins are running quantiles of the similarities, common to all classes and to all groups.

    The terms are those of TCMLoss. Its margins 0.9 and 0.5 presume a range of similarities that a model may not have:
    where most negative pairs score above m⁻ or no positive pair below m⁺, a term pulls at everything or at nothing.
    Here each margin is where the model's own similarities put it:

        m⁺ = the similarity that a share `quantile_pos` of the positive pairs lies below,
        m⁻ = the similarity that a share `far` of the negative pairs reaches or exceeds, i.e. the threshold of that FAR,

    so that the pairs that are pulled are those at the thresholds of the calibration range, whatever the base loss.
    The quantiles are taken from histograms of the similarities of all batches so far, of which those of t batches ago
    weigh decay**t; the batch at hand is part of them. No gradient flows through a margin.

    Margins that follow cannot stop the embeddings from drawing together, which raises every similarity and so lowers
    the positive term: with a weak base loss and λ⁻ = 0 all of them end in one place. By default λ⁻ therefore is

        λ⁻ = λ⁺ · (1 − mean active positive similarity) / (1 − mean active negative similarity),

    at which the step s → s + ε(1 − s), the same for all pairs, leaves the loss as it is; no gradient flows through λ⁻.

    With `n_groups` the quantiles are taken for each group (domain) by itself, and the margins are their means over the
    groups: every group is drawn to the same target, not to its own. Both terms then are means within each group,
    averaged over the groups with an active pair, so that a small group has as much of a say as a large one. A pair
    belongs to the group of its row, so that a pair within a batch counts in the groups of both of its ends.

    Source: the terms, arXiv 2307.04047 (ICLR 2024); thresholds of each domain estimated during training and pulled to a
    common one, the Threshold Consistency Penalty of Liu et al., "OneFace: One Threshold for All", ECCV 2022, which does
    this for negative pairs and a penalty of another form. Quantiles of both kinds of pairs, and λ⁻, are ours.

    Args:
        quantile_pos: share of the positive pairs below m⁺, in (0, 1).
        far: share of the negative pairs at or above m⁻, in (0, 1); choose it within the calibration range.
        weight_pos: λ⁺ ≥ 0.
        weight_neg: λ⁻ ≥ 0, or None for the one above. 0 draws hard positive pairs together and nothing else; with a
            base loss that does not hold against it all embeddings end in one place.
        n_groups: number of groups; None ignores groups.
        decay: weight of what was seen up to the last batch against a batch, in [0, 1).
        warmup: over so many training batches the loss rises linearly to its full size, while the first embeddings say
            little about the later ones.
        bounds_pos: smallest and largest m⁺, in cosine similarity.
        bounds_neg: smallest and largest m⁻.
        chunk_size: as in TCMLoss.

    The histograms are buffers: `state_dict` holds them, and a resumed run has the same margins. They change in training
    mode alone. In a distributed run the processes add up what they saw; each must call the loss equally often.

    Attributes:
        last: TCMStats of the last forward pass, before warm-up and weights; None before the first.

    Raises:
        InputError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from evenmatch.losses import AdaptiveTCMLoss
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-0.6, 0.8]], requires_grad=True)
        >>> loss = AdaptiveTCMLoss(quantile_pos=0.5, far=0.5, warmup=0)
        >>> loss(embeddings, torch.tensor([0, 0, 1, 1])).backward()
        >>> [round(float(margin), 3) for margin in loss.margins()]
        [0.601, 0.001]
    """

    histograms: Tensor
    batches: Tensor

    def __init__(
        self,
        quantile_pos: float = 0.25,
        far: float = 0.05,
        weight_pos: float = 1.0,
        weight_neg: float | None = None,
        *,
        n_groups: int | None = None,
        decay: float = 0.98,
        warmup: int = 50,
        bounds_pos: tuple[float, float] = (-1.0, 1.0),
        bounds_neg: tuple[float, float] = (-1.0, 1.0),
        chunk_size: int | None = None,
    ) -> None:
        super().__init__()
        self.quantile_pos = _share(quantile_pos, "quantile_pos")
        self.far = _share(far, "far")
        self.weight_pos = check_finite(weight_pos, "weight_pos", minimum=0)
        self.weight_neg = None if weight_neg is None else check_finite(weight_neg, "weight_neg", minimum=0)
        self.n_groups = None if n_groups is None else check_positive_int(n_groups, "n_groups")
        self.decay = check_finite(decay, "decay", minimum=0)
        if self.decay >= 1:
            raise InputError(f"decay is {decay}; pass a number below 1, e.g. 0.98, or nothing new would ever count")
        self.warmup = 0 if warmup == 0 and not isinstance(warmup, bool) else check_positive_int(warmup, "warmup")
        self.bounds_pos = _bounds(bounds_pos, "bounds_pos")
        self.bounds_neg = _bounds(bounds_neg, "bounds_neg")
        self.chunk_size = None if chunk_size is None else check_positive_int(chunk_size, "chunk_size")
        self.register_buffer("histograms", torch.zeros(2, self.n_groups or 1, BINS))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.last: TCMStats | None = None

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        *,
        groups: Tensor | None = None,
        ids: Tensor | None = None,
        ref_ids: Tensor | None = None,
    ) -> Tensor:
        """Loss of a batch, or of a batch against reference embeddings; the arguments are those of TCMLoss, and groups.

        Args:
            embeddings: floating-point (n, d); need not be normalised.
            labels: integer (n,); the class of each row.
            ref_emb: (m, d).
            ref_labels: integer (m,), required with ref_emb.
            groups: integer (n,) in 0 … n_groups − 1, the group of each row; required with n_groups, and without it
                ignored, so that a training loop may always pass them. A number out of range is an error of torch's.
            ids: integer (n,).
            ref_ids: integer (m,), required with ref_emb when ids are given.

        Returns:
            A scalar, float32 (float64 for float64 embeddings).

        Raises:
            InputError: shapes, types or lengths that do not fit together, or no groups.
        """
        pairs = checked_pairs(embeddings, labels, ref_emb, ref_labels, ids, ref_ids)
        if self.n_groups is None:
            groups = None
        elif groups is None:
            raise InputError(f"this loss has n_groups={self.n_groups} and no groups came; pass groups=, one a row")
        else:
            groups = integer_labels(groups, embeddings, "groups", "embeddings")
        size = self.chunk_size or default_tile(pairs.x, pairs.ref)
        with torch.autocast(embeddings.device.type, enabled=False):
            if self.training:
                self._observe(pairs, groups, size)
            margin_pos, margin_neg = (margin.to(pairs.x.dtype) for margin in self.margins())
            if groups is None:
                terms = PairHinge.apply(*pairs, margin_pos, margin_neg, size)
            else:
                terms = GroupedHinge.apply(*pairs, groups, self.n_groups, margin_pos, margin_neg, size)
            mean_pos, mean_neg, share_pos, share_neg = terms
            self.last = TCMStats(share_pos, share_neg, mean_pos.detach(), mean_neg.detach())
            ramp = (self.batches / (self.warmup + 1)).clamp_max(1.0).to(pairs.x.dtype)
            weight_neg = self.weight_neg
            if weight_neg is None:
                # The mean similarity of the active pairs is m⁺ − mean_pos and m⁻ + mean_neg.
                distance_pos, distance_neg = 1 - margin_pos + mean_pos, 1 - margin_neg - mean_neg
                weight_neg = self.weight_pos * (distance_pos / distance_neg.clamp_min(1e-6)).detach()
            return ramp * (self.weight_pos * mean_pos + weight_neg * mean_neg)

    def margins(self) -> tuple[Tensor, Tensor]:
        """m⁺ and m⁻ as they stand: scalars on the loss's device.

        Before the first positive (negative) pair m⁺ is its lower (m⁻ its upper) bound.
        """
        of_groups = self.group_quantiles()
        pos, neg = of_groups.nanmean(1).unbind()
        return (
            pos.nan_to_num(nan=self.bounds_pos[0]).clamp(*self.bounds_pos),
            neg.nan_to_num(nan=self.bounds_neg[1]).clamp(*self.bounds_neg),
        )

    def group_quantiles(self) -> Tensor:
        """(2, n_groups or 1): each group's own quantile of the positive and of the negative pairs; NaN without one."""
        return torch.stack(
            (quantiles(self.histograms[0], self.quantile_pos), quantiles(self.histograms[1], 1 - self.far))
        )

    @torch.no_grad()
    def _observe(self, pairs: Pairs, groups: Tensor | None, size: int) -> None:
        found = merge(tally(pairs, groups, self.n_groups or 1, size).to(self.histograms.dtype))
        # A group that is not in the batch keeps what it has: it must not fade away while it is not drawn.
        kept = torch.where(found.sum(-1, keepdim=True) > 0, self.decay, 1.0)
        self.histograms.mul_(kept).add_(found)
        self.batches.add_(1)

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return (
            f"quantile_pos={self.quantile_pos}, far={self.far}, weight_pos={self.weight_pos}, "
            f"weight_neg={self.weight_neg}, n_groups={self.n_groups}, decay={self.decay}, warmup={self.warmup}, "
            f"bounds_pos={self.bounds_pos}, bounds_neg={self.bounds_neg}, chunk_size={self.chunk_size}"
        )


def _share(value: float, name: str) -> float:
    if not 0 < check_finite(value, name) < 1:
        raise InputError(f"{name} is {value}; pass a share between 0 and 1")
    return float(value)


def _bounds(bounds: tuple[float, float], name: str) -> tuple[float, float]:
    if len(bounds) != 2 or not -1 <= check_finite(bounds[0], name) <= check_finite(bounds[1], name) <= 1:
        raise InputError(f"{name} is {bounds}; pass the smallest and the largest margin, each from -1 to 1")
    return float(bounds[0]), float(bounds[1])
