"""One pass over all pairs: mergeable integer counts per class and threshold."""

from evenmatch.pairs._class_neighbours import ClassNeighbours, class_neighbours
from evenmatch.pairs._counts import GroupCounts, PairCounts
from evenmatch.pairs._cpu import CpuEngine
from evenmatch.pairs._extremes import ExtremePair, extreme_pairs
from evenmatch.pairs._grid import ScoreGrid
from evenmatch.pairs._neighbours import Neighbours, nearest_neighbours
from evenmatch.pairs._run import ENGINES, Engine, count_pairs, make_engine
from evenmatch.pairs._scatter import SampleScatter, sample_scatter

__all__ = [
    "ENGINES",
    "ClassNeighbours",
    "CpuEngine",
    "Engine",
    "ExtremePair",
    "GroupCounts",
    "Neighbours",
    "PairCounts",
    "SampleScatter",
    "ScoreGrid",
    "class_neighbours",
    "count_pairs",
    "extreme_pairs",
    "make_engine",
    "nearest_neighbours",
    "sample_scatter",
]
