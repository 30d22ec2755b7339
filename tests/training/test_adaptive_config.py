"""Adaptive margins and the learned threshold by name in a configuration, and groups on their way to the loss."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from evenmatch.datasets import ImageSet
from evenmatch.errors import InputError
from evenmatch.losses import AdaptiveTCMLoss, TCMLoss, UnifiedThresholdLoss
from evenmatch.training import RetrievalData, parse_config, resume, train
from evenmatch.training._build import build_learner


def changed(config, *changes):
    return parse_config(config.model_dump(by_alias=True), list(changes))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ([], TCMLoss),
        (["tcm.kind=adaptive"], AdaptiveTCMLoss),
        (["tcm.kind=unified_threshold", "tcm.scale=20", "tcm.threshold=0.4"], UnifiedThresholdLoss),
    ],
)
def test_the_kind_names_the_regulariser(small, changes, kind):
    loss = build_learner(changed(small, *changes), 5).loss
    assert isinstance(loss.tcm, kind)
    if kind is UnifiedThresholdLoss:
        assert (loss.tcm.scale, float(loss.tcm.threshold)) == (20.0, pytest.approx(0.4))


def test_settings_of_adaptive_margins_reach_the_loss(small):
    names = {"quantile_pos": 0.4, "far": 0.03, "decay": 0.9, "warmup": 7, "weight_pos": 2.0, "weight_neg": 0.5}
    config = changed(small, "tcm.kind=adaptive", *(f"tcm.{name}={value}" for name, value in names.items()))
    loss = build_learner(config, 5).loss.tcm
    assert {name: getattr(loss, name) for name in names} == names
    assert loss.n_groups is None


def test_groups_travel_from_the_images_to_the_histograms(small, splits):
    images = splits[0]
    groups = np.where(np.char.endswith(images.labels, "1"), "odd", "even")  # a1 and a11 of twelve classes
    images = ImageSet(images.name, images.split, images.root, images.paths, images.labels, groups)
    config = changed(small, "tcm.kind=adaptive", "tcm.by_group=true")
    data = RetrievalData(images, image=config.image, batch=config.batch, schedule=config.schedule)
    learner = build_learner(config, data.n_classes, n_groups=data.n_groups)
    logged: dict[str, torch.Tensor] = {}
    learner.log_dict = lambda values, **kwargs: logged.update(values)
    expected = torch.zeros(2)
    for batch in data.train_dataloader():
        assert batch["groups"].tolist() == (groups[batch["rows"].numpy()] == "odd").astype(int).tolist()
        learner.training_step(batch, 0)
        expected = expected * 0.98 + torch.stack([(batch["groups"] == group).sum() for group in (0, 1)])
    assert expected.min() > 0, "both groups must have been drawn"
    found = learner.loss.tcm.histograms[0].sum(1)  # an image has per_class − 1 positive pairs in its batch
    torch.testing.assert_close(found, expected * (config.batch.per_class - 1))
    assert logged["train/margin_pos"] == learner.loss.tcm.margins()[0]


def test_groups_that_are_not_there_are_asked_for_in_a_line(small, tmp_path):
    config = changed(small, "tcm.kind=adaptive", "tcm.by_group=true")
    with pytest.raises(InputError, match=r"tcm\.by_group is set and the training images have no groups"):
        train(config, tmp_path / "run", say=lambda text: None)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match='by_group is for kind "adaptive", and kind is "fixed"'):
        changed(small, "tcm.by_group=true")


def test_an_interrupted_run_with_adaptive_margins_ends_at_the_same_weights_and_margins(small, tmp_path):
    config = changed(small, "tcm.kind=adaptive", "tcm.warmup=2", "tcm.decay=0.5")
    train(config, tmp_path / "straight", say=lambda text: None)

    def stop(text):
        if text.startswith("step 4 of 6"):
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        train(config, tmp_path / "stopped", say=stop)
    said: list[str] = []
    resume(tmp_path / "stopped", say=said.append)
    assert "continuing" in said[0]
    one, other = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("straight", "stopped")
    )
    assert int(one["loss.tcm.batches"]) == 6
    assert one["loss.tcm.histograms"].sum() > 0
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name
    with (tmp_path / "straight" / "metrics.csv").open(encoding="utf-8") as file:
        margins = [(float(row["train/margin_pos"]), float(row["train/margin_neg"])) for row in csv.DictReader(file)]
    assert len(set(margins)) == 6, "margins must follow the data"
