"""UnifiedThresholdLoss against loops, alone and in the place of TCM."""

import pytest
import torch
from reference_adaptive import unified_threshold

from evenmatch.errors import InputError
from evenmatch.losses import UnifiedThresholdLoss, WithTCM, build


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize(("n", "per_class"), [(2, 1), (3, 3), (17, 4), (40, 4)])
def test_uss_equals_the_loops(batch, n, per_class, dtype, tolerance):
    rows, labels = batch(n, per_class=per_class, dtype=dtype)
    loss = UnifiedThresholdLoss(12.0, margin=0.1, threshold=0.4)
    value = loss(rows, labels)
    assert value.dtype == dtype
    expected = unified_threshold(rows.detach(), labels, 12.0, float(loss.bias.detach()), 0.1)
    assert float(value.detach()) == pytest.approx(expected, rel=tolerance)


def test_uss_against_a_reference_leaves_copies_out(batch):
    rows, labels = batch(30)
    ids = torch.arange(30)
    others = {"ref": rows[:20].detach(), "ref_labels": labels[:20], "ids": ids, "ref_ids": ids[:20]}
    loss = UnifiedThresholdLoss(12.0, threshold=0.4)
    value = loss(rows, labels, others["ref"], others["ref_labels"], ids=ids, ref_ids=ids[:20])
    expected = unified_threshold(rows.detach(), labels, 12.0, float(loss.bias.detach()), 0.0, **others)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-6)


def test_gradients_of_rows_and_threshold_pass_gradcheck(batch):
    rows, labels = batch(10, per_class=3)
    loss = UnifiedThresholdLoss(8.0).double()

    def of(rows, bias):
        return torch.func.functional_call(loss, {"bias": bias}, (rows, labels))

    assert torch.autograd.gradcheck(of, (rows, torch.tensor(4.0, dtype=torch.float64, requires_grad=True)))


def test_the_threshold_moves_to_where_the_pairs_part(batch):
    rows, labels = batch(60, width=16)
    units = torch.nn.functional.normalize(rows.detach(), dim=1)
    scores = units @ units.T
    same = labels[:, None] == labels
    loss = UnifiedThresholdLoss(64.0, threshold=-1.0)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1.0)
    for _ in range(400):
        optimizer.zero_grad()
        loss(rows.detach(), labels).backward()
        optimizer.step()
    between = scores[same & ~torch.eye(60, dtype=torch.bool)].mean(), scores[~same].mean()
    assert between[1] < float(loss.threshold) < between[0]
    assert float(loss.last.share_neg) < 0.1


def test_uss_regularises_in_the_place_of_tcm_and_learns_its_threshold(batch):
    rows, labels = batch(20)
    regularizer = UnifiedThresholdLoss()
    loss = WithTCM(build("smooth_ap"), regularizer, weight=0.5)
    total = loss(rows, labels, groups=labels)
    torch.testing.assert_close(total.detach(), loss.last.base + 0.5 * loss.last.tcm)
    total.backward()
    assert regularizer.bias.grad.abs() > 0
    assert [name for name, _ in loss.named_parameters()] == ["tcm.bias"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"scale": 0.0}, "scale is 0.0"), ({"threshold": 1.5}, "threshold is 1.5"), ({"margin": "x"}, "margin is 'x'")],
)
def test_uss_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        UnifiedThresholdLoss(**arguments)
