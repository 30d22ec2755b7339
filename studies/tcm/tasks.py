"""The three tasks of the study: what is trained on, what it is judged on, and which network does it."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import yaml
from torch import Tensor, nn

import evenmatch as em
from evenmatch import datasets
from evenmatch.datasets import Images
from evenmatch.training import build_network
from evenmatch.training._config import ImageConfig
from evenmatch.training._pixels import BatchSource
from evenmatch.training._sampler import BatchPlan

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVENMATCH_DATA", HERE.parents[2] / "shared" / "data"))
STUDY: dict[str, Any] = yaml.safe_load((HERE / "study.yaml").read_text(encoding="utf-8"))
if "EVENMATCH_STUDY" in os.environ:  # a file whose entries take the place of those
    STUDY |= yaml.safe_load(Path(os.environ["EVENMATCH_STUDY"]).read_text(encoding="utf-8"))


class Inputs(Protocol):
    """What a network sees of some rows; with seeds, distorted at random."""

    def __call__(self, rows: np.ndarray, seeds: np.ndarray | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Task:
    """Samples with classes, and which of them are for training and for the test.

    Attributes:
        name: of the data set.
        labels: class of each sample, ``(n,)``.
        groups: domain of each sample (alphabet, script, domain of intents), ``(n,)``.
        train: rows of the training classes.
        test: rows of the test classes, which no choice looks at.
        inputs: see `Inputs`.
        features: values per sample where the inputs are vectors; None for images.
    """

    name: str
    labels: np.ndarray
    groups: np.ndarray
    train: np.ndarray
    test: np.ndarray
    inputs: Inputs
    features: int | None = None

    def network(self, dim: int) -> nn.Module:
        """A fresh network, drawn from torch's generator."""
        sizes = STUDY["network"]
        if self.features is not None:
            return nn.Linear(self.features, dim)
        return build_network("conv4", channels=1, pooling="flatten", dim=dim, size=28, width=sizes["width"])

    def split(self, rows: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of most classes, and those of a share of them, by class."""
        classes = np.unique(self.labels[rows])
        chosen = np.random.default_rng(seed).permutation(classes)[: round(share * len(classes))]
        held = np.isin(self.labels[rows], chosen)
        return rows[~held], rows[held]


def load(name: str, scratch: Path) -> Task:
    """A task by name; archives are unpacked into the scratch folder.

    Raises:
        InputError: the data is not there; says where it is looked for.
    """
    match name:
        case "omniglot":
            return _omniglot(scratch)
        case "glyphs":
            return _drawn("glyphs", datasets.build("glyphs", None, "all", size=32), invert=False)
        case _:
            return _clinc150()


def available() -> list[str]:
    """Tasks whose data is at hand: glyphs always, the others in the folder that EVENMATCH_DATA names."""
    there = {
        "omniglot": (DATA / "omniglot").is_dir(),
        "glyphs": True,
        "clinc150": (DATA / "clinc150_minilm.npz").is_file(),
    }
    return [name for name in STUDY["data"] if there[name]]


def _drawn(name: str, images: Images, invert: bool) -> Task:
    plan = STUDY["data"][name]
    settings = ImageConfig(
        size=28, resize=None, channels=1, augment="affine", mean=[0.5], std=[0.5], invert=invert, cache=True
    )
    codes = np.searchsorted(images.classes, images.labels)
    moving, still = (BatchSource(images, codes, settings, augment=augment) for augment in (True, False))

    def inputs(rows: np.ndarray, seeds: np.ndarray | None = None) -> Tensor:
        return (still if seeds is None else moving)[BatchPlan(rows, seeds)]["images"]

    groups = np.asarray(images.groups)
    train, test = (np.flatnonzero(np.isin(groups, plan[part])) for part in ("train", "test"))
    return Task(name, np.asarray(images.labels), groups, train, test, inputs)


def _omniglot(scratch: Path) -> Task:
    root = DATA / "omniglot"
    if not any(root.glob("images_background*/")):
        for archive in sorted(root.glob("images_background*.zip")):
            if not (scratch / "omniglot" / archive.stem).is_dir():
                with zipfile.ZipFile(archive) as file:
                    file.extractall(scratch / "omniglot")
        root = scratch / "omniglot"
    plan = STUDY["data"]["omniglot"]
    return _drawn("omniglot", datasets.build("omniglot", root, "train", alphabets=plan["train"] + plan["test"]), True)


def _clinc150() -> Task:
    """Sentence embeddings of a fixed model; only a small head on top is trained."""
    plan = STUDY["data"]["clinc150"]
    data = em.load(DATA / "clinc150_minilm.npz")
    rng = np.random.default_rng(0)
    known = rng.permutation(data.classes)[: round(plan["train_share"] * len(data.classes))]
    kept = np.sort(np.concatenate([rng.permutation(np.flatnonzero(data.codes == code))[: plan["per_class"]]
                                   for code in range(len(data.classes))]))  # fmt: skip
    vectors = torch.from_numpy(np.asarray(data.vectors[kept], np.float32))
    vectors = nn.functional.normalize(vectors) * data.dim**0.5  # values of about 1
    is_train = np.isin(data.labels[kept], known)

    def inputs(rows: np.ndarray, seeds: np.ndarray | None = None) -> Tensor:
        batch = vectors[torch.from_numpy(rows)]
        if seeds is None:
            return batch
        generator = torch.Generator().manual_seed(int(seeds[0]))
        return batch * (torch.rand(batch.shape, generator=generator) >= 0.1)  # so that no sentence is learnt by heart

    groups = np.asarray(data.groups)[kept]
    return Task(
        "clinc150", data.labels[kept], groups, np.flatnonzero(is_train), np.flatnonzero(~is_train), inputs, data.dim
    )
