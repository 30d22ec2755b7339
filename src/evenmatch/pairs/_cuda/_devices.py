"""Which GPUs there are, found out without importing torch where there is none."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evenmatch.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import torch

__all__ = ["find_devices", "gpu_visible"]

# the NVIDIA driver's control device on Linux, and the one of Windows' Linux
_DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg")
_CAPABILITY = (8, 0)  # bfloat16 products


def gpu_visible() -> bool:
    """Whether the engine ``"cuda"`` can run here; torch is imported only if there is a driver to ask."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if not any(Path(file).exists() for file in _DRIVER_FILES):
        return False
    if any(importlib.util.find_spec(name) is None for name in ("torch", "triton")):
        return False
    return bool(_usable())


def find_devices(devices: Sequence[int | str] | None = None) -> list[torch.device]:
    """The devices to count on.

    Args:
        devices: numbers of GPUs or names as ``"cuda:1"``; by default every GPU that torch sees. Under
            ``TRITON_INTERPRET=1`` the kernel runs on the CPU, and the only devices are ``"cpu"``.

    Raises:
        MissingExtraError: torch or triton is not installed.
        InputError: there is no GPU, or not this one, or it is too old.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "gpu", "engine='cuda'") from error
    try:
        from evenmatch.pairs._cuda._triton import INTERPRETED
    except ImportError as error:
        raise MissingExtraError("triton", "gpu", "engine='cuda'") from error

    if INTERPRETED:
        names = ["cpu"] if devices is None else [str(device) for device in devices]
        if set(names) != {"cpu"}:
            raise InputError(f"devices is {devices}, but TRITON_INTERPRET=1 computes on 'cpu' alone; unset it")
        return [torch.device("cpu") for _ in names]
    usable = _usable()
    if not usable:
        why = (
            "torch is built without CUDA" if torch.version.cuda is None else "torch sees no NVIDIA GPU of 2020 or newer"
        )
        raise InputError(f"engine 'cuda' has no GPU to run on: {why}; use device='cpu'")
    if devices is None:
        return usable
    found = []
    for device in devices:
        name = f"cuda:{device}" if isinstance(device, int) else str(device)
        matches = [each for each in usable if name in (str(each), "cuda")]
        if not matches:
            known = ", ".join(map(repr, map(str, usable)))
            raise InputError(f"device {device!r} is not one of the GPUs here; use {known}")
        found.extend(each for each in matches if each not in found)
    return found


def _usable() -> list[torch.device]:
    import torch

    if not torch.cuda.is_available():
        return []
    every = range(torch.cuda.device_count())
    return [torch.device("cuda", i) for i in every if torch.cuda.get_device_capability(i) >= _CAPABILITY]
