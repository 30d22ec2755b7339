"""Shared by all tests; being here also lets them ``import reference``."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("reference", "contract")

# The same examples on every machine, and no failure because a shared one was slow.
settings.register_profile("evenmatch", deadline=None, derandomize=True, database=None)
settings.load_profile("evenmatch")
