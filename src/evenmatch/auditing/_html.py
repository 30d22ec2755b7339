"""Reports as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evenmatch.auditing._run import fingerprint_of
from evenmatch.embeddings import EmbeddingSet, atomic_path
from evenmatch.errors import InputError
from evenmatch.report import ComparedModel, audit_page, compare_page

if TYPE_CHECKING:
    import pandas as pd

    from evenmatch.auditing._audit import Audit
    from evenmatch.auditing._comparison import Comparison

__all__ = ["write_audit", "write_comparison"]

#: classes; the search among their centres takes seconds then
_MOST_CLASSES = 20_000


def write_audit(
    audit: Audit, path: Path, images: Path | None, embeddings: EmbeddingSet | None, ref: EmbeddingSet | None
) -> None:
    """Write the report of one audit, whole or not at all."""
    from evenmatch.auditing._gallery import gallery_of

    if images is not None and embeddings is None:
        raise InputError("images need the embeddings that were audited, to find the worst pairs; pass embeddings=…")
    if embeddings is not None and fingerprint_of(embeddings, ref) != audit.data.fingerprint:
        raise InputError("these embeddings are not those of the audit; give the ones it was made from")
    gallery = None if images is None or embeddings is None else gallery_of(audit, images, embeddings, ref)
    page = audit_page(
        audit.summary(), audit.counts, audit.consistency, audit.curve, gallery, _confusable(audit, embeddings, ref)
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(page)


def _confusable(audit: Audit, data: EmbeddingSet | None, ref: EmbeddingSet | None) -> pd.DataFrame | None:
    """The pairs of classes that are taken for each other most easily, where that is cheap to say."""
    if data is None or ref is not None or audit.is_estimate or audit.counts.classes.size > _MOST_CLASSES:
        return None
    return audit.confusable(data)


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the report of a comparison, whole or not at all."""
    models = {
        name: ComparedModel(audit.counts, audit.consistency, audit.curve) for name, audit in comparison.audits.items()
    }
    page = compare_page(comparison.summary(), models)
    with atomic_path(path) as temporary:
        temporary.write_bytes(page)
