"""Reports as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evenmatch.embeddings import EmbeddingSet, atomic_path
from evenmatch.errors import InputError
from evenmatch.report import audit_page

if TYPE_CHECKING:
    from evenmatch.auditing._audit import Audit

__all__ = ["write_audit"]


def write_audit(
    audit: Audit, path: Path, images: Path | None, embeddings: EmbeddingSet | None, ref: EmbeddingSet | None
) -> None:
    """Write the report of one audit, whole or not at all."""
    from evenmatch.auditing._gallery import gallery_of

    if images is not None and embeddings is None:
        raise InputError("images need the embeddings that were audited, to find the worst pairs; pass embeddings=…")
    gallery = None if images is None or embeddings is None else gallery_of(audit, images, embeddings, ref)
    page = audit_page(audit.summary(), audit.counts, audit.consistency, audit.curve, gallery)
    with atomic_path(path) as temporary:
        temporary.write_bytes(page)
