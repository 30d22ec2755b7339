"""Shared by all tests; being here also lets them ``import reference``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Without a GPU the kernels of engine "cuda" run in Triton's interpreter, which Triton decides when it is imported.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

pytest.register_assert_rewrite("reference", "contract")

# The same examples on every machine, and no failure because a shared one was slow.
settings.register_profile("evenmatch", deadline=None, derandomize=True, database=None)
settings.load_profile("evenmatch")
