"""Embedding images with a trained network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from evenmatch import datasets
from evenmatch.auditing import Audit, audit, progress_bar
from evenmatch.datasets import Images
from evenmatch.embeddings import EmbeddingSet
from evenmatch.errors import ArtefactError, InputError
from evenmatch.training._build import build_from_config
from evenmatch.training._checkpoints import load_checkpoint
from evenmatch.training._config import AuditConfig, DataConfig, ImageConfig, TrainConfig
from evenmatch.training._config_file import load_config
from evenmatch.training._network import EmbeddingNet
from evenmatch.training._pixels import BatchSource
from evenmatch.training._read import readable
from evenmatch.training._sampler import OrderedBatches

__all__ = ["audit_embeddings", "embed_images", "embed_with_run", "in_one_line", "load_network"]

CONFIG_FILE = "config.yaml"


def embed_images(
    network: EmbeddingNet,
    images: Images,
    settings: ImageConfig,
    *,
    batch_size: int = 256,
    workers: int = 0,
    device: torch.device | str = "cpu",
    name: str = "",
    progress: Callable[[float], None] | None = None,
) -> EmbeddingSet:
    """Embed images in their order.

    Args:
        network: images to vectors; left in evaluation mode, on `device`.
        images: any data set.
        settings: how images become tensors; nothing is done at random.
        batch_size: images embedded at a time.
        workers: processes that load images.
        device: where to compute.
        name: of the set, for reports.
        progress: called with the share done.

    Returns:
        Unit vectors (n, dim) float32 with labels, groups and ids.

    Raises:
        InputError: an image cannot be decoded.
    """
    network.to(device).eval()
    codes = np.searchsorted(images.classes, images.labels)
    source = BatchSource(images, codes, _uncached(settings), augment=False)
    loader: DataLoader[Any] = DataLoader(
        source,
        batch_size=None,
        sampler=OrderedBatches(images.n, batch_size),
        num_workers=workers,  # type: ignore[arg-type]
    )
    vectors = np.empty((images.n, network.dim), dtype=np.float32)
    done = 0
    with torch.inference_mode(), in_one_line():
        for batch in loader:
            embeddings = network(batch["images"].to(device)).float().cpu().numpy()
            vectors[done : done + len(embeddings)] = embeddings
            done += len(embeddings)
            if progress is not None:
                progress(done / images.n)
    return EmbeddingSet.from_arrays(vectors, images.labels, groups=images.groups, ids=images.ids, name=name)


@contextmanager
def in_one_line() -> Iterator[None]:
    """Keep of an error that a process which loads images sends, with its traceback, the message alone."""
    try:
        yield
    except InputError as error:
        if "Traceback" in str(error):
            raise InputError(str(error).strip().splitlines()[-1].partition("Error: ")[2]) from error
        raise


def audit_embeddings(embeddings: EmbeddingSet, roles: Any, settings: AuditConfig, **options: Any) -> Audit:
    """Audit embeddings as a run does: queries against the gallery where `roles` (n,) tell them apart."""
    chosen = {"far": settings.far, "beta": settings.beta, "eps": settings.eps, **options}
    if roles is None:
        return audit(embeddings, **chosen)
    query = np.asarray(roles) == "query"
    return audit(embeddings.subset(query), ref=embeddings.subset(~query), **chosen)


def load_network(run: str | Path, checkpoint: str = "last") -> tuple[EmbeddingNet, TrainConfig]:
    """The trained network of a run folder, and the run's configuration.

    Args:
        run: folder that `train` made.
        checkpoint: "last" or "best".

    Raises:
        InputError: the folder holds no run, or has no such checkpoint.
        ArtefactError: a file in it is damaged.

    Examples:
        >>> from evenmatch.training import load_network
        >>> network, config = load_network("runs/omniglot")  # doctest: +SKIP
    """
    folder = Path(run)
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder} holds no run (it has no {CONFIG_FILE}); give a folder that evenmatch train made")
    config = load_config(folder / CONFIG_FILE)
    path = folder / f"{checkpoint}.ckpt"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.ckpt"))
        raise InputError(f"{folder} has no checkpoint {checkpoint!r}; it has {', '.join(known) or 'none yet'}")
    states = load_checkpoint(path)["state_dict"]
    network = build_from_config(config, pretrained=False)
    prefix = "network."
    weights = {name.removeprefix(prefix): value for name, value in states.items() if name.startswith(prefix)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:160]
        raise ArtefactError(f"{path} does not fit {folder / CONFIG_FILE} ({detail}); restore either") from error
    return network.eval(), config


def embed_with_run(
    run: str | Path,
    data: str | None = None,
    *,
    root: str | Path | None = None,
    split: str | None = None,
    role: str | None = None,
    checkpoint: str = "last",
    device: str = "auto",
    workers: int = 0,
    skip_bad: bool = False,
    say: Callable[[str], None] = print,
    progress: bool | Callable[[float], None] = False,
) -> EmbeddingSet:
    """Embed a data set with the network of a run.

    All images are decoded once before, so that a damaged one at the end does not lose the others; those of the run
    itself only if it did so, too (``data.check``).

    Args:
        run: folder that `train` made.
        data: a data set by name (with `root`), a folder of classes, a .csv or .parquet manifest; None for the data of
            the run itself.
        root: where a data set by name lies; of the run's own data, if it has moved.
        split: of the data; None takes the run's test split, "test" of a data set by name, and all of a folder or
            manifest that has no test split.
        role: only the images of this role, "query" or "gallery".
        checkpoint: "last" or "best".
        device: "auto" for a GPU if there is one, or as torch calls it.
        workers: processes that load images.
        skip_bad: leave out images that cannot be decoded, rather than stop.
        say: where to tell which were left out.
        progress: True for a bar on stderr, or a function of the share done in [0, 1], of the look at the images and
            then of the embedding.

    Raises:
        InputError: the run or the data cannot be read, images cannot be decoded, or the device cannot be used.

    Examples:
        >>> from evenmatch.training import embed_with_run
        >>> embeddings = embed_with_run("runs/omniglot", "photos/")  # doctest: +SKIP
    """
    network, config = load_network(run, checkpoint)
    images = _images(config.data, data, root, split)
    if role is not None:
        images = _with_role(images, role)
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        network.to(chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used ({str(error).splitlines()[0]}); use auto or cpu") from error
    if data is not None or config.data.check:
        images = readable(images, skip_bad, say, progress)
    with progress_bar("Embedding", progress) as report:
        return embed_images(
            network,
            images,
            config.image,
            batch_size=config.audit.batch_size,
            workers=workers,
            device=chosen,
            name=f"{Path(run).resolve().name} on {data or config.data.name}",
            progress=report,
        )


def _images(own: DataConfig, data: str | None, root: str | Path | None, split: str | None) -> Images:
    if data is None:
        return datasets.build(own.name, root or own.root, split or own.test, **own.options)
    if data in datasets.names():
        return datasets.build(data, root, split or "test")
    if Path(data).suffix.lower() in (".csv", ".parquet"):
        return _first_split("manifest", data, split)
    if Path(data).is_dir():
        return _first_split("folders", data, split)
    raise InputError(
        f"{data!r} is neither a data set ({', '.join(datasets.names())}) nor a folder of classes nor a manifest; "
        "check the path"
    )


def _first_split(name: str, root: str, split: str | None) -> Images:
    if split is None:
        entry = next(entry for entry in datasets.catalogue() if entry.name == name)
        split = "test" if any(part.split == "test" for part in entry.parts_in(root, {})) else "all"
    return datasets.build(name, root, split)


def _with_role(images: Images, role: str) -> Images:
    if images.roles is None or role not in images.roles:
        raise InputError(f"the data has no role {role!r}; leave --role out")
    return images.subset(np.asarray(images.roles) == role)


def _uncached(settings: ImageConfig) -> ImageConfig:
    """Each image is seen once, so there is nothing to keep."""
    return settings.model_copy(update={"cache": False})
