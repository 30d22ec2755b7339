"""The losses need torch; without the `train` extra there is nothing to collect here."""

import importlib.util

import pytest

if any(importlib.util.find_spec(name) is None for name in ("torch", "pytorch_metric_learning")):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def batch():
    """Make a batch whose scores straddle both margins: batch(n, dtype=..., per_class=..., seed=...) -> rows, labels."""
    import torch

    def make(n, *, dtype=torch.float64, per_class=4, width=8, seed=0):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randperm(n, generator=generator) // per_class
        centres = torch.randn(n, width, generator=generator, dtype=torch.float64)
        noise = torch.randn(n, width, generator=generator, dtype=torch.float64)
        lengths = 0.5 + torch.rand(n, 1, generator=generator, dtype=torch.float64)
        rows = lengths * (1 + centres[labels] + 0.45 * noise)  # the 1: a direction that all classes share
        return rows.to(dtype).requires_grad_(), labels

    return make
