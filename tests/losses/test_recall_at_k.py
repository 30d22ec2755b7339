"""RecallAtKLoss against the reference in loops."""

import pytest
import torch
from reference_losses import recall_at_k

from evenmatch.errors import InputError
from evenmatch.losses import RecallAtKLoss


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize(("n", "per_class"), [(2, 2), (3, 2), (17, 3), (30, 4), (24, 12)])
def test_value_equals_the_loops(batch, n, per_class, dtype, tolerance):
    rows, labels = batch(n, per_class=per_class, dtype=dtype)
    for settings in ({}, {"k": (3,), "temperature_rank": 0.1, "temperature_k": 0.5}):
        value = RecallAtKLoss(**settings)(rows, labels)
        assert float(value.detach()) == pytest.approx(recall_at_k(rows.detach(), labels, **settings), rel=tolerance)


def test_gradient_passes_gradcheck(batch):
    rows, labels = batch(10, per_class=3)
    loss = RecallAtKLoss(temperature_rank=0.2)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (rows,))


def test_a_batch_without_a_positive_pair_gives_zero_and_no_gradient(batch):
    rows, _ = batch(6)
    value = RecallAtKLoss()(rows, torch.arange(6))
    value.backward()
    assert float(value.detach()) == 0
    assert not rows.grad.any()


def test_following_its_gradient_raises_recall_at_1(batch):
    rows, labels = batch(60)

    def recall_at_1():
        units = torch.nn.functional.normalize(rows.detach())
        scores = (units @ units.T).fill_diagonal_(-1)
        has_positive = (labels[:, None] == labels).sum(1) > 1
        return float((labels[scores.argmax(1)] == labels)[has_positive].double().mean())

    with torch.no_grad():
        rows.copy_(torch.randn(60, 8, generator=torch.Generator().manual_seed(0)))
    before = recall_at_1()
    loss, optimizer = RecallAtKLoss(temperature_rank=0.05), torch.optim.Adam([rows], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss(rows, labels).backward()
        optimizer.step()
    assert recall_at_1() > before + 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": ()}, "k is empty"),
        ({"k": (0,)}, "each k is 0"),
        ({"temperature_rank": 0}, "temperature_rank is 0"),
        ({"temperature_k": -1.0}, "temperature_k is -1"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        RecallAtKLoss(**arguments)
