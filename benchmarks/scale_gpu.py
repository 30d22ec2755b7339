"""How close counting on a GPU comes to the matrix product alone, and what the same counts cost in plain torch.

Each ratio is of times taken in turn in one process. What would take minutes is measured on part of the pairs and says
so. Results are printed as they come and, with ``--json FILE``, written there after each of them, so that a run that is
cut short has said what it knew.

    python benchmarks/scale_gpu.py                    n = 10⁶, d = 512, 50,000 classes; a few minutes on an H200
    python benchmarks/scale_gpu.py --n 200000         a smaller problem
    python benchmarks/scale_gpu.py --shapes           also other tile shapes, to see whether the chosen one is best
    python benchmarks/scale_gpu.py --interpret        a tiny problem without a GPU, to see that all of it runs
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from output import show, write
from timing import in_turn, ratios

FAR = (1e-2, 1e-1)


class Report:
    """Results by name, printed and written as they come."""

    def __init__(self, file: Path | None, limit: float) -> None:
        self.file, self.limit, self.started = file, limit, time.perf_counter()
        self.results: dict[str, Any] = {}

    def add(self, name: str, **values: Any) -> None:
        self.results[name] = values
        show(name, values)
        write(self.results, self.file)

    def step(self, name: str, work: Callable[[], None]) -> None:
        """Do a part of the benchmark; a part that fails or comes too late does not stop the others."""
        if time.perf_counter() - self.started > self.limit:
            self.add(name, skipped=f"the limit of {self.limit:g} s had passed")
            return
        try:
            work()
        except Exception as error:
            self.add(name, failed=f"{type(error).__name__}: {str(error)[:300]}")


class Bench:
    """A data set on a device, and what is timed on it."""

    def __init__(self, n: int, dim: int, n_classes: int, runs: int, report: Report) -> None:
        import torch

        from evenmatch.embeddings import EmbeddingSet
        from evenmatch.pairs._cuda._devices import find_devices
        from evenmatch.pairs._ladder import Ladder
        from evenmatch.pairs._problem import Problem
        from evenmatch.pairs._window import look

        self.torch, self.runs, self.report = torch, runs, report
        self.device = find_devices()[0]
        generator = torch.Generator(self.device).manual_seed(0)
        labels = np.random.default_rng(0).permutation(np.arange(n) % n_classes)
        centres = 0.7 * torch.randn((n_classes, dim), generator=generator, device=self.device)
        vectors = torch.empty((n, dim))
        for at in range(0, n, 65536):
            own = torch.from_numpy(labels[at : at + 65536]).to(self.device)
            noise = torch.randn((len(own), dim), generator=generator, device=self.device)
            vectors[at : at + 65536] = (centres[own] + noise).cpu()
        started = time.perf_counter()
        self.data = EmbeddingSet.from_arrays(vectors.numpy(), labels)
        self.problem = Problem.build(self.data)
        self.ladder = Ladder.build(self.problem.grid, look(self.problem, FAR))
        report.add(
            "data", n=n, dim=dim, classes=n_classes, pairs=self.problem.n_pairs,
            thresholds=int(self.ladder.thresholds.size), host_seconds=time.perf_counter() - started,
        )  # fmt: skip

    def seconds(self, work: Callable[[], object]) -> float:
        self.wait()
        started = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - started

    def wait(self) -> None:
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()

    def unit(self, dtype: Any) -> Any:
        """The sorted, normalised vectors on the device."""
        n, dim = self.problem.rows.n, self.data.dim
        out = self.torch.empty((n, dim), dtype=dtype, device=self.device)
        for at in range(0, n, 65536):
            stop = min(at + 65536, n)
            out[at:stop] = self.torch.from_numpy(self.problem.rows.block(at, stop)).to(self.device)
        return out

    def product(self, x: Any, times: int) -> None:
        """The floor: the product of half the matrix in blocks, ``times`` over, kept nowhere."""
        block = 16384
        buffer = self.torch.empty((block * block,), dtype=x.dtype, device=self.device)
        for at in range(0, len(x), block):
            rows = x[at : at + block]
            for col in range(at, len(x), block):
                cols = x[col : col + block]
                out = buffer[: len(rows) * len(cols)].view(len(rows), len(cols))
                for _ in range(times):
                    self.torch.mm(rows, cols.T, out=out)

    def counting(self, precision: str, shape: Any = None) -> tuple[Any, Callable[[], None], float]:
        """A pass whose vectors are on the device already, and how long it took to put them there."""
        from evenmatch.pairs._cuda import _run
        from evenmatch.pairs._cuda._launch import shape_for

        parts = _run.PARTS[precision]
        shape = shape or shape_for(self.device, parts)
        direct = _run._direct_works(str(self.device), precision)
        run = _run.Pass(self.problem, self.ladder, [self.device], shape, parts, direct=direct)
        span, threads = range(self.problem.rows.n), os.cpu_count() or 1
        with ThreadPoolExecutor(threads) as pool:
            blocks: list[Any] = []
            loading = self.seconds(lambda: blocks.extend(run.load(self.problem.rows, span, pool, threads)))

        def work() -> None:
            with ThreadPoolExecutor(1) as pool:
                run.count_between(blocks, blocks, span, span, pool, None)

        return run, work, loading

    def against_product(self, precision: str) -> None:
        """A pass against its own product, in turn."""
        x, repeats = self.unit(self.torch.bfloat16), 1 if precision == "fast" else 6
        run, work, loading = self.counting(precision)
        compiling = self.seconds(work)
        counted = int(run.tallies[0].pooled.sum())
        self.product(x, repeats)
        works = {"product": lambda: self.product(x, repeats), "pass": work}
        times = in_turn(works, self.runs, warm_up=False, clock=self.seconds)
        found = ratios(times, "pass", "product")
        seconds, floor = (statistics.median(times[name]) for name in ("pass", "product"))
        flops = 2.0 * self.problem.n_pairs * self.data.dim * repeats
        self.report.add(
            f"pass, {precision}", ratio_to_product=statistics.median(found), lowest=min(found), highest=max(found),
            seconds=seconds, product_seconds=floor, product_tflops=flops / floor / 1e12,
            pairs_a_second=self.problem.n_pairs / seconds, loading_seconds=loading, first_seconds=compiling,
            counted_in_shared_memory=run.window is not None, every_pair_counted=counted == self.problem.n_pairs,
        )  # fmt: skip

    def float32_product(self) -> None:
        """What torch's own float32 product would cost, without TF32: another floor of ``exact``."""
        x = self.unit(self.torch.float32)[: min(self.problem.rows.n, 100_000)]
        self.product(x, 1)
        share = (len(x) / self.problem.rows.n) ** 2
        spent = self.seconds(lambda: self.product(x, 1)) / share
        self.report.add("float32 product in torch", seconds=spent, measured_on_share=share)

    def whole(self, precision: str) -> None:
        """Everything from vectors in host memory to counts."""
        from evenmatch.pairs import count_pairs

        spent = self.seconds(lambda: count_pairs(self.data, engine="cuda", precision=precision))
        self.report.add(f"count_pairs, {precision}", seconds=spent)

    def plain_torch(self, precision: str) -> None:
        """The same counts in blocks of plain torch, as well as we can write it."""
        x = self.unit(self.torch.bfloat16 if precision == "fast" else self.torch.float32)
        plain = PlainTorch(self.problem, self.ladder, x)
        block = 8192 if self.device.type == "cuda" else 256
        squares = [(at, col) for at in range(0, len(x), block) for col in range(at, len(x), block)]
        chosen = squares[:: max(len(squares) // 24, 1)]
        plain.count(chosen[:2], block)
        pairs = sum(plain.pairs(at, col, block) for at, col in chosen)
        spent = self.seconds(lambda: plain.count(chosen, block))
        whole = spent * self.problem.n_pairs / pairs
        own = self.report.results.get(f"pass, {precision}", {}).get("seconds")
        self.report.add(
            f"plain torch, {precision}", seconds=whole, measured_on_share=pairs / self.problem.n_pairs,
            times_ours=whole / own if own else "unknown",
        )  # fmt: skip

    def faiss(self) -> None:
        """FAISS's flat search of the two best references of each query: a product and a selection, no counts."""
        try:
            import faiss
        except ImportError:
            self.report.add("FAISS flat search", skipped="faiss is not installed")
            return
        index: Any = faiss.IndexFlatIP(self.data.dim)
        if self.device.type == "cuda":
            if not hasattr(faiss, "StandardGpuResources"):
                self.report.add("FAISS flat search", skipped="this faiss has no GPU support")
                return
            index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
        x = self.problem.rows.block(0, self.problem.rows.n)
        index.add(x)
        queries = x[: max(len(x) // 20, 64)]
        index.search(queries[:64], 2)
        spent = self.seconds(lambda: index.search(queries, 2)) * len(x) / len(queries)
        self.report.add("FAISS flat search", seconds=spent, measured_on_share=len(queries) / len(x))

    def shapes(self, precision: str) -> None:
        """Other tile shapes, each once after a warm-up."""
        from dataclasses import replace

        from evenmatch.pairs._cuda._launch import shape_for

        own = shape_for(self.device, 1 if precision == "fast" else 3)
        others = {
            "own": own,
            "one program": replace(own, stages=3, registers=None, programs=max(own.programs // 2, 1)),
            "16 warps": replace(own, cols=256, warps=16, stages=2, registers=None, programs=max(own.programs // 2, 1)),
            "half a tile": replace(own, cols=64, warps=4, stages=3, registers=None),
            "128 registers": replace(own, registers=128, stages=2),
        }
        for name, shape in others.items():

            def one(name: str = name, shape: Any = shape) -> None:
                run, work, _ = self.counting(precision, shape)
                work()
                right = int(run.tallies[0].pooled.sum()) == self.problem.n_pairs
                self.report.add(f"shape, {precision}, {name}", seconds=self.seconds(work), every_pair_counted=right)

            self.report.step(f"shape, {precision}, {name}", one)


class PlainTorch:
    """Pooled histograms, class tables and best scores by torch's own operations, a block at a time."""

    def __init__(self, problem: Any, ladder: Any, x: Any) -> None:
        import torch

        self.torch, self.problem, self.ladder, self.x = torch, problem, ladder, x
        self.codes = torch.from_numpy(problem.rows.codes.astype(np.int64)).to(x.device)
        self.rungs = torch.from_numpy(ladder.rungs.astype(np.int64)).to(x.device)
        cells = 2 * problem.classes.size * ladder.width
        self.pooled = torch.zeros(2 * problem.grid.size, dtype=torch.int64, device=x.device)
        self.table = torch.zeros(cells, dtype=torch.int32, device=x.device)
        self.best = torch.full((2, len(x)), -np.inf, device=x.device)

    def pairs(self, at: int, col: int, block: int) -> int:
        rows, cols = min(block, len(self.x) - at), min(block, len(self.x) - col)
        return rows * (rows - 1) // 2 if at == col else rows * cols

    def count(self, squares: list[tuple[int, int]], block: int) -> None:
        for at, col in squares:
            self._block(slice(at, at + block), slice(col, col + block))

    def _block(self, rows: slice, cols: slice) -> None:
        torch, grid, width = self.torch, self.problem.grid, self.ladder.width
        scores = (self.x[rows] @ self.x[cols].T).float()
        bins = (scores * (1 / grid.step) + 0.5).floor_().to(torch.int32).add_(grid.zero_bin).clamp_(0, grid.size - 1)
        row_codes, col_codes = self.codes[rows], self.codes[cols]
        same = None
        if rows == cols or int(row_codes[-1]) >= int(col_codes[0]):  # sorted by class: only near the diagonal
            same = row_codes[:, None] == col_codes[None, :]
        if rows == cols:
            upper = torch.triu(torch.ones_like(scores, dtype=torch.bool), 1)
            counted = (bins + same * grid.size)[upper]
        else:
            upper = None
            counted = bins.flatten() if same is None else (bins + same * grid.size).flatten()
        self.pooled += torch.bincount(counted, minlength=2 * grid.size)
        kept = bins >= self.ladder.first if upper is None else (bins >= self.ladder.first) & upper
        i, j = kept.nonzero(as_tuple=True)
        slots = self.rungs[bins[i, j].long() - self.ladder.first]
        ones = torch.ones_like(slots, dtype=torch.int32)
        half = self.table.numel() // 2
        sign = torch.zeros_like(slots) if same is None else same[i, j].long() * half
        self.table.scatter_add_(0, sign + row_codes[i] * width + slots, ones)
        other = col_codes[j] * width + slots
        self.table.scatter_add_(
            0, other if same is None else other[sign == 0], ones if same is None else ones[sign == 0]
        )
        for k, own in enumerate([None] if same is None else [~same, same]):
            masked = scores if own is None else scores.masked_fill(~own if upper is None else ~(own & upper), -np.inf)
            self.best[k, rows] = torch.maximum(self.best[k, rows], masked.amax(dim=1))
            self.best[k, cols] = torch.maximum(self.best[k, cols], masked.amax(dim=0))

    def counts(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """All pairs: the pooled histogram (negative, then positive pairs) and the negative half of the class table."""
        everything = range(0, len(self.x), block)
        self.count([(at, col) for at in everything for col in everything if col >= at], block)
        half = self.table.numel() // 2
        return self.pooled.cpu().numpy(), self.table[:half].cpu().numpy()


def agreement(report: Report, n: int, dim: int, n_classes: int) -> None:
    """Counts of the GPU against the CPU engine's, and the plain torch code's against them: is the same thing timed?"""
    from evenmatch.pairs import CpuEngine, CudaEngine

    small = Bench(n, dim, n_classes, 1, Report(None, 1e9))
    truth = CpuEngine()(small.problem, small.ladder)
    for precision in ("exact", "fast"):
        counts = CudaEngine(precision=precision)(small.problem, small.ladder)
        off = np.abs(counts.accepted_negatives - truth.accepted_negatives)
        report.add(
            f"against the CPU engine, {precision}", share_of_pairs_off=int(off.max()) / truth.n_negatives,
            class_cells_off=float((counts.negatives_accepted != truth.negatives_accepted).mean()),
            largest_best_score_difference=float(np.abs(counts.best_negative - truth.best_negative).max()),
        )  # fmt: skip
        counts.require_conserved(small.problem.n_pairs)
    pooled, _ = PlainTorch(small.problem, small.ladder, small.unit(small.torch.float32)).counts(4096)
    off = np.abs(np.cumsum(pooled[: truth.grid.size] - truth.pooled_negatives))
    report.add("plain torch against it", share_of_pairs_off=int(off.max()) / truth.n_negatives)


def steps(bench: Bench, shapes: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    for precision in ("fast", "exact"):
        yield f"pass, {precision}", lambda precision=precision: bench.against_product(precision)
    for precision in ("fast", "exact"):
        yield f"plain torch, {precision}", lambda precision=precision: bench.plain_torch(precision)
    for precision in ("fast", "exact"):
        yield f"count_pairs, {precision}", lambda precision=precision: bench.whole(precision)
    yield "float32 product in torch", bench.float32_product
    yield "FAISS flat search", bench.faiss
    if shapes:
        for precision in ("fast", "exact"):
            yield f"shapes, {precision}", lambda precision=precision: bench.shapes(precision)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, help="by default one for every 20 samples")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", action="store_true", help="also time other tile shapes")
    parser.add_argument("--limit", type=float, default=480, help="seconds after which no further part is begun")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results here after each part")
    parser.add_argument("--interpret", action="store_true", help="a tiny problem in Triton's interpreter, on the CPU")
    arguments = parser.parse_args()
    n, dim = (700, 32) if arguments.interpret else (arguments.n, arguments.dim)
    if arguments.interpret:
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
    else:
        from evenmatch.pairs import gpu_visible

        if not gpu_visible():
            print("no NVIDIA GPU that torch can use is visible here: nothing is measured (try --interpret)")
            sys.exit(0)
    import torch
    import triton

    report = Report(arguments.json, arguments.limit)
    name = "the interpreter, on a CPU" if arguments.interpret else torch.cuda.get_device_name(0)
    report.add(
        "machine", device=name, torch=torch.__version__, triton=triton.__version__, python=platform.python_version(),
        date=date.today().isoformat(),
    )  # fmt: skip
    size = (500, 24, 50) if arguments.interpret else (20_000, 512, 1_000)
    report.step("agreement", lambda: agreement(report, *size))
    bench = Bench(n, dim, arguments.classes or n // 20, arguments.runs, report)
    for name, work in steps(bench, arguments.shapes):
        report.step(name, work)
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
