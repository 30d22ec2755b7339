"""The worst pairs of the worst classes as images, for the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import InputError
from evenmatch.pairs import ExtremePair, extreme_pairs
from evenmatch.report import thumbnail

if TYPE_CHECKING:
    from evenmatch.auditing._audit import Audit

__all__ = ["gallery_of"]

_CLASSES = 12
_PAIRS = 6


def gallery_of(audit: Audit, root: Path, queries: EmbeddingSet, references: EmbeddingSet | None) -> dict[str, Any]:
    """Images of the worst pairs of the twelve classes with the lowest mean utility.

    At most six impostor and six genuine pairs a class, so at most 288 thumbnails, about 1 MB.

    Raises:
        InputError: ``root`` is no folder, the embeddings have no ids, or no id names an image.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the folder that the sample ids are paths under")
    sides = (queries, queries if references is None else references)
    ids = [side.ids for side in sides]
    if ids[0] is None or ids[1] is None:
        raise InputError(
            "the samples have no ids, so no image belongs to them; give ids that are paths under the folder"
        )
    names = [[str(value) for value in column.tolist()] for column in ids if column is not None]
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
        raise InputError(f"no sample id is the path of an image under {root}; check the folder")
    note = (
        f"Of the {len(classes)} classes with the lowest mean utility; each sample appears with its worst partner only."
    )
    return {"classes": classes, "images": images, "note": note + (f" {missing} without image." if missing else "")}
