"""One process of a distributed run of the Lightning module; see test_distributed.py."""

from __future__ import annotations

import sys
import warnings

import torch
from lightning.pytorch import Trainer

from evenmatch import datasets
from evenmatch.training import AuditCallback, RetrievalData, load_config
from evenmatch.training._build import build_learner


def main(config_file: str, out: str, world_size: int) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    config = load_config(config_file)
    train, test = (datasets.build("folders", config.data.root, split) for split in ("train", "test"))
    data = RetrievalData(
        train, test, test, image=config.image, batch=config.batch, schedule=config.schedule, eval_batch_size=7
    )
    learner = build_learner(config, data.n_classes)
    callback = AuditCallback(far=(0.05, 0.3))
    trainer = Trainer(
        accelerator="cpu",
        devices=world_size,
        strategy="ddp" if world_size > 1 else "auto",
        max_steps=config.schedule.steps,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
    )
    trainer.fit(learner, datamodule=data)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    torch.save({"state": learner.state_dict(), "metrics": metrics}, f"{out}.{trainer.global_rank}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
