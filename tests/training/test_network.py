"""Backbones, pooling and head."""

from __future__ import annotations

import pytest
import torch

from evenmatch.errors import InputError
from evenmatch.training import Conv4, EmbeddingNet, GeM, build_network


@pytest.mark.parametrize(("size", "cells"), [(16, 1), (28, 1), (32, 2), (105, 6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_conv4_takes_small_images_of_any_size(size, cells, channels):
    assert Conv4(channels)(torch.zeros(2, channels, size, size)).shape == (2, 64, cells, cells)


def test_conv4_says_which_images_are_too_small():
    with pytest.raises(InputError, match="12 × 40; use at least 16 × 16"):
        Conv4()(torch.zeros(1, 1, 12, 40))


def test_relu_after_the_pooling_is_the_same_as_before_it():
    torch.manual_seed(0)
    convolution, norm, pool, relu = Conv4(1).blocks[0]
    images = torch.randn(4, 1, 28, 28)
    features = norm(convolution(images))
    assert torch.equal(relu(pool(features).clone()), pool(features.clone().relu()))


def test_gem_is_the_average_at_one_and_nears_the_maximum():
    features = torch.rand(3, 5, 4, 4)
    torch.testing.assert_close(GeM(p=1.0)(features), features.mean((2, 3)))
    torch.testing.assert_close(GeM(p=200.0)(features), features.amax((2, 3)), rtol=0.02, atol=0.02)


def test_embeddings_are_unit_vectors_in_float32_under_autocast():
    network = build_network("conv4", channels=1, dim=7)
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = network(torch.rand(3, 1, 28, 28))
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_without_a_linear_layer_the_dimension_is_that_of_the_features():
    assert build_network("conv4", channels=1, pooling="flatten", dim=None, size=32).dim == 256
    assert build_network("conv4", channels=1, pooling="avg", dim=None).dim == 64


def test_frozen_batch_norms_keep_their_statistics_and_learn_their_weights():
    network = build_network("conv4", channels=1, dim=4, freeze_bn=True)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.rand(8, 1, 28, 28))
    network.train()
    network(torch.rand(8, 1, 28, 28)).sum().backward()
    for name, value in network.named_buffers():
        assert torch.equal(value, before[name]), name
    assert network.backbone.blocks[0][1].weight.grad is not None

    network.freeze_bn = False
    network.train()(torch.rand(8, 1, 28, 28))
    assert not torch.equal(network.backbone.blocks[0][1].running_mean, before["backbone.blocks.0.1.running_mean"])


@pytest.mark.parametrize(
    ("name", "pooling", "size", "options"),
    [
        ("test_resnet", "gem", 32, {}),
        ("test_resnet", "native", 32, {}),
        ("test_vit", "native", 32, {}),
        # Feature maps with the channels last.
        ("swin_tiny_patch4_window7_224", "avg", 56, {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 1)}),
    ],
)
def test_backbones_of_timm_give_embeddings(name, pooling, size, options):
    network = build_network(name, pooling=pooling, dim=6, size=size, **options)
    assert isinstance(network, EmbeddingNet)
    with torch.inference_mode():
        assert network.eval()(torch.rand(2, 3, size, size)).shape == (2, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "resnet5o"}, "no backbone is called 'resnet5o'; did you mean 'resnet50'"),
        ({"backbone": "test_vit", "pooling": "gem", "size": 32}, 'gives tokens.*use pooling "native"'),
        ({"backbone": "test_resnet", "pooling": "flatten"}, '"flatten" is for conv4'),
        ({"backbone": "conv4", "pooling": "gme"}, "pooling 'gme' is unknown"),
        ({"backbone": "conv4", "pooling": "flatten"}, "needs the size of the images"),
        ({"backbone": "conv4", "widht": 3}, "conv4 does not take these options.*widht"),
        ({"backbone": "conv4", "pretrained": True}, "conv4 has no pretrained weights"),
        ({"backbone": "test_vit", "pooling": "native", "size": 40}, "does not take images of 40 × 40"),
        ({"backbone": "test_resnet", "widht": 3}, "timm cannot build 'test_resnet'.*widht"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        build_network(**arguments)


def test_pretrained_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("timm.models._hub.has_hf_hub", lambda necessary=False: True)
    with pytest.raises(InputError, match=r"the pretrained weights of 'test_resnet' cannot be loaded .* go online"):
        build_network("test_resnet", pretrained=True)
