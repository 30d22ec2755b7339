"""Decoding image files, one by one or all of them to find the damaged ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from evenmatch.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["failures", "load"]

_BLOCK = 1024  # images handed to the threads at a time, so that neither futures nor results pile up


def load(file: Path) -> Image:
    """Return an image, decoded.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
            return image
    except Exception as error:  # Pillow raises a dozen unrelated types on damaged bytes
        raise InputError(f"{file} {_reason(error)}; restore it from the archive, or leave it out") from error


def failures(
    files: Sequence[Path],
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, str]:
    """Return {index: reason} of the files that are missing or cannot be decoded.

    Args:
        files: image files.
        threads: how many are decoded at a time; by default one per processor.
        progress: called as progress(done, in all) after each block of 1,024.
    """
    failed: dict[int, str] = {}
    with ThreadPoolExecutor(max_workers=threads or os.cpu_count() or 1) as pool:
        for start in range(0, len(files), _BLOCK):
            block = files[start : start + _BLOCK]
            for offset, reason in enumerate(pool.map(_failure, block)):
                if reason is not None:
                    failed[start + offset] = reason
            if progress is not None:
                progress(start + len(block), len(files))
    return failed


def _failure(file: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.verify()  # checks what the format can check without decoding, such as the sums of a PNG
        with Image.open(file) as image:
            image.draft("L", (1, 1))  # a JPEG is decoded at an eighth of its size: as telling, several times faster
            image.load()  # a JPEG that was cut short passes verify
    except Exception as error:  # Pillow raises a dozen unrelated types on damaged bytes
        return _reason(error)
    return None


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    if isinstance(error, UnidentifiedImageError):
        return "is no image of a known format"
    return f"cannot be decoded ({' '.join(str(error).split())[:120] or type(error).__name__})"
