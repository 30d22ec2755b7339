"""The Lightning module: rates, schedule, logging, what is refused."""

from __future__ import annotations

import pytest
import torch

from evenmatch.errors import InputError
from evenmatch.losses import WithTCM, build
from evenmatch.training import MetricLearner, build_network
from evenmatch.training._build import build_learner, build_loss
from evenmatch.training._config import LossConfig, OptimizerConfig, ScheduleConfig, TCMConfig
from evenmatch.training._learner import learning_rate_factor


def learner(loss: str = "smooth_ap", **optimizer) -> MetricLearner:
    network = build_network("conv4", channels=1, dim=8, pooling="gem")
    return MetricLearner(network, build_loss(LossConfig(name=loss), TCMConfig(), 5, 8), OptimizerConfig(**optimizer))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_backbone_head_and_proxies_have_their_own_rates(name):
    module = learner("proxy_anchor", name=name, lr=0.1, head_lr=0.2, proxy_lr=0.3, weight_decay=0.01)
    optimizer = module.configure_optimizers()["optimizer"]
    groups = {group["name"]: group for group in optimizer.param_groups}
    assert {name: group["initial_lr"] for name, group in groups.items()} == {
        "backbone": 0.1,
        "backbone vectors": 0.1,
        "head": 0.2,
        "head vectors": 0.2,
        "proxies": 0.3,
    }
    assert groups["backbone"]["weight_decay"] == 0.01
    assert all(group["weight_decay"] == 0 for name, group in groups.items() if name not in ("backbone", "head"))
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert len(held) == len({id(parameter) for parameter in held}) == len(list(module.parameters()))


def test_rates_default_to_that_of_the_backbone():
    groups = learner("proxy_anchor", lr=0.1).configure_optimizers()["optimizer"].param_groups
    assert {group["initial_lr"] for group in groups} == {0.1}


def test_the_rate_rises_and_falls_along_a_half_cosine():
    factor = learning_rate_factor(ScheduleConfig(steps=100, warmup=10))
    assert [round(factor(step), 3) for step in (0, 9, 10, 55, 100)] == [0.091, 0.909, 1.0, 0.5, 0.0]
    flat = learning_rate_factor(ScheduleConfig(steps=100, cosine=False))
    assert {flat(step) for step in range(100)} == {1.0}


def test_a_loss_without_tcm_is_refused():
    with pytest.raises(InputError, match="wrap it as WithTCM"):
        MetricLearner(build_network("conv4", channels=1), build("smooth_ap"))


def test_a_memory_takes_only_losses_that_know_references(small):
    loss = build_loss(LossConfig(name="contrastive", memory=32), TCMConfig(), 5, 8)
    assert loss.base_loss.memory_size == 32
    with pytest.raises(InputError, match=r"loss\.memory does not suit 'smooth_ap'"):
        build_loss(LossConfig(name="smooth_ap", memory=32), TCMConfig(), 5, 8)
    small = small.model_copy(update={"loss": LossConfig(name="contrastive", memory=4)})
    with pytest.raises(InputError, match=r"loss\.memory 4 is smaller than batch.size 8"):
        build_learner(small, 5)


def test_weights_come_from_the_seed_and_the_global_generator_stays(small):
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    one, same = (build_learner(small, 5).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(2), expected)
    other = build_learner(small.model_copy(update={"seed": 1}), 5).state_dict()
    name = "network.head.1.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_similarities_are_computed_in_float32_under_autocast():
    module = learner()
    seen = []
    module.loss = WithTCM(lambda embeddings, labels: seen.append(embeddings @ embeddings.T) or embeddings.sum())
    with torch.autocast("cpu", torch.bfloat16):
        module.log_dict = lambda *args, **kwargs: None
        module.training_step({"images": torch.rand(4, 1, 28, 28), "labels": torch.tensor([0, 0, 1, 1])}, 0)
    assert seen[0].dtype == torch.float32
