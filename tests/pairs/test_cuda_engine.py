"""What is the CUDA engine's own: blocks, devices that share tiles, memory that runs out, the split of numbers.

Without a GPU all of it runs in Triton's interpreter (see ``tests/conftest.py``).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="engine 'cuda' needs evenmatch[gpu]")
pytest.importorskip("triton", reason="engine 'cuda' needs evenmatch[gpu]")

from contract import ACROSS, WITHIN, Case, Tolerance, assert_same, assert_true, clusters, lattice, mirrored  # noqa: E402

import evenmatch as em  # noqa: E402
import reference  # noqa: E402
from evenmatch.cli import main  # noqa: E402
from evenmatch.errors import InputError, MissingExtraError  # noqa: E402
from evenmatch.pairs import CpuEngine, CudaEngine, PairCounts  # noqa: E402
from evenmatch.pairs._cuda import _devices, _launch, _run, _tally, _triton  # noqa: E402
from evenmatch.pairs._cuda._blocks import bytes_per_row, split  # noqa: E402
from evenmatch.pairs._cuda._triton import INTERPRETED  # noqa: E402
from evenmatch.pairs._ladder import Ladder  # noqa: E402
from evenmatch.pairs._problem import Problem  # noqa: E402

FAST_BOUND = 2**-7 + 2**-16  # of a score, as CudaEngine states it


def exact_case(across: bool, n: int = 300) -> Case:
    """Scores that no order of arithmetic can change, so that counts must not differ at all."""
    rng = np.random.default_rng(1)
    x, codes, groups = mirrored(lattice(n // 2, 16)), rng.integers(0, 9, n), rng.choice(["p", "q", "r"], n)
    if not across:
        return Case(x, codes, groups)
    ref = mirrored(lattice(n // 2 - 20, 16, seed=2))
    return Case(x, codes, groups, ref, rng.integers(4, 13, n - 40), rng.choice(["q", "s"], n - 40))


@pytest.mark.parametrize(("rows", "across"), [(110, False), (150, True), (256, False)])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_number_of_blocks_does_not_matter(rows, across, metric):
    case = exact_case(across)
    small = case.count(metric=metric, engine=CudaEngine(block_rows=rows))
    assert_same(small, case.count(metric=metric, engine="cuda"))


def test_vectors_beyond_the_memory_of_the_device_stream_in_blocks(monkeypatch):
    case = Case(*clusters(700, 20, dim=16))
    expected = case.count(engine="cuda")
    depth = _launch.shape_for(_devices.find_devices()[0], 3).depth
    each = bytes_per_row(16, 3, depth, 4 if INTERPRETED else 2)
    monkeypatch.setattr(_run, "_free_bytes", lambda device: 2 * 256 * each)
    seen = []
    real = _run.load_block
    monkeypatch.setattr(
        _run, "load_block", lambda side, span, *args, **more: (seen.append(span), real(side, span, *args, **more))[1]
    )
    assert_same(case.count(engine="cuda"), expected)
    assert {len(span) for span in seen} == {256, 188}


class TurnTaking:
    """A lock that no thread gets before another one wants it too, so that both take part."""

    def __init__(self) -> None:
        self.lock, self.both, self.mine = threading.Lock(), threading.Barrier(2, timeout=120), threading.local()

    def __enter__(self) -> None:
        if not hasattr(self.mine, "met"):
            self.mine.met = True
            self.both.wait()
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.lock.release()


@pytest.mark.skipif(not INTERPRETED, reason="the interpreter's devices are given by name")
def test_devices_share_the_tiles_and_their_counts_add_up(monkeypatch):
    case = Case(*clusters(1100, 30, dim=16))
    options = {"far": (), "thresholds": (0.1, 0.3)}
    expected = case.count(engine="cuda", **options)
    counted = []
    real = _run.totals
    monkeypatch.setattr(
        _run, "totals", lambda tallies: (counted.extend(int(t.pooled.sum()) for t in tallies), real(tallies))[1]
    )
    monkeypatch.setattr(_run, "_INTERPRETER", TurnTaking())
    assert_same(case.count(engine=CudaEngine(devices=["cpu", "cpu"]), **options), expected)
    assert len(counted) == 2
    assert min(counted) > 0
    assert sum(counted) == case.n_pairs


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_unlike_gpus_get_a_shape_that_each_has_room_for(monkeypatch, order):
    gpus = {"h200": (9, 0, 132), "a100": (8, 0, 108), "rtx3060": (8, 6, 28)}

    def properties(device: str) -> Any:
        return SimpleNamespace(**dict(zip(("major", "minor", "multi_processor_count"), gpus[device], strict=True)))

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties(device.name))
    h200, a100, rtx3060 = (SimpleNamespace(type="cuda", name=name) for name in gpus)
    for parts in (1, 3):
        shape = {gpu.name: _launch.shape_for(gpu, parts) for gpu in (h200, a100, rtx3060)}
        own = {"programs": 264}  # enough for the largest of them
        assert _launch.shape_for_all([h200, a100][order], parts) == replace(shape["a100"], **own)
        assert _launch.shape_for_all([h200, rtx3060, a100][order], parts) == replace(shape["rtx3060"], **own)
        assert _launch.shape_for_all([h200], parts) == shape["h200"]


@pytest.mark.parametrize("works", [(True, False), (False, True), (True, True)])
def test_where_one_device_does_not_count_directly_none_does(monkeypatch, works):
    passes, answers = [], dict(zip(("cuda:0", "cuda:1"), works, strict=True))
    problem = Problem.build(*exact_case(False).sets)

    def started(*arguments: Any, direct: bool) -> Any:
        passes.append(direct)
        raise KeyboardInterrupt

    shape = _launch.shape_for(torch.device("cpu"), 3)
    monkeypatch.setattr(_run, "shape_for_all", lambda devices, parts: shape)
    monkeypatch.setattr(_run, "_direct_works", lambda device, precision, groups, shape: answers[device])
    monkeypatch.setattr(_run, "Pass", started)
    with pytest.raises(KeyboardInterrupt):
        _run.count_cuda(
            problem, Ladder.build(problem.grid, np.array([20_000])), devices=[torch.device(name) for name in answers]
        )
    assert passes == [all(works)]


@pytest.mark.skipif(not INTERPRETED, reason="takes 4 GB of device memory")
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_parts_of_a_block_may_lie_further_apart_than_int32_counts(tmp_path, monkeypatch, metric):
    """The third part of 2.1 to 4.2 million × 512 numbers begins beyond 2³¹; here the file between them is sparse."""
    case = Case(*clusters(200, 20, dim=16))
    options: dict[str, Any] = {"metric": metric, "far": (), "thresholds": (0.2,) if metric == "cosine" else (-1.0,)}
    expected = case.count(engine="cuda", **options)
    apart = 2**30
    first = 2 * apart  # an offset that wraps leads to zeros before it
    numbers = np.memmap(tmp_path / "parts", np.float32, "w+", shape=(4 * apart + 2**16,))
    kernel, launches = _triton.count_tiles, []

    def far(parts: Any) -> Any:
        for i, part in enumerate(parts.numpy()):
            numbers[first + i * apart :][: part.size] = part.ravel()
        return torch.from_numpy(numbers[first:][: parts[0].numel()])

    class Far:
        def __getitem__(self, grid: Any) -> Any:
            def count(left: Any, right: Any, left_part: int, right_part: int, *more: Any, **constants: Any) -> None:
                launches.append(constants["PARTS"])
                kernel[grid](far(left), far(right), apart, apart, *more, **constants)

            return count

    monkeypatch.setattr(_triton, "count_tiles", Far())
    assert_same(case.count(engine="cuda", **options), expected)
    assert set(launches) == {3}


def test_memory_that_runs_out_makes_blocks_smaller_and_loses_nothing(monkeypatch):
    case = exact_case(False, n=1100)
    expected = case.count(engine="cuda")
    tried = []
    real = _run.load_block

    def load(side: Any, span: range, *args: Any, **options: Any) -> Any:
        tried.append(len(span))
        if len(span) > 600 or len(tried) == 4:  # the fourth is a column block, after pairs have been counted
            raise torch.cuda.OutOfMemoryError("out of memory")
        return real(side, span, *args, **options)

    monkeypatch.setattr(_run, "load_block", load)
    assert_same(case.count(engine="cuda"), expected)
    assert tried[:2] == [1100, 550]
    assert 275 in tried


def test_memory_that_never_suffices_is_an_input_error(monkeypatch):
    def fails(*args: Any, **options: Any) -> None:
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(_run, "load_block", fails)
    with pytest.raises(
        InputError, match=r"not even 256 vectors fit .* use device='cpu'" if INTERPRETED else "not even"
    ):
        exact_case(False).count(engine="cuda")
    monkeypatch.setattr(_run, "Tally", fails)
    with pytest.raises(InputError, match=r"the counters of 9 classes at .* thresholds do not fit"):
        exact_case(False).count(engine="cuda")


def test_a_class_with_too_many_pairs_for_int32_is_counted_in_int64(monkeypatch):
    case = exact_case(False)
    expected = case.count(engine="cuda")
    dtypes = []
    real = _run.Tally
    monkeypatch.setattr(_run, "Tally", lambda *args: (tally := real(*args), dtypes.append(tally.table.dtype))[0])
    monkeypatch.setattr(_tally, "_INT32_PAIRS", int(expected.negatives.max()) - 1)
    assert_same(case.count(engine="cuda"), expected)
    monkeypatch.setattr(_tally, "_INT32_PAIRS", int(expected.negatives.max()))
    assert_same(case.count(engine="cuda"), expected)
    assert (dtypes[0], dtypes[-1]) == (torch.int64, torch.int32)


def test_exact_differs_from_the_truth_in_at_most_a_millionth_of_the_pairs_at_any_threshold():
    x, codes = clusters(4000, 200, dim=48, seed=3)
    counts = Case(x, codes).count(engine="cuda")
    wrong = np.zeros(counts.grid.size - 1)
    for ours, scores in zip(
        (counts.accepted_positives, counts.accepted_negatives),
        reference.pair_scores(reference.scores(x), codes),
        strict=True,
    ):
        truth = scores.size - np.searchsorted(np.sort(scores), counts.grid.thresholds)
        wrong += np.abs(ours[:-1] - truth)[1:]
    assert wrong.max() <= 1e-6 * counts.n_positives + 1e-6 * counts.n_negatives
    assert wrong.mean() <= 1e-7 * counts.n_negatives


@pytest.mark.parametrize("name", ["uneven classes", "one class of many", "groups"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_fast_counts_lie_within_the_stated_bound(name, metric):
    case = WITHIN[name]
    counts = case.count(metric=metric, engine="cuda", precision="fast", thresholds=(-0.5,))
    # in Euclidean a score moves by no more than the two points do, each by at most 2⁻⁸ of its length
    steps = FAST_BOUND / 5e-5 if metric == "cosine" else 2**-7 * 40000
    assert_true(counts, case, Tolerance(steps, steps).of(counts), exact_share=0)


def test_fast_scores_are_as_far_off_as_the_docstring_says():
    x, codes = clusters(600, 100, dim=512, seed=5)
    truth = reference.best_scores(reference.scores(x), codes)[1]
    counts = Case(x, codes).count(engine="cuda", precision="fast")
    error = counts.best_negative - truth
    rms = float(np.sqrt((error**2).mean()))
    assert 1.5e-3 / 512**0.5 < rms < 3e-3 / 512**0.5
    exact = Case(x, codes).count(engine="cuda").best_negative - truth
    assert np.abs(exact).max() < 3e-7


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
def test_three_parts_hold_a_float32_exactly(scale):
    x = torch.from_numpy((np.random.default_rng(0).normal(size=20_000) * scale).astype(np.float32))
    parts = split(x, 3)
    assert all(part.dtype == torch.bfloat16 for part in parts)
    assert torch.equal(sum(part.to(torch.float64) for part in parts), x.to(torch.float64))
    for larger, smaller in pairwise(parts):
        assert (smaller.double().abs() <= 2**-8 * larger.double().abs()).all()


def test_the_six_products_of_parts_err_by_less_than_the_stated_bound():
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(400, 512)), np.abs(rng.normal(size=(400, 512)))]  # the second: no error cancels
    for x in (torch.from_numpy(v / np.linalg.norm(v, axis=1, keepdims=True)).float() for v in vectors):
        a1, a2, a3 = (part.double() for part in split(x, 3))
        exact = x.double() @ x.double().T
        kept = a1 @ a1.T + a1 @ a2.T + a2 @ a1.T + a2 @ a2.T + a1 @ a3.T + a3 @ a1.T
        absolute = x.double().abs() @ x.double().abs().T
        assert ((kept - exact).abs() <= 2**-23 * absolute).all()
        # five products or fewer do not suffice
        assert ((kept - a2 @ a2.T - exact).abs() > 2**-23 * absolute).any()
        # and summed as the kernel does: in float32 within 32 dimensions, small terms first, then over all
        total = torch.zeros(400, 400)
        for at in range(0, 512, 32):
            b1, b2, b3 = (part[:, at : at + 32].float() for part in (a1, a2, a3))
            part = b1 @ b3.T + b3 @ b1.T
            for left, right in ((b2, b2), (b1, b2), (b2, b1), (b1, b1)):
                part = part + left @ right.T
            total = total + part
        assert (total.double() - exact).abs().max() <= 1.6e-6
        assert (total.double() - exact).abs().mean() <= 5e-8


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("pairs", [1, 200, 10**6])
def test_jobs_hold_every_pair_once_and_know_which_need_masks(across, pairs):
    case = exact_case(across, n=120)
    problem = Problem.build(*case.sets)
    shape = _launch.Shape(3, 5, 16, span=2, warps=4, stages=1, programs=1, pairs=pairs)
    counted = np.zeros((problem.rows.n, problem.cols.n), int)
    spans = [range(0, 47), range(47, problem.rows.n)]
    col_spans = spans if problem.half else [range(0, 30), range(30, problem.cols.n)]
    for i, rows in enumerate(spans):
        for j, cols in enumerate(col_spans):
            if problem.half and j < i:
                continue
            for job in _launch.jobs(problem, rows, cols, shape):
                mixed = {tuple(square) for square in job.mixed.tolist()}
                for row, col in job.spans.tolist():
                    r = slice(rows.start + row, min(rows.start + row + 6, rows.stop))
                    c = slice(cols.start + col, min(cols.start + col + 10, cols.stop))
                    counted[r, c] += 1
                    same = problem.rows.codes[r, None] == problem.cols.codes[None, c]
                    edge = same.shape != (6, 10)
                    assert ((row, col) in mixed) >= (same.any() or edge)
    if problem.half:
        counted = counted[np.triu_indices(problem.rows.n, 1)]
    assert (counted == 1).all()


def test_the_window_lies_where_most_scores_are():
    problem = Problem.build(*Case(*clusters(2000, 40, dim=64)).sets)
    scores = reference.scores(clusters(2000, 40, dim=64)[0])
    start = _launch.window_start(problem, 4000)
    bins = np.floor((scores[np.triu_indices(2000, 1)] - problem.grid.low) / problem.grid.step)
    share = ((bins >= start) & (bins < start + 4000)).mean()
    best = max(((bins >= at) & (bins < at + 4000)).mean() for at in range(15_000, 22_000, 250))
    assert share > 0.98 * best


@pytest.mark.skipif(not INTERPRETED, reason="asks for a GPU that is not there")
def test_where_the_quick_way_of_counting_fails_the_plain_one_is_used():
    with pytest.warns(RuntimeWarning, match="the slower plain kernel is used"):
        assert _run._direct_works.__wrapped__("cuda:0", "exact") is False


def test_an_interrupt_ends_the_run_and_its_threads():
    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Case(*clusters(1500, 30, dim=4)).count(engine="cuda", progress=interrupt)
    assert not any(thread.name.startswith("evenmatch") for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "double"}, "use 'exact' or 'fast'"),
        ({"devices": []}, "leave it out for all GPUs"),
        ({"devices": "cuda:0"}, r"give a list as \['cuda:0'\]"),
        ({"block_rows": 0}, "give 1 or more"),
        ({"devices": ["cuda:99"]}, "cuda:99"),
    ],
)
def test_bad_settings_are_refused_where_the_engine_is_made(options, message):
    with pytest.raises(InputError, match=message):
        CudaEngine(**options)


def test_without_a_gpu_the_engine_says_so(monkeypatch):
    monkeypatch.setattr("evenmatch.pairs._cuda._triton.INTERPRETED", False)
    monkeypatch.setattr(_devices, "_usable", list)
    with pytest.raises(InputError, match=r"no GPU to run on: torch .*; use device='cpu'"):
        CudaEngine()
    with pytest.raises(InputError, match="no GPU to run on"):
        em.audit(*clusters(40, 4), device="cuda")


@pytest.mark.parametrize("missing", ["torch", "triton"])
def test_a_missing_package_names_the_extra(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "evenmatch.pairs._cuda._triton")
    with pytest.raises(MissingExtraError, match=rf"{missing}, which is not installed.*evenmatch\[gpu\]"):
        CudaEngine()


def audited(**options: Any) -> PairCounts:
    x, codes = clusters(200, 20)
    return em.audit(x, codes, **options)


def test_an_audit_on_cuda_is_that_of_the_cpu():
    ours, theirs = audited(device="cuda"), audited(device="cpu")
    assert (ours.settings.engine, theirs.settings.engine) == ("cuda", "cpu")
    assert ours.opis == pytest.approx(theirs.opis, rel=1e-4)
    assert audited(device="cuda", precision="fast").settings.precision == "fast"
    assert audited(engine="cuda").settings.engine == "cuda"


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr("evenmatch.auditing._run.gpu_visible", lambda: False)
    assert audited().settings.engine == "cpu"
    monkeypatch.setattr("evenmatch.auditing._run.gpu_visible", lambda: True)
    assert audited().settings.engine == "cuda"
    assert audited(device="cpu").settings.engine == "cpu"
    assert audited(engine="cpu").settings.engine == "cpu"
    x, codes = clusters(200, 20)
    assert em.calibrate(x, codes, far=1e-2, device="cuda").far <= 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "'auto', 'cpu', 'cuda' or 'cuda:0'"),
        ({"device": "cuda:x"}, "'auto', 'cpu', 'cuda' or 'cuda:0'"),
        ({"device": "cuda", "engine": "cpu"}, "engine 'cpu' does not run on device 'cuda'"),
        ({"device": "cpu", "engine": "cuda"}, "engine 'cuda' does not run on device 'cpu'"),
    ],
)
def test_devices_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        audited(**options)


def test_no_torch_is_imported_where_no_driver_is():
    code = (
        "import sys, numpy as np, evenmatch as em\n"
        "from evenmatch.pairs._cuda import _devices\n"
        "_devices._DRIVER_FILES = ('/nowhere',)\n"
        "rng = np.random.default_rng(0)\n"
        "result = em.audit(rng.normal(size=(60, 8)), np.arange(60) % 6)\n"
        "print(result.settings.engine, 'torch' in sys.modules, 'triton' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["cpu", "False", "False"]


def test_a_driver_whose_gpus_are_hidden_counts_for_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(_devices, "_DRIVER_FILES", (str(tmp_path),))
    monkeypatch.setattr(_devices, "_usable", lambda: [torch.device("cuda", 0)])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _devices.gpu_visible()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not _devices.gpu_visible()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(_devices, "_DRIVER_FILES", ("/nowhere",))
    assert not _devices.gpu_visible()


def test_ladders_of_any_kind_are_looked_up_alike():
    case = ACROSS["groups"]
    problem = Problem.build(*case.sets)
    ladder = Ladder.build(problem.grid, np.array([20_000, 20_001, 39_000]), (0.123, 0.5))
    cpu, cuda = (engine(problem, ladder) for engine in (CpuEngine(), CudaEngine()))
    np.testing.assert_array_equal(cpu.thresholds, cuda.thresholds)
    assert np.abs(cpu.negatives_accepted - cuda.negatives_accepted).max() <= 1


def test_the_commands_take_a_device(tmp_path, capsys):
    x, codes = clusters(200, 20)
    file = tmp_path / "embeddings.npz"
    np.savez(file, embeddings=x, labels=codes)
    assert main(["audit", str(file), "--device", "cuda", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["engine"] == "cuda"
    point = tmp_path / "point.json"
    assert main(["calibrate", str(file), "--far", "1e-2", "--device", "cuda", "--out", str(point)]) == 0
    assert point.exists()
    capsys.readouterr()
    assert main(["audit", str(file), "--device", "tpu"]) == 2
    assert "use 'auto', 'cpu', 'cuda' or 'cuda:0'" in capsys.readouterr().err
