"""Ranks of the positives of every query, smooth in the similarities: what Smooth-AP and Recall@k are made of."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["SmoothRanks", "smooth_ranks"]


class SmoothRanks(NamedTuple):
    """Each of n samples as a query, its positives in m columns; a query with fewer has other samples in the rest."""

    positives: Tensor  # (n,) how many positives each query has
    is_positive: Tensor  # (n, m) uint8
    same: Tensor  # (n, n) whether two samples are a positive pair
    above: Tensor  # (n, m, n) σ_τ(s(q, z) − s(q, x)) of query q, column x and sample z
    counted: Tensor  # (n, m, n) whether z is neither the query nor x

    def of_columns(self, among_positives: bool = False) -> Tensor:
        """(n, m) ranks of the columns, from 1, among all samples but the query or among its positives."""
        counted = self.counted & self.same[:, None, :] if among_positives else self.counted
        return 1 + (self.above * counted).sum(2)


def smooth_ranks(x: Tensor, labels: Tensor, temperature: float) -> SmoothRanks | None:
    """Ranks within a batch of unit rows x (n, d) by cosine similarity; None where no two samples share a class.

    The largest number of positives, m, is read on the host, which waits for the device once.
    """
    scores = x @ x.T
    same = labels[:, None] == labels
    same.fill_diagonal_(False)
    positives = same.sum(1)
    most = int(positives.max()) if positives.numel() else 0
    if most == 0:
        return None
    is_positive, columns = same.to(torch.uint8).topk(most, dim=1)
    above = torch.sigmoid((scores[:, None, :] - scores.gather(1, columns)[:, :, None]) / temperature)
    row = torch.arange(len(x), device=x.device)
    counted = (row != columns[:, :, None]) & (row != row[:, None, None])
    return SmoothRanks(positives, is_positive, same, above, counted)
