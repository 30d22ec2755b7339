"""Base losses by name."""

import sys

import pytest
import torch
from pytorch_metric_learning.losses import SmoothAPLoss

from evenmatch.errors import InputError, MissingExtraError
from evenmatch.losses import RecallAtKLoss, WithTCM, available, build

WITH_PROXIES = {
    "arcface",
    "cosface",
    "normalized_softmax",
    "proxy_anchor",
    "proxy_nca",
    "soft_triple",
    "subcenter_arcface",
}


def built(name):
    return build(name, **({"num_classes": 8, "embedding_size": 8} if name in WITH_PROXIES else {}))


@pytest.mark.parametrize("name", available())
def test_every_loss_trains_alone_and_with_tcm(batch, name):
    rows, labels = batch(32, dtype=torch.float32)
    torch.manual_seed(0)
    loss = built(name)
    assert bool(list(loss.parameters())) == (name in WITH_PROXIES)
    base = loss(rows, labels)
    assert base.shape == ()
    (grad,) = torch.autograd.grad(base, rows)
    assert torch.isfinite(grad).all()
    assert grad.any()

    combined = WithTCM(loss, weight=2.0)
    total = combined(rows, labels)
    torch.testing.assert_close(total.detach(), combined.last.base + 2.0 * combined.last.tcm)
    torch.testing.assert_close(combined.last.base, base.detach())
    torch.testing.assert_close(combined.last.tcm, combined.tcm(rows, labels).detach())


@pytest.mark.parametrize("name", available())
def test_no_loss_depends_on_the_order_of_the_rows(batch, name):
    rows, labels = batch(32)
    order = torch.argsort(labels)
    torch.manual_seed(0)
    loss = built(name)
    torch.testing.assert_close(loss(rows[order], labels[order]), loss(rows, labels))


def test_smooth_ap_takes_large_labels_and_a_tuple(batch):
    rows, labels = batch(32)
    loss = build("smooth_ap")
    torch.testing.assert_close(loss(rows, labels + 2**40), loss(rows, labels))
    order = torch.argsort(labels, stable=True)
    place = torch.argsort(order)
    mined = (torch.tensor([3, 3, 5]), torch.tensor([9, 9, 7]), torch.tensor([1, 2, 0]))
    expected = SmoothAPLoss()(rows[order], labels[order], tuple(place[indices] for indices in mined))
    torch.testing.assert_close(loss(rows, labels, mined), expected)
    assert not torch.allclose(loss(rows, labels, mined), loss(rows, labels)), "the tuple must matter"


def test_smooth_ap_says_that_it_needs_as_many_samples_of_each_class(batch):
    rows, _ = batch(5)
    with pytest.raises(InputError, match=r"between 2 and 3 samples of a class.*MPerClassSampler"):
        build("smooth_ap")(rows, torch.tensor([0, 0, 1, 1, 1]))


def test_recall_at_k_is_ours():
    assert isinstance(build("recall_at_k", k=(1, 2)), RecallAtKLoss)


def test_arguments_replace_the_defaults():
    assert build("contrastive", neg_margin=0.3).neg_margin == 0.3
    assert build("contrastive").distance.is_inverted, "contrastive compares cosine similarities"
    assert build("triplet").distance.is_inverted


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("smoothap", {}, "did you mean 'smooth_ap'"),
        ("Multi-Similarity", {}, "did you mean 'multi_similarity'"),
        ("zzz", {}, "choose one of angular, arcface"),
        ("proxy_anchor", {}, "needs num_classes and embedding_size"),
        ("arcface", {"num_classes": 3}, "needs embedding_size"),
        ("contrastive", {"marginn": 1}, "'contrastive' does not take these arguments.*marginn"),
        ("recall_at_k", {"marginn": 1}, "'recall_at_k' does not take these arguments.*marginn"),
    ],
)
def test_a_wrong_name_or_argument_is_refused(name, arguments, message):
    with pytest.raises(InputError, match=message):
        build(name, **arguments)


def test_without_pytorch_metric_learning_build_names_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning.losses", None)
    with pytest.raises(MissingExtraError, match=r'pip install "evenmatch\[train\]"'):
        build("contrastive")
