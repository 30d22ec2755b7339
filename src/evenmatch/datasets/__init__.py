"""Data sets read from their official layout, and the embedded `glyphs`."""

from evenmatch.datasets._cars import cars
from evenmatch.datasets._check import CheckReport, SplitCheck, check
from evenmatch.datasets._cub import cub
from evenmatch.datasets._folders import folders
from evenmatch.datasets._glyphs import Glyphs, glyphs
from evenmatch.datasets._images import Images, require_disjoint
from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._inaturalist import inaturalist
from evenmatch.datasets._inshop import inshop
from evenmatch.datasets._manifest import manifest
from evenmatch.datasets._omniglot import omniglot
from evenmatch.datasets._registry import DataSet, Part, build, catalogue, names
from evenmatch.datasets._sop import sop
from evenmatch.datasets._vehicleid import vehicleid

__all__ = [
    "CheckReport",
    "DataSet",
    "Glyphs",
    "ImageSet",
    "Images",
    "Part",
    "SplitCheck",
    "build",
    "cars",
    "catalogue",
    "check",
    "cub",
    "folders",
    "glyphs",
    "inaturalist",
    "inshop",
    "manifest",
    "names",
    "omniglot",
    "require_disjoint",
    "sop",
    "vehicleid",
]
