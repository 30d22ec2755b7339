"""Running distributions of similarities, as histograms that forget."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from evenmatch.losses._pair_hinge import Pairs

__all__ = ["BINS", "merge", "quantiles", "tally"]

BINS = 2000  # of 0.001 each over cosine similarities from -1 to 1


def tally(pairs: Pairs, groups: Tensor | None, n_groups: int, size: int) -> Tensor:
    """Histograms of the similarities of a batch, (2, n_groups, BINS) in the embeddings' precision.

    First the positive, then the negative pairs. A pair counts in the group of its row; within a batch it has two rows,
    and counts once in the group of each. A NaN counts nowhere.

    Args:
        pairs: the pairs.
        groups: (n,) group of each row of the batch in 0 … n_groups − 1, or None for one group.
        n_groups: how many groups there are.
        size: side of the tiles in which the similarity matrix is computed.
    """
    x = pairs.x
    spare = 2 * n_groups * BINS  # where entries go that are no pair
    found = x.new_zeros(spare + 1)
    rows_at = torch.zeros_like(pairs.labels) if groups is None else groups * BINS
    for tile in pairs.tiles(size):
        scores, same, allowed = pairs.scores(tile)
        bins = ((scores + 1) * (BINS / 2)).nan_to_num(nan=0.0).clamp_(0, BINS - 1).long()
        bins += torch.where(same, 0, n_groups * BINS)
        dropped = scores.isnan()
        if allowed is not None:
            dropped |= ~allowed
        elif tile.on_diagonal:
            dropped.fill_diagonal_(True)
        ones = torch.ones_like(scores)
        _add(found, bins + rows_at[tile.rows, None], dropped, ones, spare)
        if tile.copies == 2:  # the lower half of the matrix, where rows and columns change places
            _add(found, bins + rows_at[tile.cols], dropped, ones, spare)
    return found[:spare].view(2, n_groups, BINS)


def merge(found: Tensor) -> Tensor:
    """The sum over the processes of a distributed run; elsewhere the histograms themselves."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(found)
    return found


def quantiles(histograms: Tensor, share: float) -> Tensor:
    """The similarity that a share of each histogram lies below: (…, BINS) → (…), NaN where a histogram is empty.

    Within a bin the similarities are taken to be spread evenly.
    """
    below = histograms.cumsum(-1)
    wanted = below[..., -1:] * share
    at = (below < wanted).sum(-1, keepdim=True).clamp_max(BINS - 1)
    inside = histograms.gather(-1, at)
    part = 1 - (below.gather(-1, at) - wanted) / inside.clamp_min(torch.finfo(histograms.dtype).tiny)
    position = (at + part.clamp(0, 1)).squeeze(-1) * (2 / BINS) - 1
    return torch.where(below[..., -1] > 0, position, torch.nan)


def _add(found: Tensor, places: Tensor, dropped: Tensor, ones: Tensor, spare: int) -> None:
    found.scatter_add_(0, places.masked_fill(dropped, spare).flatten(), ones.flatten())
