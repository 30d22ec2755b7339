"""Audits while training, and OPIS as a metric."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch.utils.data import DataLoader, TensorDataset

import evenmatch as em
from evenmatch.errors import InputError
from evenmatch.training import OPIS, AuditCallback

CLASSES, EACH, DIM = 20, 6, 8


def samples(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), EACH)
    vectors = rng.normal(size=(CLASSES, DIM))[labels] + rng.normal(size=(len(labels), DIM)) * 0.8
    return torch.from_numpy(vectors).float(), torch.from_numpy(labels)


class Own(LightningModule):
    """A user's module with a loop of its own: the embeddings are the data, scaled."""

    def __init__(self, query: bool = False, broken: bool = False) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(DIM))
        self.query = query
        self.broken = broken

    def training_step(self, batch, batch_idx):
        return (batch[0] * self.scale).pow(2).mean()

    def validation_step(self, batch, batch_idx):
        vectors, labels, rows = batch
        if self.broken:
            return vectors
        outputs = {"embeddings": vectors * self.scale, "labels": labels, "rows": rows}
        return outputs | ({"query": rows % EACH == 0} if self.query else {})

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


class Kept(Logger):
    """The least that a Lightning logger can be."""

    name = version = ""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, float]] = []

    def log_metrics(self, metrics, step=None):
        self.seen.append(metrics)

    def log_hyperparams(self, *args, **kwargs):
        pass


def fit(module, *callbacks, epochs=2, repeat=False, ignore=(Warning,)):
    vectors, labels = samples()
    rows = torch.arange(len(labels))
    if repeat:  # as a sampler that fills up the last batch
        vectors, labels, rows = (torch.cat([part, part[:5]]) for part in (vectors, labels, rows))
    logger = Kept()
    with warnings.catch_warnings():
        for category in ignore:  # Lightning's advice on workers, and its use of an old name of torch
            warnings.simplefilter("ignore", category)
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            callbacks=list(callbacks),
            logger=logger,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        )
        data = TensorDataset(vectors, labels, rows)
        trainer.fit(module, DataLoader(data, 16), DataLoader(data, 16))
    return trainer, logger.seen


def test_it_logs_what_an_audit_of_the_embeddings_says():
    module, callback = Own(), AuditCallback()
    trainer, seen = fit(module, callback)
    vectors, labels = samples()
    audit = em.audit((vectors * module.scale.detach()).numpy(), labels.numpy())
    expected = {"recall_at_1": audit.recall_at_k[1], "opis": audit.opis, "eps_opis": audit.eps_opis}
    for name, value in {**expected, "threshold": audit.threshold}.items():
        assert float(trainer.callback_metrics[f"val/{name}"]) == pytest.approx(value, rel=1e-6), name
    assert sum("val/opis" in metrics for metrics in seen) == 2
    assert callback.last is not None
    assert callback.last.opis == audit.opis


def test_samples_handed_out_twice_are_counted_once():
    once, twice = AuditCallback(), AuditCallback()
    fit(Own(), once, epochs=1)
    module = Own()
    module.scale.requires_grad_(True)
    fit(module, twice, epochs=1, repeat=True)
    assert twice.last.data.n == once.last.data.n == CLASSES * EACH


def test_queries_are_held_against_the_gallery():
    callback = AuditCallback(far=(0.05, 0.2), eps=0.5, prefix="q/")
    trainer, _ = fit(Own(query=True), callback, epochs=1)
    assert (callback.last.data.n, callback.last.data.n_references) == (CLASSES, CLASSES * (EACH - 1))
    assert callback.last.settings.far == (0.05, 0.2)
    assert "q/opis" in trainer.callback_metrics


@pytest.mark.parametrize(("quantity", "mode"), [("recall_at_1", "max"), ("opis", "min"), ("threshold", "min")])
def test_checkpoints_can_follow_any_quantity(tmp_path, quantity, mode):
    best = ModelCheckpoint(tmp_path, "best", monitor=f"val/{quantity}", mode=mode)
    fit(Own(), AuditCallback(), best)
    assert best.best_model_score is not None
    assert (tmp_path / "best.ckpt").exists()


def test_a_step_without_embeddings_is_refused():
    with pytest.raises(InputError, match="validation_step returned no embeddings and labels"):
        fit(Own(broken=True), AuditCallback())


def test_embeddings_that_cannot_be_audited_warn_and_leave_the_training_alone():
    module, callback = Own(), AuditCallback()
    module.scale.data.zero_()
    with pytest.warns(RuntimeWarning, match="this validation has no audit: .* zero vector"):
        trainer, _ = fit(module, callback, epochs=1, ignore=(UserWarning, FutureWarning))
    assert callback.last is None
    assert np.isnan(float(trainer.callback_metrics["val/opis"]))


def test_the_sanity_check_is_not_audited():
    callback = AuditCallback()

    class Few(Own):
        def on_train_start(self):
            assert callback.last is None

    fit(Few(), callback)


def test_the_metric_is_the_opis_of_all_samples_seen():
    vectors, labels = samples()
    metric = OPIS(eps=0.2)
    for start in range(0, len(labels), 50):
        metric.update(vectors[start : start + 50], labels[start : start + 50])
    audit = em.audit(vectors.numpy(), labels.numpy(), eps=0.2)
    assert float(metric.compute()) == audit.opis
    assert metric.audit().eps_opis == audit.eps_opis
    metric.reset()
    with pytest.raises((InputError, ValueError)):
        metric.audit()


def test_metrics_of_two_processes_merge():
    vectors, labels = samples()
    halves = [OPIS(), OPIS()]
    halves[0].update(vectors[::2], labels[::2])
    halves[1].update(vectors[1::2], labels[1::2])
    whole = OPIS()
    whole.update(vectors, labels)
    halves[0].merge_state(halves[1])
    assert float(halves[0].compute()) == pytest.approx(float(whole.compute()), rel=1e-9)
