"""The engine ``"cuda"``; torch and Triton are imported only where it is made."""

from evenmatch.pairs._cuda._devices import gpu_visible
from evenmatch.pairs._cuda._engine import CudaEngine

__all__ = ["CudaEngine", "gpu_visible"]
