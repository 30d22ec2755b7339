"""One pass over all pairs: mergeable integer counts per class and threshold."""

from evenmatch.pairs._counts import GroupCounts, PairCounts
from evenmatch.pairs._extremes import ExtremePair, extreme_pairs
from evenmatch.pairs._grid import ScoreGrid
from evenmatch.pairs._neighbours import Neighbours, nearest_neighbours
from evenmatch.pairs._run import ENGINES, count_pairs

__all__ = [
    "ENGINES",
    "ExtremePair",
    "GroupCounts",
    "Neighbours",
    "PairCounts",
    "ScoreGrid",
    "count_pairs",
    "extreme_pairs",
    "nearest_neighbours",
]
