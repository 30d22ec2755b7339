"""Data sets read from their official layout, and the embedded `glyphs`."""
