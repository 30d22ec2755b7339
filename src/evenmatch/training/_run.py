"""A training run: from a configuration to a folder."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from evenmatch.auditing import Audit
from evenmatch.embeddings import EmbeddingSet, save
from evenmatch.errors import InputError
from evenmatch.training._audit_callback import AuditCallback
from evenmatch.training._build import build_learner, resolved
from evenmatch.training._checkpoints import AtomicCheckpoints, load_checkpoint
from evenmatch.training._config import TrainConfig
from evenmatch.training._config_file import load_config, write_config
from evenmatch.training._data import RetrievalData
from evenmatch.training._embed import CONFIG_FILE, audit_embeddings, embed_images, in_one_line, load_network
from evenmatch.training._metrics_csv import MetricsCSV
from evenmatch.training._read import read_images

__all__ = ["RunResult", "resume", "train"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: with config.yaml, metrics.csv, last.ckpt (and best.ckpt where there was validation), run.audit, and
            test.npz (test_query.npz and test_gallery.npz where the data tell them apart).
        embeddings: of the test images.
        audit: of those.
        seconds: spent on training, in this call.
    """

    folder: Path
    embeddings: EmbeddingSet
    audit: Audit
    seconds: float


def train(
    config: TrainConfig,
    folder: str | Path,
    *,
    skip_bad: bool = False,
    say: Say = print,
    progress: bool = False,
) -> RunResult | None:
    """Train, then embed and audit the test images.

    With several devices, start it as any Lightning program: Lightning's own launcher (``trainer.devices``), torchrun,
    or SLURM's srun, each of which runs the same command once a process.

    Args:
        config: what to do.
        folder: where to write; new or empty.
        skip_bad: leave out images that cannot be decoded, rather than stop.
        say: where to tell what is being done.
        progress: show a progress bar.

    Returns:
        What the run left; None on all processes but the first of a distributed run.

    Raises:
        InputError: the configuration does not suit the data, images cannot be decoded, the folder holds a run already,
            or it cannot be written to.
    """
    folder = Path(folder)
    first = _rank() == 0
    if first and folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; use --resume {folder} to continue its run, or another --out")
    config = resolved(config)
    build_learner(config, 2, n_groups=1)  # what does not fit shows before images are read
    with _quiet():
        trainer = _trainer(config, folder, None, say, progress)
    data = read_images(config, skip_bad=skip_bad, say=say, progress=progress)
    if first:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}); choose another with --out") from error
        write_config(folder / CONFIG_FILE, config)
    return _run(config, folder, data, trainer, None, say)


def resume(folder: str | Path, *, skip_bad: bool = False, say: Say = print, progress: bool = False) -> RunResult | None:
    """Continue a run that was interrupted, from its last checkpoint; on a CPU, to the same weights bit for bit.

    Args:
        folder: of the run.
        skip_bad: as in `train`; give it again if the run had it.
        say: where to tell what is being done.
        progress: show a progress bar.

    Raises:
        InputError: the folder holds no run, or one of its files cannot be read.
    """
    folder = Path(folder)
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder} holds no run (it has no {CONFIG_FILE}); give a folder that evenmatch train made")
    config = load_config(folder / CONFIG_FILE)
    for leftover in folder.glob(".tmp-*"):  # of a write that a kill cut short
        leftover.unlink(missing_ok=True)
    checkpoint = folder / "last.ckpt"
    step = None
    if checkpoint.is_file():
        step = int(load_checkpoint(checkpoint)["global_step"])
        say(f"continuing {folder} from step {step} of {config.schedule.steps}")
    else:
        say(f"{folder} has no checkpoint yet; starting from the beginning")
    with _quiet():
        trainer = _trainer(config, folder, step, say, progress)
    data = read_images(config, skip_bad=skip_bad, say=say, progress=progress)
    return _run(config, folder, data, trainer, step, say)


