"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import evenmatch
from evenmatch.errors import MissingExtraError

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(evenmatch.__path__, "evenmatch.", onerror=lambda name: None)
    if not info.name.endswith("__main__")
)
EXTRAS = {
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "pytorch_metric_learning",
    "dask",
    "distributed",
    "faiss",
    "triton",
}


def imported(name: str) -> ModuleType:
    """The module, or a skip that says which extra it would need."""
    try:
        return importlib.import_module(name)
    except MissingExtraError as error:
        pytest.skip(f"{name}: {error}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRAS:
            raise
        pytest.skip(f"{name} needs {error.name}, which is not installed")


@pytest.mark.parametrize("name", ["evenmatch", *MODULES])
def test_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    module = imported(name)
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0


def test_the_public_functions_have_an_example():
    from evenmatch.auditing import audit
    from evenmatch.embeddings import EmbeddingSet, load, save
    from evenmatch.measures import consistency
    from evenmatch.pairs import count_pairs

    for function in (audit, load, save, consistency, count_pairs, EmbeddingSet, EmbeddingSet.from_arrays):
        assert ">>> " in (function.__doc__ or ""), function
