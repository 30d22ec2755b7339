"""Base losses by name."""

import sys

import pytest
import torch

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
    assert bool(list(loss.parameters())) == (name in {*WITH_PROXIES, "unified_threshold"})
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


def test_smooth_ap_takes_large_labels(batch):
    rows, labels = batch(32)
    loss = build("smooth_ap")
    torch.testing.assert_close(loss(rows, labels + 2**40), loss(rows, labels))


@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2], [5, 5, 5, 5, 5, 7, 7, 9, 9, 9, 1, 2]])
def test_smooth_ap_equals_the_paper_in_loops(labels):
    torch.manual_seed(0)
    rows = torch.randn(12, 4, dtype=torch.float64, requires_grad=True)
    loss = build("smooth_ap", temperature=0.1)(rows, torch.tensor(labels))
    units = torch.nn.functional.normalize(rows, dim=1)
    expected = smooth_ap(units @ units.T, labels, 0.1)
    torch.testing.assert_close(loss, expected)
    (found,), (wanted,) = torch.autograd.grad(loss, rows), torch.autograd.grad(expected, rows)
    torch.testing.assert_close(found, wanted)


def smooth_ap(scores, labels, temperature):
    """1 minus the mean smooth AP over the queries with a positive, summed pair by pair."""
    n = len(labels)
    precisions = []
    for q in range(n):
        positives = [x for x in range(n) if x != q and labels[x] == labels[q]]
        if not positives:
            continue
        precision = 0.0
        for x in positives:
            above = {z: torch.sigmoid((scores[q, z] - scores[q, x]) / temperature) for z in range(n) if z not in (q, x)}
            precision += (1 + sum(above[z] for z in positives if z != x)) / (1 + sum(above.values()))
        precisions.append(precision / len(positives))
    return 1 - sum(precisions) / len(precisions)


def test_smooth_ap_without_a_positive_pair_is_zero(batch):
    rows, _ = batch(5)
    loss = build("smooth_ap")(rows, torch.arange(5))
    assert float(loss.detach()) == 0.0
    assert not torch.autograd.grad(loss, rows)[0].any()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_smooth_ap_refuses_a_temperature_out_of_range(temperature):
    with pytest.raises(InputError, match="temperature is"):
        build("smooth_ap", temperature=temperature)


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