def _run(
    config: TrainConfig, folder: Path, data: RetrievalData, trainer: Trainer, step: int | None, say: Say
) -> RunResult | None:
    start = time.monotonic()
    test = data.images["test"]
    if test is None:
        raise InputError("there are no test images; name a test split in data.test")
    learner = build_learner(config, data.n_classes, n_groups=data.n_groups, pretrained=None if step is None else False)
    if step is None or step < config.schedule.steps:
        with _quiet():
            _fit(trainer, learner, data, None if step is None else folder / "last.ckpt")
    seconds = time.monotonic() - start
    if not trainer.is_global_zero:
        return None
    network, _ = load_network(folder, config.audit.checkpoint)
    say(f"embedding {test.n:,} test images and auditing every pair …")
    embeddings = embed_images(
        network,
        test,
        config.image,
        batch_size=config.audit.batch_size,
        workers=config.trainer.workers,
        device=trainer.strategy.root_device,
        name=folder.name,
    )
    if test.roles is None:
        save(folder / "test.npz", embeddings)
    else:
        query = test.roles == "query"
        save(folder / "test_query.npz", embeddings.subset(query))
        save(folder / "test_gallery.npz", embeddings.subset(~query))
    result = audit_embeddings(embeddings, test.roles, config.audit)
    result.save(folder / "run.audit")
    return RunResult(folder, embeddings, result, seconds)


def _trainer(config: TrainConfig, folder: Path, step: int | None, say: Say, progress: bool) -> Trainer:
    settings, audit, validation = config.trainer, config.audit, config.data.validation
    metrics = MetricsCSV(folder / "metrics.csv", step)
    last = ModelCheckpoint(folder, "last", save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [_Report(config.schedule.steps, say)]
    if validation is not None:
        callbacks.append(AuditCallback(far=audit.far, beta=audit.beta, eps=audit.eps))
        callbacks.append(
            ModelCheckpoint(
                folder,
                "best",
                monitor=f"val/{audit.monitor}",
                mode="max" if audit.monitor == "recall_at_1" else "min",
                save_top_k=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        )
    try:
        return Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            strategy=settings.strategy,
            precision=settings.precision,  # type: ignore[arg-type]
            sync_batchnorm=settings.sync_batchnorm,
            plugins=[AtomicCheckpoints()],
            logger=metrics,
            callbacks=[*callbacks, last],
            max_steps=config.schedule.steps,
            max_epochs=-1,
            log_every_n_steps=min(settings.log_every, config.schedule.every, config.schedule.steps),
            gradient_clip_val=config.optimizer.clip,
            num_sanity_val_steps=0,
            limit_val_batches=0 if validation is None else 1.0,
            enable_progress_bar=progress,
            enable_model_summary=False,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
        )
    except (ValueError, RuntimeError, TypeError, ImportError, MisconfigurationException) as error:
        raise InputError(f"trainer: {_line(error)}; change the section trainer of the configuration") from error


def _fit(trainer: Trainer, learner: LightningModule, data: RetrievalData, checkpoint: Path | None) -> None:
    try:
        with in_one_line():
            trainer.fit(learner, datamodule=data, ckpt_path=checkpoint)
    except SystemExit as error:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from error
    if trainer.interrupted:
        raise KeyboardInterrupt


class _Report(Callback):
    """Says at each checkpoint how far the run is."""

    def __init__(self, steps: int, say: Say) -> None:
        self._steps = steps
        self._say = say

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Number the steps in the log from 0 without a gap; Lightning is one ahead after a checkpoint was loaded."""
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say the step, the loss and what the audit of the validation images found."""
        if not trainer.is_global_zero or not trainer.callback_metrics:
            return  # a resumed run ends its last stretch again, without having done anything
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        shown = [f"loss {found['train/loss']:.4f}"] if "train/loss" in found else []
        if "val/recall_at_1" in found:
            shown += [f"validation recall@1 {found['val/recall_at_1']:.4f}", f"OPIS {found['val/opis']:.4g}"]
        self._say(f"step {trainer.global_step:,} of {self._steps:,}: {', '.join(shown)}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what Lightning says about itself; its advice on workers does not apply to cached images."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
            # A resumed run ends the stretch of its checkpoint again, with nothing new to choose by.
            warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")
            warnings.filterwarnings("ignore", message=".*LeafSpec", module="lightning")  # it uses an old name of torch
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _rank() -> int:
    return int(getattr(rank_zero_only, "rank", 0) or 0)


def _line(error: Any) -> str:
    return " ".join(str(error).split())[:200]
