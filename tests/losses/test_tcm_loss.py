"""TCMLoss against the reference in loops, and the promises of its docstring."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from reference_losses import tcm
from torch.utils._python_dispatch import TorchDispatchMode

from evenmatch.errors import InputError
from evenmatch.losses import TCMLoss

CHUNKS = (None, 7, 10_000)


def assert_close(actual, expected, tolerance):
    expected = np.asarray(expected)
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    np.testing.assert_allclose(actual.detach().double().numpy(), expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("n", [2, 3, 5, 16, 33, 100, 257])
def test_value_and_gradient_equal_the_loops(batch, n, chunk_size, dtype, tolerance):
    rows, labels = batch(n, dtype=dtype)
    expected, grad, _, counts = tcm(rows.detach(), labels, weights=(0.7, 1.3))
    loss = TCMLoss(weight_pos=0.7, weight_neg=1.3, chunk_size=chunk_size)(rows, labels)
    loss.backward()
    assert loss.dtype == dtype
    assert loss.shape == ()
    assert_close(loss, expected, tolerance)
    assert_close(rows.grad, grad, tolerance)
    if n >= 16:
        assert min(counts[:2]) > 0, "the batch must exercise both terms"


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize(("n", "m"), [(2, 3), (5, 1), (33, 64), (64, 33), (40, 257)])
def test_reference_value_and_both_gradients_equal_the_loops(batch, n, m, chunk_size, dtype, tolerance):
    everything, all_labels = batch(n + m, dtype=dtype, per_class=6)
    rows, ref = (part.detach().requires_grad_() for part in everything.split((n, m)))
    labels, ref_labels = all_labels.split((n, m))
    expected, grad, grad_ref, _ = tcm(rows.detach(), labels, ref.detach(), ref_labels)
    loss = TCMLoss(chunk_size=chunk_size)(rows, labels, ref, ref_labels)
    loss.backward()
    assert_close(loss, expected, tolerance)
    assert_close(rows.grad, grad, tolerance)
    assert_close(ref.grad, grad_ref, tolerance)


@pytest.mark.parametrize("chunk_size", CHUNKS)
def test_a_detached_reference_leaves_the_other_gradient_alone(batch, chunk_size):
    rows, labels = batch(20)
    ref, ref_labels = batch(30, seed=1)
    _, grad, _, _ = tcm(rows.detach(), labels, ref.detach(), ref_labels)
    TCMLoss(chunk_size=chunk_size)(rows, labels, ref.detach(), ref_labels).backward()
    assert_close(rows.grad, grad, 1e-6)
    assert ref.grad is None


@pytest.mark.parametrize("chunk_size", CHUNKS)
def test_equal_ids_make_no_pair(batch, chunk_size):
    rows, labels = batch(40)
    ids = torch.arange(40) + 2**40
    ref, ref_labels, ref_ids = rows[10:30].detach(), labels[10:30], ids[10:30]
    loss = TCMLoss(margin_pos=1.0, chunk_size=chunk_size)
    expected, grad, _, counts = tcm(
        rows.detach(), labels, ref, ref_labels, ids=ids, ref_ids=ref_ids, margins=(1.0, 0.5)
    )
    value = loss(rows, labels, ref, ref_labels, ids=ids, ref_ids=ref_ids)
    value.backward()
    assert_close(value, expected, 1e-6)
    assert_close(rows.grad, grad, 1e-6)
    assert float(loss.last.share_pos) == pytest.approx(counts[0] / counts[2])
    assert float(loss.last.share_neg) == pytest.approx(counts[1] / counts[3])
    with_copies = loss(rows, labels, ref, ref_labels)
    assert float(with_copies.detach()) != pytest.approx(expected), "without ids the copies are pairs like any other"


@pytest.mark.parametrize("chunk_size", CHUNKS)
def test_a_sample_drawn_twice_makes_no_pair_with_itself(batch, chunk_size):
    rows, labels = batch(20)
    ids = torch.arange(20) // 2
    expected, grad, _, _ = tcm(rows.detach(), labels, ids=ids)
    value = TCMLoss(chunk_size=chunk_size)(rows, labels, ids=ids)
    value.backward()
    assert_close(value, expected, 1e-6)
    assert_close(rows.grad, grad, 1e-6)


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize(
    ("name", "labels", "margins"),
    [
        ("no positive pair", torch.arange(9), (0.9, 0.5)),
        ("no negative pair", torch.zeros(9, dtype=torch.int64), (0.9, 0.5)),
        ("no hard pair", torch.arange(9) // 3, (-1.5, 1.5)),
        ("one sample", torch.zeros(1, dtype=torch.int64), (0.9, 0.5)),
    ],
)
def test_an_empty_active_set_adds_zero_and_no_gradient(batch, name, labels, margins, chunk_size):
    rows, _ = batch(len(labels))
    loss = TCMLoss(*margins, check_margins=False, chunk_size=chunk_size)
    value = loss(rows, labels)
    value.backward()
    expected, grad, _, _ = tcm(rows.detach(), labels, margins=margins)
    assert_close(value, expected, 1e-6)
    assert_close(rows.grad, grad, 1e-6)
    assert torch.isfinite(rows.grad).all()
    if name == "no positive pair":
        assert torch.isnan(loss.last.share_pos)
        assert float(loss.last.mean_pos) == 0


def test_a_score_at_its_margin_is_active():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    loss = TCMLoss(margin_pos=0.7, margin_neg=0.6)
    # Scores are 0.6 or 1 only. Positives (0,1) and (2,3) at 0.6: hinge 0.1. Negatives: 0.6 (active, adds 0) and 1.
    value = loss(rows, torch.tensor([0, 0, 1, 1]))
    assert float(loss.last.share_neg) == 1
    assert float(value) == pytest.approx(0.1 + (0 + 0 + 0.4 + 0.4) / 4)
    loss = TCMLoss(margin_pos=0.6, margin_neg=0.5)
    loss(rows, torch.tensor([0, 0, 1, 1]))
    assert float(loss.last.share_pos) == 1


def test_last_reports_what_the_terms_did(batch):
    rows, labels = batch(50)
    _, _, _, counts = tcm(rows.detach(), labels)
    loss = TCMLoss(weight_pos=2.0, weight_neg=3.0)
    assert loss.last is None
    value = loss(rows, labels)
    assert float(loss.last.share_pos) == pytest.approx(counts[0] / counts[2])
    assert float(loss.last.share_neg) == pytest.approx(counts[1] / counts[3])
    assert float(2 * loss.last.mean_pos + 3 * loss.last.mean_neg) == pytest.approx(float(value.detach()))
    assert not any(part.requires_grad for part in loss.last)


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_gradients_pass_gradcheck_once_and_twice(batch, chunk_size):
    rows, labels = batch(14)
    ref, ref_labels = batch(9, seed=3)
    loss = TCMLoss(chunk_size=chunk_size)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (rows,))
    assert torch.autograd.gradcheck(lambda x, y: loss(x, labels, y, ref_labels), (rows, ref))
    assert torch.autograd.gradgradcheck(lambda x: loss(x, labels), (rows,))
    assert torch.autograd.gradgradcheck(lambda x, y: loss(x, labels, y, ref_labels), (rows, ref))


def test_chunks_of_a_large_batch_equal_the_whole(batch):
    rows, labels = batch(1500, dtype=torch.float32, width=32)
    whole, grad = TCMLoss(chunk_size=1500)(rows, labels), None
    (grad,) = torch.autograd.grad(whole, rows)
    for chunk_size in (None, 400):
        value = TCMLoss(chunk_size=chunk_size)(rows, labels)
        (chunked,) = torch.autograd.grad(value, rows)
        assert float(value.detach()) == pytest.approx(float(whole.detach()), rel=1e-6)
        assert float((chunked - grad).norm() / grad.norm()) < 1e-5


MEMORY_OF_TILES = """
from pathlib import Path
import torch
from evenmatch.losses import TCMLoss

def megabytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1e3

loss, rows, labels = TCMLoss(chunk_size=1024), torch.randn(8192, 16, requires_grad=True), torch.arange(8192) // 4
loss(rows[:16], labels[:16]).backward()
before = megabytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
loss(rows, labels).backward()
print(megabytes("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the memory's high-water mark from /proc")
def test_tiles_take_less_memory_than_the_matrix():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_OF_TILES], capture_output=True, text=True, timeout=120, check=False
    )
    if "PermissionError" in done.stderr:
        pytest.skip("this machine does not let a process reset its high-water mark")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.5 * 8192 * 8192 * 4 / 1e6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_autocast_computes_in_float32(batch, dtype, chunk_size):
    rows, labels = batch(40, dtype=torch.float32)
    loss = TCMLoss(chunk_size=chunk_size)
    expected = loss(rows, labels)
    (grad,) = torch.autograd.grad(expected, rows)
    with torch.autocast("cpu", dtype=dtype):
        value = loss(rows, labels)
        value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert torch.equal(rows.grad, grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_widened(batch, dtype):
    rows, labels = batch(40, dtype=dtype)
    value = TCMLoss()(rows, labels)
    value.backward()
    assert value.dtype == torch.float32
    assert rows.grad.dtype == dtype
    assert torch.equal(value, TCMLoss()(rows.detach().float(), labels))


@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")  # torch says so on Python 3.13.0
@pytest.mark.parametrize("chunk_size", [None, 12])
def test_compiles_without_a_graph_break(batch, chunk_size):
    torch._dynamo.reset()
    rows, labels = batch(24, dtype=torch.float32)
    ref, ref_labels = batch(30, dtype=torch.float32, seed=1)
    loss = TCMLoss(chunk_size=chunk_size)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for arguments in ((rows, labels), (rows, labels, ref, ref_labels)):
        expected = torch.autograd.grad(loss(*arguments), rows)[0]
        actual = torch.autograd.grad(compiled(*arguments), rows)[0]
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(compiled(*arguments), loss(*arguments))


class _Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        by_mask = name.startswith("aten::index") and any(
            isinstance(part, torch.Tensor) and part.dtype == torch.bool
            for part in torch.utils._pytree.tree_leaves((args, kwargs))
        )
        if by_mask or any(word in name for word in ("_local_scalar", "item", "::nonzero", "masked_select", "unique")):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("chunk_size", [None, 7])
def test_never_waits_for_the_device(batch, chunk_size):
    rows, labels = batch(20)
    ref, ref_labels = batch(30, seed=1)
    loss = TCMLoss(chunk_size=chunk_size)
    with _Recorder() as recorder:
        loss(rows, labels).backward()
        loss(rows, labels, ref, ref_labels, ids=labels, ref_ids=ref_labels).backward()
    assert recorder.waits == []
    with _Recorder() as recorder:
        float(loss.last.mean_pos)
    assert recorder.waits, "the recorder must notice a wait"


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64, torch.uint8])
def test_any_integer_dtype_serves_as_labels(batch, dtype):
    rows, labels = batch(20)
    assert torch.equal(TCMLoss()(rows, labels.to(dtype)), TCMLoss()(rows, labels))


