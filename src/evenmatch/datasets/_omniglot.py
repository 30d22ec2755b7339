"""Omniglot: handwritten characters of 50 alphabets, 20 drawings each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from evenmatch.datasets._imageset import ImageSet
from evenmatch.datasets._layout import Layout, choose, nearest
from evenmatch.errors import InputError

__all__ = ["LAYOUT", "omniglot", "splits"]

LAYOUT = Layout(
    title="Omniglot",
    fetch='"images_background.zip", or "images_background_small1.zip" and "images_background_small2.zip" (and '
    '"images_evaluation.zip" for the split "evaluation") from https://github.com/brendenlake/omniglot and unpack them '
    "side by side",
    tree="""
omniglot/
├── images_background/  (or images_background_small1/ and images_background_small2/)
│   ├── Balinese/character01/0108_01.png …
│   └── …
└── images_evaluation/  (optional)
""",
)

_SPLITS = {
    "train": ("Balinese", "Greek", "Japanese_(katakana)", "Korean", "Latin"),
    "test": ("Early_Aramaic", "Sanskrit", "Tagalog"),
    "background": None,
    "evaluation": None,
}


def omniglot(root: str | Path | None, split: str = "train", *, alphabets: Sequence[str] | None = None) -> ImageSet:
    """Read Omniglot with a split by alphabet, so that test characters come from scripts never seen.

    By default Balinese, Greek, Japanese (katakana), Korean and Latin train (161 characters, 3,220 images), and Early
    Aramaic, Sanskrit and Tagalog test (81 characters, 1,620 images): the alphabets of the two small background sets,
    counted there. The official halves are the splits "background" (964 characters) and "evaluation" (659), counts from
    Lake et al., *Human-level concept learning through probabilistic program induction* (Science 2015).

    Args:
        root: folder with images_background, or with images_background_small1 and …_small2; a drawing that is in
            several of them is taken once.
        split: "train", "test", "background" or "evaluation".
        alphabets: take these instead, by the names of their folders.

    Returns:
        The images; labels are "alphabet/character" ("Greek/character01"), groups the alphabet.

    Raises:
        InputError: the root or its folders are missing (says what to fetch), or an alphabet is.
    """
    choose("split of omniglot", split, _SPLITS)
    folder = LAYOUT.folder(root)
    found = _alphabets(folder, "images_evaluation" if split == "evaluation" else "images_background")
    if isinstance(alphabets, str):
        raise InputError(f"alphabets={alphabets!r} of omniglot is one text; pass a list of names")
    wanted = alphabets if alphabets is not None else _SPLITS[split] or sorted(found)
    _require_found(wanted, found, folder)
    paths: list[str] = []
    labels: list[str] = []
    for alphabet in wanted:
        drawings: dict[tuple[str, str], str] = {}
        for copy in found[alphabet]:
            for file in sorted(copy.glob("character*/*.png")):
                drawings.setdefault((file.parent.name, file.name), file.relative_to(folder).as_posix())
        for (character, _), path in sorted(drawings.items()):
            paths.append(path)
            labels.append(f"{alphabet}/{character}")
    return ImageSet("omniglot", split, folder, paths, labels, [label.split("/")[0] for label in labels])


def splits(root: str | Path | None) -> tuple[str, ...]:
    """Return train and test, and evaluation if its folder is there."""
    evaluation = (LAYOUT.folder(root) / "images_evaluation").is_dir()
    return ("train", "test", "evaluation") if evaluation else ("train", "test")


def _alphabets(folder: Path, half: str) -> dict[str, list[Path]]:
    halves = sorted(path for path in folder.glob(f"{half}*") if path.is_dir())
    if not halves:
        small = [f"{half}_small1"] if half == "images_background" else []
        LAYOUT.find(folder, half, *small)  # none is there, so this says what to do
    found: dict[str, list[Path]] = {}
    for path in halves:
        for alphabet in sorted(path.iterdir()):
            if alphabet.is_dir() and not alphabet.name.startswith("."):
                found.setdefault(alphabet.name, []).append(alphabet)
    if not found:
        raise InputError(f"{halves[0]} has no alphabets; {LAYOUT.way_out}")
    return found


def _require_found(wanted: Iterable[str], found: dict[str, list[Path]], folder: Path) -> None:
    for alphabet in wanted:
        if alphabet not in found:
            guess = nearest(alphabet, found)
            meant = f"did you mean {guess!r}? " if guess else ""
            raise InputError(
                f"{folder} has no alphabet {alphabet!r}, only {', '.join(sorted(found))}; {meant}{LAYOUT.way_out}"
            )
