"""Data sets read from their official layout, and the embedded `glyphs`."""

from evenmatch.datasets._glyphs import Glyphs, glyphs

__all__ = ["Glyphs", "glyphs"]
