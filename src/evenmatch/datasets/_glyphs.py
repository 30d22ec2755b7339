"""`glyphs`: an open-world data set that needs no download, drawn from the fonts that matplotlib ships."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evenmatch.datasets import _fonts, _lookalikes
from evenmatch.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Glyphs", "glyphs"]

_TRAIN = ("Latin",)
_TEST = ("Greek", "Cyrillic", "Armenian", "Georgian")
_SPLITS: dict[str, tuple[str, ...]] = {"test": _TEST, "train": _TRAIN, "all": _TRAIN + _TEST}

_MIN_STYLES = 8  # 28 genuine pairs a class, and the letters that only one family of four draws are rare ones
_LOOK_ALIKE = 0.05  # see `glyphs` for what it is measured on, and why so much
_SELECTION_SIZE = 32  # look-alikes are judged at one size, so that every `size` has the same classes
_MIN_SIZE = 16
_ROTATION = 8.0  # degrees, either way
_SCALE = (0.9, 1.1)

# Latin Extended Additional and Greek Extended (Vietnamese, transliteration, polytonic): a few letters under dozens of
# marks of a few pixels each, which would outweigh everything else in their script.
_STACKED_MARKS = range(0x1E00, 0x2000)


@dataclass(frozen=True, eq=False, repr=False)
class Glyphs:
    """Images of characters with class, script and style; what `glyphs` returns.

    Attributes:
        images: (n, size, size) uint8, 0 = paper, 255 = ink.
        labels: (n,) class of each image: the character and its code point, "α U+03B1".
        groups: (n,) script: "Latin", "Greek", "Cyrillic", "Armenian" or "Georgian".
        styles: (n,) font file that drew it: "DejaVuSerif-BoldItalic".
        ids: (n,) unique name: code point, style and number of the copy, "U+03B1/DejaVuSans/0".
        dropped: (dropped character, the kept one that it looks like), for every look-alike of the split's scripts.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    styles: NDArray[np.str_]
    ids: NDArray[np.str_]
    dropped: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"<Glyphs: {self.describe()}>"

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def classes(self) -> NDArray[np.str_]:
        """(K,) the distinct labels, sorted."""
        return np.unique(self.labels)

    @property
    def roles(self) -> None:
        """None: every image is compared with every other."""
        return

    def open(self, row: int) -> Image:
        """Return one image for Pillow, in grayscale."""
        from PIL import Image

        return Image.fromarray(self.images[row])

    def subset(self, rows: Any) -> Glyphs:
        """Return the images of a boolean mask (n,), of indices or of a slice, in that order."""
        columns = ("images", "labels", "groups", "styles", "ids")
        return replace(self, **{column: getattr(self, column)[rows] for column in columns})

    def summary(self) -> dict[str, Any]:
        """Count what is there and what was dropped.

        Returns:
            JSON-safe dict: images, classes, classes_by_script, styles, min_styles and max_styles of a class, dropped,
            and dropped_by_script {script: {script of the character kept instead: number}}.

        Examples:
            >>> from evenmatch.datasets import glyphs
            >>> sorted(glyphs("test").summary()["classes_by_script"])
            ['Armenian', 'Cyrillic', 'Georgian', 'Greek']
        """
        scripts = dict(zip(self.labels.tolist(), self.groups.tolist(), strict=True))
        pairs = Counter(zip(self.labels.tolist(), self.styles.tolist(), strict=True))
        per_class = Counter(label for label, _ in pairs)
        dropped: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for gone, kept in self.dropped:
            dropped[_script(gone)][_script(kept)] += 1
        return {
            "images": len(self),
            "classes": len(scripts),
            "classes_by_script": dict(Counter(scripts.values())),
            "styles": len({style for _, style in pairs}),
            "min_styles": min(per_class.values()),
            "max_styles": max(per_class.values()),
            "dropped": len(self.dropped),
            "dropped_by_script": {script: dict(counts) for script, counts in dropped.items()},
        }

    def describe(self) -> str:
        """Say the summary in a sentence.

        Returns:
            One line of text.
        """
        facts = self.summary()
        scripts = ", ".join(f"{count} {script}" for script, count in facts["classes_by_script"].items())
        favour: Counter[str] = sum((Counter(kept) for kept in facts["dropped_by_script"].values()), Counter())
        instead = ", ".join(f"{count} {script}" for script, count in favour.most_common())
        return (
            f"{facts['images']:,} images of {facts['classes']} characters ({scripts}) in {facts['styles']} styles, "
            f"{facts['min_styles']} to {facts['max_styles']} a character; "
            f"{facts['dropped']} look-alikes dropped, each for a character kept ({instead})"
        )


