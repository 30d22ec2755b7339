"""Images of a folder as small JPEG data URLs."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path

__all__ = ["image_path", "thumbnail"]

_SIDE = 112  # pixels
_QUALITY = 70


def image_path(root: Path, name: str) -> Path | None:
    """The file of that name under the folder; None if there is none, or if it lies elsewhere."""
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root.resolve()) and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links, a NUL
        return None


def thumbnail(root: Path, name: str) -> str | None:
    """One image, at most 112 pixels a side, turned as its camera said and stripped of everything but its pixels.

    Args:
        root: the folder that ``name`` is relative to; nothing outside of it is opened.
        name: the path of the image.

    Returns:
        A ``data:`` URL, or None if there is no such image or it cannot be decoded.
    """
    from PIL import Image, ImageOps

    path = image_path(root, name)
    if path is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.draft("RGB", (2 * _SIDE, 2 * _SIDE))
                small = ImageOps.exif_transpose(image)
                small.thumbnail((_SIDE, _SIDE))
                flat = Image.new("RGB", small.size, "white")
                with_alpha = small.convert("RGBA")
                flat.paste(with_alpha, mask=with_alpha.getchannel("A"))
    except Exception:  # Pillow raises a dozen unrelated types on damaged bytes
        return None
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
