"""The worst pairs of the worst classes as images, for the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import ExtremePair, extreme_pairs
from evenmatch.report._thumbnails import image_path, thumbnail

if TYPE_CHECKING:
    from evenmatch.auditing._audit import Audit

__all__ = ["gallery_of", "require_images"]

_CLASSES = 12
_PAIRS = 6


def require_images(root: Path, queries: EmbeddingSet, references: EmbeddingSet | None) -> tuple[list[str], list[str]]:
    """The ids of queries and references as text, once it is sure that one of them names a file under the folder.

    Raises:
        InputError: ``root`` is no folder, the embeddings have no ids, or no id is the path of a file.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the folder that the sample ids are paths under")
    ids = queries.ids, queries.ids if references is None else references.ids
    if ids[0] is None or ids[1] is None:
        raise InputError(
            "the samples have no ids, so no image belongs to them; give ids that are paths under the folder"
        )
    names = [str(value) for value in ids[0].tolist()], [str(value) for value in ids[1].tolist()]
    sides = names[:1] if references is None else names
    if all(image_path(root, name) is None for side in sides for name in side):
        raise InputError(f"no sample id is the path of an image under {root}; check the folder")
    return names


def gallery_of(audit: Audit, root: Path, queries: EmbeddingSet, references: EmbeddingSet | None) -> dict[str, Any]:
    """Images of the worst pairs of the twelve classes with the lowest mean utility.

    At most six impostor and six genuine pairs a class, so at most 288 thumbnails, about 1 MB.

    Raises:
        InputError: ``root`` is no folder, the embeddings have no ids, or no id names an image.
    """
    names = require_images(root, queries, references)
    sides = (queries, queries if references is None else references)
    index = {label: code for code, label in enumerate(audit.counts.classes.tolist())}
    images: dict[str, str] = {}
    missing = 0

    def sample(side: int, row: int) -> dict[str, Any]:
        nonlocal missing
        key = f"{side if references is not None else 0}-{row}"
        if key not in images and (image := thumbnail(root, names[side][row])) is not None:
            images[key] = image
        missing += key not in images
        source = sides[side]
        return {"image": key, "id": names[side][row], "class": index[source.classes[source.codes[row]]]}

    def shown(pairs: list[ExtremePair]) -> list[dict[str, Any]]:
        return [{"samples": [sample(0, p.row), sample(1, p.other)], "score": p.score} for p in pairs]

    classes = []
    worst = audit.consistency.defined[
        np.argsort(audit.consistency.class_utility[audit.consistency.defined], kind="stable")[:_CLASSES]
    ]
    for code in worst.tolist():
        impostor, genuine = extreme_pairs(
            queries,
            references,
            label=audit.counts.classes.tolist()[code],
            count=_PAIRS,
            metric=audit.settings.metric,
        )
        classes.append({"class": code, "impostor": shown(impostor), "genuine": shown(genuine)})
    if not images:
        raise InputError(f"no image of the worst classes can be found and decoded under {root}; check its files")
    note = (
        f"Of the {len(classes)} classes with the lowest mean utility; each sample appears with its worst partner only."
    )
    return {"classes": classes, "images": images, "note": note + (f" {missing} without image." if missing else "")}
