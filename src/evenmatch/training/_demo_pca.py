"""The demo without training: principal components of Latin characters, audited on scripts that they have never seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evenmatch.auditing import Audit, audit
from evenmatch.datasets import Glyphs, glyphs
from evenmatch.embeddings import EmbeddingSet, save
from evenmatch.training._demo_files import make_folder, write_audit

__all__ = ["PCADemo", "run_pca_demo"]

_COMPONENTS = 64


@dataclass(frozen=True)
class PCADemo:
    """The demo's audit and the files that it wrote."""

    audit: Audit
    files: tuple[Path, ...]


def run_pca_demo(out: Path, *, seed: int = 0, say: Callable[[str], None] = print) -> PCADemo:
    """Render glyphs, fit PCA on the Latin ones, audit the embeddings of the others and write everything to a folder.

    Args:
        out: folder to write to; made if need be.
        seed: of the rendering and of the fit.
        say: where to tell what is being done.

    Raises:
        InputError: the folder cannot be made.
    """
    make_folder(out)
    say("Rendering characters from the fonts that matplotlib ships …")
    train, test = glyphs("train", seed=seed), glyphs("test", seed=seed)
    for data in (train, test):
        say(f"  {data.describe()}")
    say(f"Fitting {_COMPONENTS} principal components of the pixels on Latin alone …")
    embeddings = EmbeddingSet.from_arrays(
        _pca(train, test, seed), test.labels, groups=test.groups, ids=test.ids, name="PCA of unseen glyphs"
    )
    say("Auditing every pair of unseen characters …")
    result = audit(embeddings)

    save(out / "embeddings.npz", embeddings)
    return PCADemo(result, (out / "embeddings.npz", *write_audit(result, out)))


def _pca(train: Glyphs, test: Glyphs, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    pixels = [data.images.reshape(len(data), -1).astype(np.float32) / 255 for data in (train, test)]
    model = PCA(_COMPONENTS, svd_solver="randomized", random_state=seed).fit(pixels[0])
    return model.transform(pixels[1]).astype(np.float32)
