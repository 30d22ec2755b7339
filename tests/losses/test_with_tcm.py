"""WithTCM around losses, miners, callables and a cross-batch memory."""

import pytest
import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from pytorch_metric_learning.miners import MultiSimilarityMiner, TripletMarginMiner
from reference_losses import tcm

from evenmatch.errors import InputError
from evenmatch.losses import TCMLoss, WithTCM, build, gather


def squared_length(embeddings, labels):
    return embeddings.square().mean()


def test_a_plain_callable_is_a_base_loss(batch):
    rows, labels = batch(20)
    loss = WithTCM(squared_length, TCMLoss(0.8, 0.4), weight=0.5)
    total = loss(rows, labels)
    expected = rows.square().mean() + 0.5 * TCMLoss(0.8, 0.4)(rows, labels)
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(torch.autograd.grad(total, rows), torch.autograd.grad(expected, rows))


def test_parameters_of_the_base_loss_are_parameters():
    loss = WithTCM(build("proxy_anchor", num_classes=3, embedding_size=4))
    assert [tuple(parameter.shape) for parameter in loss.parameters()] == [(3, 4)]


@pytest.mark.parametrize(
    ("name", "miner"),
    [("contrastive", MultiSimilarityMiner(epsilon=0.0)), ("triplet", TripletMarginMiner(type_of_triplets="hard"))],
)
def test_a_miner_and_its_tuple_reach_the_base_loss(batch, name, miner):
    rows, labels = batch(24)
    base = build(name)
    mined = miner(rows, labels)
    expected = base(rows, labels, mined) + TCMLoss()(rows, labels)
    torch.testing.assert_close(WithTCM(base)(rows, labels, mined), expected)
    torch.testing.assert_close(WithTCM(base, miner=miner)(rows, labels), expected)
    assert not torch.allclose(WithTCM(base)(rows, labels), expected), "the tuple must matter"


def test_both_terms_see_the_reference(batch):
    rows, labels = batch(20)
    ref, ref_labels = batch(30, seed=1)
    base, miner = build("contrastive"), MultiSimilarityMiner()
    torch.testing.assert_close(
        WithTCM(base)(rows, labels, None, ref, ref_labels),
        base(rows, labels, ref_emb=ref, ref_labels=ref_labels) + TCMLoss()(rows, labels, ref, ref_labels),
    )
    mined = miner(rows, labels, ref, ref_labels)
    torch.testing.assert_close(
        WithTCM(base, miner=miner)(rows, labels, ref_emb=ref, ref_labels=ref_labels),
        base(rows, labels, mined, ref, ref_labels) + TCMLoss()(rows, labels, ref, ref_labels),
    )


def test_memory_pairs_are_seen_and_a_sample_never_meets_its_copy(batch):
    size, step = 25, 10  # 25 is no multiple of 10: the queue wraps around within a batch
    regularizer = TCMLoss(margin_pos=1.0)  # at this margin a sample's copy, of score 1, would be in the active set
    loss = WithTCM(CrossBatchMemory(build("contrastive"), 8, size), regularizer)
    peer = CrossBatchMemory(build("contrastive"), 8, size)
    memory = []
    for turn in range(5):
        rows, labels = batch(step, seed=turn)
        ids = torch.arange(step) + turn * step
        memory = (memory + list(zip(rows.detach(), labels, ids, strict=True)))[-size:]
        total = loss(rows, labels)
        (grad,) = torch.autograd.grad(total, rows)
        base = peer(rows, labels)
        (base_grad,) = torch.autograd.grad(base, rows)
        ref, ref_labels, ref_ids = (torch.stack(part) for part in zip(*memory, strict=True))
        expected, expected_grad, _, counts = tcm(
            rows.detach(), labels, ref, ref_labels, ids=ids, ref_ids=ref_ids, margins=(1.0, 0.5)
        )
        torch.testing.assert_close(loss.last.base, base.detach())
        assert float(loss.last.tcm) == pytest.approx(expected, rel=1e-6)
        torch.testing.assert_close(grad - base_grad, torch.from_numpy(expected_grad), rtol=1e-6, atol=1e-9)
        assert counts[2] + counts[3] == step * len(memory) - step
        assert float(regularizer.last.share_pos) == pytest.approx(counts[0] / counts[2])


def test_a_memory_resumes_where_its_queue_stood(batch):
    def fresh():
        return WithTCM(CrossBatchMemory(build("contrastive"), 8, 25))

    first, second = fresh(), fresh()
    for turn in range(4):
        first(*batch(10, dtype=torch.float32, seed=turn))
    second.load_state_dict(first.state_dict())
    rows, labels = batch(10, dtype=torch.float32, seed=9)
    assert torch.equal(first(rows, labels), second(rows, labels))
    assert torch.equal(first.base_loss.embedding_memory, second.base_loss.embedding_memory)


def test_state_survives_a_weights_only_file(tmp_path):
    loss = WithTCM(CrossBatchMemory(build("contrastive"), 8, 25))
    torch.save(loss.state_dict(), tmp_path / "loss.pt")
    loss.load_state_dict(torch.load(tmp_path / "loss.pt", weights_only=True))


def test_gather_alone_in_a_process_changes_nothing(batch):
    rows, labels = batch(20)
    joined = gather(rows, labels)
    assert joined[0] is rows
    assert joined[1] is labels
    torch.testing.assert_close(
        WithTCM(squared_length, gather=True)(rows, labels), WithTCM(squared_length)(rows, labels)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "received no tensor"),
        ((torch.ones(3, 2), torch.ones(2)), "same number of rows"),
        ((torch.ones(()),), "row"),
    ],
)
def test_gather_refuses_rows_that_do_not_match(arguments, message):
    with pytest.raises(InputError, match=message):
        gather(*arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WithTCM("contrastive"), "base_loss is 'contrastive'"),
        (lambda: WithTCM(squared_length, squared_length), "pass a TCMLoss"),
        (lambda: WithTCM(squared_length, weight=-0.1), "weight is -0.1"),
    ],
)
def test_wrong_parts_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_arguments_that_do_not_fit_are_refused(batch):
    rows, labels = batch(8)
    mined = (torch.tensor([0]),) * 3
    with pytest.raises(InputError, match="indices_tuple came with gather"):
        WithTCM(build("triplet"), gather=True)(rows, labels, mined)
    with pytest.raises(InputError, match="brings its own reference"):
        WithTCM(CrossBatchMemory(build("contrastive"), 8, 25))(rows, labels, ref_emb=rows, ref_labels=labels)
    with pytest.raises(InputError, match="did not return a scalar"):
        WithTCM(lambda embeddings, labels: embeddings)(rows, labels)