def glyphs(
    split: str = "test",
    *,
    size: int = 32,
    seed: int = 0,
    copies: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Glyphs:
    """Draw the open-world character data set: train on Latin, test on scripts never seen.

    A class is a character, its group the script, its samples the font styles that really draw it (16 text fonts: three
    DejaVu families and STIX, each in four weights and slants). Every image is turned by up to ±8° and scaled by 0.9 to
    1.1, both uniform and drawn from (seed, code point, style, copy), so an image does not depend on what else is drawn.
    All characters share one em (22/32 of the image) and are centred on their ink, so C and c differ in size; ink
    wider or taller than 24/32 of the image is shrunk to that. The bytes depend on the FreeType and the fonts installed.

    Characters: letters (Unicode category L, no modifiers) of the five scripts by `unicodedata.name`, drawn in at least
    8 styles. Not taken: letters with a compatibility decomposition (digraphs such as ǆ, ligatures such as և, symbol
    variants such as ϑ), canonical duplicates, and Latin Extended Additional and Greek Extended, where a few letters
    come under dozens of marks of a few pixels.

    Look-alikes: two characters share their rendering iff in any style that draws both, their undistorted, centred
    32 × 32 images satisfy `‖a − b‖² / max(‖a‖², ‖b‖²) ≤ 0.05`. Up to 0.05, what differs is a mark of a few pixels (Ö
    and Ŏ in bold), far less than the 0.2 between two distortions of one picture (median); beyond 0.1, letters can be
    told apart at a glance. Of look-alikes one stays, in the order Latin, Greek, Cyrillic, Armenian, Georgian, then by
    number of styles, then by code point. Latin comes first because the training alphabet stays whole that way, and
    because it costs test classes and not their novelty: no test character looks like any training character, and more
    than 300 remain.

    Args:
        split: "test" (Greek, Cyrillic, Armenian, Georgian), "train" (Latin) or "all".
        size: side of the images in pixels, at least 16; the classes are the same at every size.
        seed: seed of the distortions, not negative.
        copies: independent distortions of each character in each style, at least 1.
        progress: called as progress(images drawn, images in all) after each style.

    Returns:
        The images with labels, groups, styles and ids, ordered by script, code point, style and copy.

    Raises:
        InputError: unknown split, size, seed or copies out of range, or a font missing from matplotlib's data folder.

    Examples:
        >>> from evenmatch.datasets import glyphs
        >>> data = glyphs("train", seed=1)
        >>> data.images.shape[1:], data.labels.tolist()[0], data.ids.tolist()[0]
        ((32, 32), 'A U+0041', 'U+0041/DejaVuSans/0')
    """
    if split not in _SPLITS:
        known = ", ".join(f'"{name}"' for name in _SPLITS)
        raise InputError(f"there is no split {split!r} of glyphs; choose one of {known}")
    for name, value, least in (("size", size, _MIN_SIZE), ("seed", seed, 0), ("copies", copies, 1)):
        if not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name}={value!r} of glyphs must be a whole number of at least {least}")

    scripts = _SPLITS[split]
    selection = _select()
    # Each entry is one class and style; entries are in the order of the result, drawing goes style by style.
    entries = [
        (character, style)
        for character, styles in sorted(selection.kept.items(), key=lambda item: _by_script(item[0]))
        if _script(character) in scripts
        for style in styles
    ]
    images = np.empty((len(entries), copies, size, size), dtype=np.uint8)
    drawn = 0
    for number, style in enumerate(_fonts.STYLES):
        positions = {character: i for i, (character, drawn_in) in enumerate(entries) if drawn_in == style}
        for character, glyph in _fonts.draw(style, positions, size).items():
            for copy in range(copies):
                key = (seed, ord(character), number, copy)
                images[positions[character], copy] = _distorted(glyph, size, key)
        drawn += len(positions) * copies
        if progress is not None:
            progress(drawn, len(entries) * copies)

    return Glyphs(
        images=images.reshape(-1, size, size),
        labels=np.repeat([f"{character} {_code(character)}" for character, _ in entries], copies),
        groups=np.repeat([_script(character) for character, _ in entries], copies),
        styles=np.repeat([style for _, style in entries], copies),
        ids=np.array([f"{_code(character)}/{style}/{copy}" for character, style in entries for copy in range(copies)]),
        dropped=tuple(pair for pair in selection.dropped if _script(pair[0]) in scripts),
    )


@dataclass(frozen=True)
class _Selection:
    """Characters kept, each with its styles, and (dropped, kept instead) for the look-alikes."""

    kept: dict[str, tuple[str, ...]]
    dropped: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def _select() -> _Selection:
    charted = {style: _fonts.charted(style) for style in _fonts.STYLES}
    counts = Counter(code for codes in charted.values() for code in codes)
    candidates = [chr(code) for code, n in counts.items() if n >= _MIN_STYLES and _is_candidate(chr(code))]

    flat: dict[str, dict[str, NDArray[np.uint8]]] = {}
    styles_of: defaultdict[str, list[str]] = defaultdict(list)
    for style, codes in charted.items():
        drawn = _fonts.draw(style, [c for c in candidates if ord(c) in codes], _SELECTION_SIZE)
        flat[style] = {character: _fonts.place(glyph, _SELECTION_SIZE) for character, glyph in drawn.items()}
        for character in drawn:
            styles_of[character].append(style)

    preferred = sorted(
        (character for character, styles in styles_of.items() if len(styles) >= _MIN_STYLES),
        key=lambda character: (_by_script(character)[0], -len(styles_of[character]), character),
    )
    kept, dropped = _lookalikes.keep_distinct(
        _lookalikes.nearest_rendering(len(preferred), _stacks(preferred, flat.values())), _LOOK_ALIKE
    )
    return _Selection(
        kept={preferred[i]: tuple(styles_of[preferred[i]]) for i in kept},
        dropped=tuple((preferred[i], preferred[j]) for i, j in dropped.items()),
    )


def _stacks(
    characters: list[str], flat: Iterable[dict[str, NDArray[np.uint8]]]
) -> Iterable[tuple[list[int], NDArray[np.uint8]]]:
    for images in flat:
        indices = [i for i, character in enumerate(characters) if character in images]
        yield indices, np.stack([images[characters[i]] for i in indices])


def _is_candidate(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo")
        and _script(character) in _SPLITS["all"]
        and not unicodedata.decomposition(character).startswith("<")
        and unicodedata.normalize("NFC", character) == character
        and ord(character) not in _STACKED_MARKS
    )


def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ")[0].capitalize()


def _by_script(character: str) -> tuple[int, str]:
    return _SPLITS["all"].index(_script(character)), character


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _distorted(glyph: Image, size: int, key: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    random = np.random.default_rng(key)
    return _fonts.place(glyph, size, random.uniform(-_ROTATION, _ROTATION), random.uniform(*_SCALE))