def test_labels_above_two_to_the_24_do_not_collide(batch):
    rows, labels = batch(20)
    loss = TCMLoss()
    expected = loss(rows, labels)
    assert torch.equal(loss(rows, labels + 2**24), expected)
    assert torch.equal(loss(rows, labels + 2**53), expected)


def test_order_of_the_samples_does_not_matter(batch):
    rows, labels = batch(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(TCMLoss()(rows[order], labels[order]), TCMLoss()(rows, labels))


def test_equals_pytorch_metric_learning_where_that_is_right(batch):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    peer_class = getattr(losses, "ThresholdConsistentMarginLoss", None)
    if peer_class is None:
        pytest.skip("this pytorch-metric-learning has no ThresholdConsistentMarginLoss to compare with")
    for n, margins in ((8, (0.9, 0.5)), (40, (0.9, 0.5)), (40, (0.8, 0.3)), (40, (0.95, 0.99))):
        rows, labels = batch(n)
        peer = peer_class(margin_plus=margins[0], margin_minus=margins[1], lambda_plus=0.5, lambda_minus=2.0)
        ours = TCMLoss(*margins, weight_pos=0.5, weight_neg=2.0, check_margins=False)
        theirs = peer(rows, labels)
        value = ours(rows, labels)
        torch.testing.assert_close(value, theirs, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(torch.autograd.grad(value, rows), torch.autograd.grad(theirs, rows))


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_a_zero_vector_gets_no_gradient_and_spoils_no_other(batch, chunk_size):
    rows, labels = batch(12)
    with torch.no_grad():
        rows[4] = 0
    value = TCMLoss(chunk_size=chunk_size)(rows, labels)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(rows.grad).all()
    assert not rows.grad[4].any()
    assert rows.grad[5].any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_shows_in_the_loss(batch, bad):
    rows, labels = batch(12)
    with torch.no_grad():
        rows[4, 2] = bad
    assert torch.isnan(TCMLoss()(rows, labels))
    assert torch.isnan(TCMLoss()(rows, torch.zeros(12, dtype=torch.int64))), "positive pairs alone"
    assert torch.isnan(TCMLoss()(rows, torch.arange(12))), "negative pairs alone"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin_pos": 0.4}, "keep 0 < margin_neg < margin_pos"),
        ({"margin_pos": 1.1}, "check_margins=False"),
        ({"margin_neg": 0.0}, "keep 0 < margin_neg"),
        ({"margin_neg": float("nan")}, "margin_neg is nan"),
        ({"margin_pos": "0.9"}, "margin_pos is '0.9'"),
        ({"weight_pos": -1}, "weight_pos is -1"),
        ({"weight_neg": float("inf")}, "weight_neg is inf"),
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"chunk_size": 2.5}, "chunk_size is 2.5"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        TCMLoss(**arguments)


ROWS, LABELS = torch.ones(4, 3), torch.arange(4)


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((ROWS.numpy(), LABELS), {}, "not a tensor"),
        ((ROWS[0], LABELS), {}, r"shape \(3,\)"),
        ((ROWS.long(), LABELS), {}, "pass a floating-point tensor"),
        ((ROWS, ["a", "b", "c", "d"]), {}, "number the classes first"),
        ((ROWS, LABELS.float()), {}, "large ids collide as floats"),
        ((ROWS, LABELS[:3]), {}, "pass one integer a row"),
        ((ROWS, LABELS[:, None]), {}, "pass one integer a row"),
        ((ROWS, LABELS, ROWS), {}, "ref_emb came without ref_labels"),
        ((ROWS, LABELS, None, LABELS), {}, "came without ref_emb"),
        ((ROWS, LABELS), {"ref_ids": LABELS}, "came without ref_emb"),
        ((ROWS, LABELS, ROWS[:, :2], LABELS), {}, "3 columns and ref_emb has 2"),
        ((ROWS, LABELS, ROWS, LABELS[:2]), {}, "ref_labels has shape"),
        ((ROWS, LABELS, ROWS, LABELS), {"ids": LABELS}, "pass both, or neither"),
        ((ROWS, LABELS, ROWS, LABELS), {"ids": LABELS, "ref_ids": LABELS[:1]}, "ref_ids has shape"),
        ((ROWS, LABELS), {"ids": LABELS[:1]}, "ids has shape"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, keywords, message):
    with pytest.raises(InputError, match=message):
        TCMLoss()(*arguments, **keywords)


def test_without_torch_the_import_names_the_pip_command():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from evenmatch.errors import MissingExtraError\n"
        "try:\n    import evenmatch.losses\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert 'pip install "evenmatch[train]"' in done.stdout
