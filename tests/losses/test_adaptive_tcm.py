"""AdaptiveTCMLoss against loops: where its margins stand, what the terms are, and what it keeps."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from reference_adaptive import RunningQuantiles, grouped_tcm, scored_pairs
from reference_losses import tcm

from evenmatch.errors import InputError
from evenmatch.losses import AdaptiveTCMLoss, TCMLoss, WithTCM, build

BIN = 1e-3  # a margin is read from a histogram of this resolution


def close(actual, expected, tolerance=1e-6):
    expected = np.asarray(expected)
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    np.testing.assert_allclose(actual.detach().double().numpy(), expected, rtol=0, atol=tolerance * scale)


def floats(margins):
    return tuple(float(margin) for margin in margins)


@pytest.mark.parametrize("n_groups", [None, 3])
@pytest.mark.parametrize("chunk_size", [None, 5])
def test_margins_are_the_quantiles_of_all_that_was_seen_with_the_weights_of_the_decay(batch, n_groups, chunk_size):
    loss = AdaptiveTCMLoss(0.3, 0.1, n_groups=n_groups, decay=0.7, chunk_size=chunk_size)
    truth = RunningQuantiles(n_groups or 1, 0.7)
    for turn in range(6):
        rows, labels = batch(40, seed=turn)
        groups = labels % 2 if turn % 2 else labels % 3  # every other batch has nothing of the third group
        loss(rows, labels, groups=groups)
        truth.see(scored_pairs(rows.detach(), labels), groups if n_groups else torch.zeros(40))
        expected = (truth.margin(True, 0.3), truth.margin(False, 0.9))
        assert floats(loss.margins()) == pytest.approx(expected, abs=BIN)
    assert len({round(float(value), 4) for value in loss.group_quantiles()[0]}) == (n_groups or 1), "groups must differ"


def test_margins_against_a_reference_leave_copies_out(batch):
    rows, labels = batch(40)
    ids = torch.arange(40)
    loss = AdaptiveTCMLoss(0.9, 0.1)
    arguments = {"ref": rows[:25].detach(), "ref_labels": labels[:25], "ids": ids, "ref_ids": ids[:25]}
    loss(rows, labels, arguments["ref"], arguments["ref_labels"], ids=ids, ref_ids=ids[:25])
    truth = RunningQuantiles(1, 0.98)
    truth.see(scored_pairs(rows.detach(), labels, **arguments), torch.zeros(40))
    assert floats(loss.margins()) == pytest.approx((truth.margin(True, 0.9), truth.margin(False, 0.9)), abs=BIN)
    assert float(loss.histograms.sum()) == 40 * 25 - 25


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize("chunk_size", [None, 7])
@pytest.mark.parametrize("n", [3, 16, 65])
def test_without_groups_the_terms_are_those_of_tcm_at_the_margins(batch, n, chunk_size, dtype, tolerance):
    rows, labels = batch(n, dtype=dtype)
    loss = AdaptiveTCMLoss(0.4, 0.2, 0.7, 1.3, warmup=0, chunk_size=chunk_size)
    value = loss(rows, labels)
    value.backward()
    expected, grad, _, counts = tcm(rows.detach(), labels, margins=floats(loss.margins()), weights=(0.7, 1.3))
    assert value.dtype == dtype
    close(value, expected, tolerance)
    close(rows.grad, grad, tolerance)
    if n == 65:
        assert min(counts[:2]) > 0
        assert float(loss.last.share_pos) == pytest.approx(counts[0] / counts[2])
        assert float(loss.last.share_neg) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize("chunk_size", [None, 7])
@pytest.mark.parametrize("n", [3, 16, 65])
def test_with_groups_every_group_has_an_equal_say(batch, n, chunk_size, dtype, tolerance):
    rows, labels = batch(n, dtype=dtype)
    groups = (labels > 1).long() + 2 * (labels > 9)  # of very different sizes; group 2 is empty
    loss = AdaptiveTCMLoss(0.4, 0.2, 0.7, 1.3, n_groups=4, warmup=0, chunk_size=chunk_size)
    value = loss(rows, labels, groups=groups)
    value.backward()
    expected, grad, _ = grouped_tcm(rows.detach(), labels, groups, floats(loss.margins()), (0.7, 1.3))
    close(value, expected, tolerance)
    close(rows.grad, grad, tolerance)
    if n == 65:
        plain, *_, counts = tcm(rows.detach(), labels, margins=floats(loss.margins()), weights=(0.7, 1.3))
        assert abs(plain - expected) > 1e-3, "groups must matter"
        assert float(loss.last.share_pos) == pytest.approx(counts[0] / counts[2])
        assert float(loss.last.share_neg) == pytest.approx(counts[1] / counts[3])


@pytest.mark.parametrize("chunk_size", [None, 7])
def test_with_groups_and_a_reference_a_pair_belongs_to_its_row(batch, chunk_size):
    everything, all_labels = batch(50, per_class=6)
    rows, ref = (part.detach().requires_grad_() for part in everything.split((20, 30)))
    labels, ref_labels = all_labels.split((20, 30))
    ids, ref_ids, groups = torch.arange(20), torch.arange(15, 45), torch.arange(20) % 3
    loss = AdaptiveTCMLoss(0.4, 0.2, 1.0, 1.0, n_groups=3, warmup=0, chunk_size=chunk_size)
    value = loss(rows, labels, ref, ref_labels, groups=groups, ids=ids, ref_ids=ref_ids)
    value.backward()
    others = {"ref": ref.detach(), "ref_labels": ref_labels, "ids": ids, "ref_ids": ref_ids}
    expected, grad, grad_ref = grouped_tcm(rows.detach(), labels, groups, floats(loss.margins()), **others)
    close(value, expected)
    close(rows.grad, grad)
    close(ref.grad, grad_ref)


def test_groups_are_drawn_to_one_target_not_to_their_own(batch):
    rows, labels = batch(60)
    groups = labels % 2
    with torch.no_grad():  # the positive pairs of group 1 score lower
        rows[groups == 1] += 0.6 * torch.randn(60, 8, generator=torch.Generator().manual_seed(1))[groups == 1]
    loss = AdaptiveTCMLoss(0.5, 0.1, n_groups=2, warmup=0)
    loss(rows, labels, groups=groups)
    (high, low), margin = floats(loss.group_quantiles()[0]), float(loss.margins()[0])
    assert high > low + 0.05
    assert margin == pytest.approx((high + low) / 2)


def test_the_loss_rises_over_the_warm_up_and_margins_do_not_wait(batch):
    rows, labels = batch(40)
    slow, fast = AdaptiveTCMLoss(warmup=3), AdaptiveTCMLoss(warmup=0)
    shares = [float((slow(rows, labels) / fast(rows, labels)).detach()) for _ in range(5)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert floats(slow.margins()) == floats(fast.margins())


def test_margins_stay_within_their_bounds(batch):
    rows, labels = batch(40)
    free = AdaptiveTCMLoss(0.5, 0.5, 1.0, 1.0, warmup=0)
    free(rows, labels)
    pos, neg = floats(free.margins())
    bound = AdaptiveTCMLoss(0.5, 0.5, 1.0, 1.0, warmup=0, bounds_pos=(pos + 0.01, 1.0), bounds_neg=(-1.0, neg - 0.01))
    value = bound(rows, labels)
    assert floats(bound.margins()) == pytest.approx((pos + 0.01, neg - 0.01))
    torch.testing.assert_close(value, TCMLoss(*floats(bound.margins()), check_margins=False)(rows, labels))


@pytest.mark.parametrize("n_groups", [None, 2])
def test_drawing_all_embeddings_together_gains_nothing(batch, n_groups):
    rows, labels = batch(40)
    units = torch.nn.functional.normalize(rows.detach(), dim=1)
    shift = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    # One more coordinate, the same for all: every similarity s becomes s + shift·(1 − s).
    drawn = torch.cat([units * (1 - shift).sqrt(), shift.sqrt().expand(40, 1)], dim=1)
    slopes = []
    for weight_neg in (None, 0.0):
        loss = AdaptiveTCMLoss(0.5, 0.1, 2.0, weight_neg, n_groups=n_groups, warmup=0)
        value = loss(drawn, labels, groups=labels % 2)
        slopes.append(float(torch.autograd.grad(value, shift, retain_graph=True)[0]))
        if weight_neg is None:
            distance = 1 - torch.stack(loss.margins()) + torch.stack([loss.last.mean_pos, -loss.last.mean_neg])
            expected = 2 * loss.last.mean_pos + 2 * distance[0] / distance[1] * loss.last.mean_neg
            torch.testing.assert_close(value.detach(), expected)
    assert abs(slopes[0]) < 1e-6 < 0.05 < -slopes[1]


def test_evaluation_moves_nothing(batch):
    loss = AdaptiveTCMLoss(weight_neg=1.0, warmup=0)
    loss(*batch(40))
    before = loss.histograms.clone()
    rows, labels = batch(40, seed=1)
    value = loss.eval()(rows, labels)
    assert torch.equal(loss.histograms, before)
    expected, *_ = tcm(rows.detach(), labels, margins=floats(loss.margins()))
    close(value, expected)


@pytest.mark.parametrize("n_groups", [None, 2])
def test_a_run_that_resumes_from_a_file_has_the_same_margins(batch, tmp_path, n_groups):
    def fresh():
        return WithTCM(build("contrastive"), AdaptiveTCMLoss(n_groups=n_groups))

    first, second = fresh(), fresh()
    for turn in range(3):
        rows, labels = batch(30, seed=turn)
        first(rows, labels, groups=labels % 2)
    torch.save(first.state_dict(), tmp_path / "loss.pt")
    second.load_state_dict(torch.load(tmp_path / "loss.pt", weights_only=True))
    rows, labels = batch(30, seed=9)
    assert torch.equal(first(rows, labels, groups=labels % 2), second(rows, labels, groups=labels % 2))
    assert floats(first.tcm.margins()) == floats(second.tcm.margins())


def test_no_positive_pair_gives_no_gradient_and_no_margin(batch):
    rows, _ = batch(9)
    loss = AdaptiveTCMLoss(weight_neg=0.0, warmup=0, bounds_pos=(0.2, 0.9))
    value = loss(rows, torch.arange(9))
    value.backward()
    assert float(value.detach()) == 0
    assert not rows.grad.any()
    assert floats(loss.margins())[0] == pytest.approx(0.2)


@pytest.mark.parametrize("n_groups", [None, 2])
def test_a_nan_shows_in_the_loss_and_spoils_no_margin(batch, n_groups):
    rows, labels = batch(12)
    loss = AdaptiveTCMLoss(n_groups=n_groups, warmup=0)
    loss(rows, labels, groups=labels % 2)
    with torch.no_grad():
        rows[4, 2] = float("nan")
    assert torch.isnan(loss(rows, labels, groups=labels % 2))
    assert torch.isfinite(torch.stack(loss.margins())).all()


def test_groups_reach_the_loss_through_with_tcm_and_a_memory(batch):
    base = CrossBatchMemory(build("contrastive"), 8, 50)
    loss = WithTCM(base, AdaptiveTCMLoss(weight_neg=1.0, n_groups=2, warmup=0), gather=True)
    for turn in range(2):
        rows, labels = batch(20, seed=turn)
        loss(rows, labels, groups=labels % 2)
    expected, *_ = grouped_tcm(
        rows.detach(),
        labels,
        labels % 2,
        floats(loss.tcm.margins()),
        ref=base.embedding_memory[:40].numpy(),
        ref_labels=base.label_memory[:40],
        ids=torch.arange(20, 40),
        ref_ids=torch.arange(40),
    )
    close(loss.last.tcm, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantile_pos": 0.0}, "quantile_pos is 0.0; pass a share"),
        ({"far": 1}, "far is 1; pass a share"),
        ({"far": float("nan")}, "far is nan"),
        ({"weight_pos": -1}, "weight_pos is -1"),
        ({"weight_neg": -1}, "weight_neg is -1"),
        ({"n_groups": 0}, "n_groups is 0"),
        ({"decay": 1.0}, "decay is 1.0; pass a number below 1"),
        ({"warmup": -1}, "warmup is -1"),
        ({"bounds_pos": (0.9, 0.5)}, "bounds_pos is"),
        ({"bounds_neg": (-2.0, 0.5)}, "bounds_neg is"),
        ({"chunk_size": 0}, "chunk_size is 0"),
    ],
)
def test_adaptive_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        AdaptiveTCMLoss(**arguments)


def test_missing_groups_are_refused_and_needless_ones_ignored(batch):
    rows, labels = batch(12)
    with pytest.raises(InputError, match="n_groups=2 and no groups came"):
        AdaptiveTCMLoss(n_groups=2)(rows, labels)
    with pytest.raises(InputError, match="groups has shape"):
        AdaptiveTCMLoss(n_groups=2)(rows, labels, groups=labels[:3])
    torch.testing.assert_close(AdaptiveTCMLoss()(rows, labels, groups=labels), AdaptiveTCMLoss()(rows, labels))
