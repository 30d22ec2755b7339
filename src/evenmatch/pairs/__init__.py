"""One pass over all pairs: mergeable integer counts per class and threshold."""

from evenmatch.pairs._class_neighbours import ClassNeighbours, class_neighbours
from evenmatch.pairs._counts import GroupCounts, PairCounts
from evenmatch.pairs._cpu import CpuEngine, available_cores
from evenmatch.pairs._cuda import CudaEngine, gpu_visible
from evenmatch.pairs._dask import DaskEngine
from evenmatch.pairs._extremes import ExtremePair, extreme_pairs
from evenmatch.pairs._grid import ScoreGrid
from evenmatch.pairs._neighbours import Neighbours, nearest_neighbours
from evenmatch.pairs._probe import PassProbe, probe_engine
from evenmatch.pairs._recount import Recount
from evenmatch.pairs._run import ENGINES, Engine, count_pairs, make_engine
from evenmatch.pairs._sample import SampleEngine
from evenmatch.pairs._sampling import Sampling
from evenmatch.pairs._scatter import SampleScatter, sample_scatter
from evenmatch.pairs._unlabeled import UnlabeledCounts, count_unlabeled
from evenmatch.pairs._window import find_thresholds

__all__ = [
    "ENGINES",
    "ClassNeighbours",
    "CpuEngine",
    "CudaEngine",
    "DaskEngine",
    "Engine",
    "ExtremePair",
    "GroupCounts",
    "Neighbours",
    "PairCounts",
    "PassProbe",
    "Recount",
    "SampleEngine",
    "SampleScatter",
    "Sampling",
    "ScoreGrid",
    "UnlabeledCounts",
    "available_cores",
    "class_neighbours",
    "count_pairs",
    "count_unlabeled",
    "extreme_pairs",
    "find_thresholds",
    "gpu_visible",
    "make_engine",
    "nearest_neighbours",
    "probe_engine",
    "sample_scatter",
]
