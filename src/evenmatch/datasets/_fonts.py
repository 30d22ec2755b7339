"""The text fonts that matplotlib ships: which letters each one draws, and the drawing itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evenmatch.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

__all__ = ["STYLES", "charted", "draw", "place"]

# Left out: the symbol fonts (STIXSiz*, STIXNonUni*, cmsy10, cmex10, DejaVu*Display), LastResortHE, which maps every
# code point to a box, and the other Computer Modern fonts, whose charmaps place unrelated glyphs beyond ASCII.
STYLES: tuple[str, ...] = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
)

_OVERSAMPLING = 4  # glyphs are drawn and distorted at four times the final resolution, then averaged down
_EM = 22 / 32  # the em in parts of the image's side: one size for all, so that C and c stay different
_FIT = 24 / 32  # ink wider or taller than this is shrunk to it: 24 · 1.1 · (cos 8° + sin 8°) = 29.8 < 32, never cut off
_MARGIN = 2  # empty pixels kept around the ink, so that its edge is interpolated too
_NO_CHARACTER = chr(0x10FFFF)  # a noncharacter: no font maps it, so drawing it shows the font's fallback box


def _path(style: str) -> Path:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{style}.ttf"
    if not path.is_file():
        raise InputError(f"{path} is missing, though matplotlib ships it; reinstall matplotlib from its own package")
    return path


def charted(style: str) -> frozenset[int]:
    """Code points that the charmap of a font maps to a glyph other than .notdef.

    Args:
        style: one of `STYLES`.

    Returns:
        The code points.

    Raises:
        InputError: the font file is missing from matplotlib's data folder.
    """
    from matplotlib.ft2font import FT2Font

    return frozenset(int(code) for code, glyph in FT2Font(str(_path(style))).get_charmap().items() if glyph != 0)


def draw(style: str, characters: Iterable[str], size: int) -> dict[str, Image]:
    """Draw characters undistorted at `_OVERSAMPLING` times the final resolution, cropped to their ink.

    Args:
        style: one of `STYLES`.
        characters: single characters.
        size: side of the final image in pixels; the em is `_EM` of it.

    Returns:
        One grayscale picture per character that the font really draws: characters without ink and those that come out
        as the font's fallback box are absent.

    Raises:
        InputError: the font file is missing from matplotlib's data folder.
    """
    from PIL import ImageFont

    em = round(_OVERSAMPLING * _EM * size)
    # The basic layout is always compiled in and does no substitution of glyphs.
    font = ImageFont.truetype(str(_path(style)), em, layout_engine=ImageFont.Layout.BASIC)
    fallback = _ink(font, _NO_CHARACTER, em)
    drawn: dict[str, Image] = {}
    for character in characters:
        ink = _ink(font, character, em)
        if ink is not None and not (fallback is not None and _same(ink, fallback)):
            drawn[character] = ink
    return drawn


def place(glyph: Image, size: int, angle: float = 0.0, scale: float = 1.0) -> NDArray[np.uint8]:
    """Centre a drawn glyph in an image, turned and scaled about the middle of its ink.

    Args:
        glyph: a picture from `draw`, made for the same `size`.
        size: side of the image in pixels.
        angle: counter-clockwise rotation in degrees.
        scale: factor on the size of the glyph.

    Returns:
        (size, size) image, 0 = paper, 255 = ink.
    """
    from PIL import Image

    side = _OVERSAMPLING * size
    extent = max(glyph.width, glyph.height) - 2 * _MARGIN
    factor = scale * min(1.0, _FIT * side / extent)
    # Pillow asks for the map from output to input: (x, y) -> (a x + b y + c, d x + e y + f), y pointing down.
    cos, sin = math.cos(math.radians(angle)) / factor, math.sin(math.radians(angle)) / factor
    half = side / 2
    inverse = (
        *(cos, -sin, glyph.width / 2 - cos * half + sin * half),
        *(sin, cos, glyph.height / 2 - sin * half - cos * half),
    )
    moved = glyph.transform(
        (side, side), Image.Transform.AFFINE, inverse, resample=Image.Resampling.BILINEAR, fillcolor=0
    )
    return np.asarray(moved.reduce(_OVERSAMPLING), dtype=np.uint8)


def _ink(font: FreeTypeFont, character: str, em: int) -> Image | None:
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (4 * em, 3 * em))
    ImageDraw.Draw(canvas).text((2 * em, 2 * em), character, fill=255, font=font, anchor="ms")
    box = canvas.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    return canvas.crop((left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN))


def _same(a: Image, b: Image) -> bool:
    return a.size == b.size and a.tobytes() == b.tobytes()
