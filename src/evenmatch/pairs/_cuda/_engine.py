"""The CUDA engine: tiles of scores are made and counted in the registers of NVIDIA GPUs.

What a pair costs, and why the kernel is built as it is, stands in ``docs/scale-gpu.md``. In short: the product of a
tile runs on the tensor cores in bfloat16; each score then becomes a bin by one multiply-add; every pair increments
one cell of the pooled histogram; and only the pairs that reach the lowest class threshold (a tenth of them, by
default) also increment a cell of each of their two classes. Scores never leave the registers, so device memory is
read once for every few thousand pairs and is no limit; increments are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evenmatch.errors import InputError
from evenmatch.pairs._counts import PairCounts
from evenmatch.pairs._cuda._devices import find_devices
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._problem import Problem

__all__ = ["CudaEngine"]

_PRECISIONS = ("exact", "fast")


@dataclass(frozen=True)
class CudaEngine:
    """The engine ``"cuda"``: every pair, on one NVIDIA GPU or several (2020 or newer, through torch and Triton).

    How far a score s of vectors x and y of d dimensions may lie from the exact one, as a share of ‖x‖·‖y‖ (which is 1
    in cosine):

    - ``"exact"``: numbers are split into three bfloat16 parts, which hold all 24 bits of a float32, and six of the
      nine products of parts are added in float32. Those left out are below 2⁻²³; rounding adds at most 2⁻²¹ within 32
      dimensions and 2⁻²⁴ for each 32 dimensions that are added up: 1.6e-6 at d = 512 where every rounding errs to the
      same side, and about 3e-8 for usual embeddings. This is the accuracy of a float32 product.
    - ``"fast"``: numbers are rounded to bfloat16 first, to within 2⁻⁸ each: at most 2⁻⁷ + 2⁻¹⁶ = 7.9e-3, and about
      2.3e-3 / √d for usual embeddings, which is two steps of the grid at d = 512.

    Pairs are counted in integers, so that counts do not depend on the number of GPUs, on blocks or on luck. Where the
    vectors do not fit into device memory they stream through it in blocks, and where a block does not fit after all it
    is made smaller.

    Attributes:
        precision: ``"exact"`` or ``"fast"``.
        threads: CPU threads that prepare vectors; by default one a core.
        devices: numbers of GPUs, or names as ``"cuda:1"``; by default all there are, which share the tiles.
        block_rows: vectors in a block; by default as many as fit.

    Raises:
        MissingExtraError: torch or triton is not installed.
        InputError: unknown precision, or no such GPU.
    """

    precision: str = "exact"
    threads: int | None = None
    devices: Sequence[int | str] | None = None
    block_rows: int | None = None
    name: ClassVar[str] = "cuda"

    def __post_init__(self) -> None:
        if self.precision not in _PRECISIONS:
            known = " or ".join(map(repr, _PRECISIONS))
            raise InputError(f"precision {self.precision!r} is unknown to the engine 'cuda'; use {known}")
        if self.devices is not None and (isinstance(self.devices, str) or not len(self.devices)):
            raise InputError(f"devices is {self.devices!r}; give a list as ['cuda:0'], or leave it out for all GPUs")
        if self.block_rows is not None and self.block_rows < 1:
            raise InputError(f"block_rows is {self.block_rows}; give 1 or more, or leave it out for what fits")
        find_devices(self.devices)  # refuses before any work

    def __call__(
        self, problem: Problem, ladder: Ladder, *, progress: Callable[[float], None] | None = None
    ) -> PairCounts:
        from evenmatch.pairs._cuda._run import count_cuda

        return count_cuda(
            problem, ladder, devices=find_devices(self.devices), precision=self.precision, threads=self.threads,
            block_rows=self.block_rows, progress=progress,
        )  # fmt: skip
