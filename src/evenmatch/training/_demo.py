"""The demo: a model fitted on Latin characters, audited on scripts that it has never seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evenmatch.auditing import Audit, audit
from evenmatch.datasets import Glyphs, glyphs
from evenmatch.embeddings import EmbeddingSet, atomic_path, save
from evenmatch.errors import InputError

__all__ = ["DemoResult", "run_demo"]

_COMPONENTS = 64


@dataclass(frozen=True)
class DemoResult:
    """The demo's audit and the files that it wrote."""

    audit: Audit
    files: tuple[Path, ...]


def run_demo(out: Path, *, seed: int = 0, say: Callable[[str], None] = print) -> DemoResult:
    """Render glyphs, fit PCA on the Latin ones, audit the embeddings of the others and write everything to a folder.

    Args:
        out: folder to write to; made if need be.
        seed: of the rendering and of the fit.
        say: where to tell what is being done.

    Raises:
        InputError: the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}); choose another folder with --out") from error
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

    files = (out / "embeddings.npz", out / "audit.json", out / "run.audit", out / "by_class.csv")
    save(files[0], embeddings)
    with atomic_path(files[1]) as temporary:
        text = json.dumps(result.summary(), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    result.save(files[2])
    with atomic_path(files[3]) as temporary:
        result.by_class.to_csv(temporary)
    return DemoResult(result, (*files, *_figures(result, out)))


def _pca(train: Glyphs, test: Glyphs, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    pixels = [data.images.reshape(len(data), -1).astype(np.float32) / 255 for data in (train, test)]
    model = PCA(_COMPONENTS, svd_solver="randomized", random_state=seed).fit(pixels[0])
    return model.transform(pixels[1]).astype(np.float32)


def _figures(result: Audit, out: Path) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    paths = []
    for name, draw in (("utility", result.plot.utility), ("rates", result.plot.rates), ("det", result.plot.det)):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        draw(ax=figure.add_subplot())
        paths.append(out / f"{name}.png")
        with atomic_path(paths[-1]) as temporary:
            figure.savefig(temporary, dpi=200)
    return paths
