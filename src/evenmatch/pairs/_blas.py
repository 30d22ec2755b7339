"""The BLAS on one thread, while threads of our own are the parallel ones."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy  # noqa: F401  its BLAS must be loaded when libraries are looked for,
import scipy.linalg  # noqa: F401  and that of compiled code
from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


@cache
def _libraries() -> ThreadpoolController:
    """Those of this process; to look for them takes milliseconds, so it is done once."""
    return ThreadpoolController().select(user_api="blas")


def one_blas_thread() -> AbstractContextManager[Any]:
    """Hold the BLAS to one thread from now on until the ``with`` block ends."""
    return _libraries().limit(limits=1)
