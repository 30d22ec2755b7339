"""One pass over all pairs: mergeable integer counts per class and threshold."""

from evenmatch.pairs._counts import GroupCounts, PairCounts
from evenmatch.pairs._grid import ScoreGrid
from evenmatch.pairs._run import ENGINES, count_pairs

__all__ = ["ENGINES", "GroupCounts", "PairCounts", "ScoreGrid", "count_pairs"]
