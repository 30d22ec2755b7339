"""The package as a whole: light to import, open about its names, small in its modules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import evenmatch as em

ROOT = Path(__file__).parents[1]
HEAVY = ["torch", "plotly", "faiss", "numba", "pandas", "matplotlib", "scipy", "sklearn", "pyarrow", "rich", "typer"]


def modules_after(statement: str) -> set[str]:
    """Top-level modules of a fresh Python after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import evenmatch", "import evenmatch as em; em.__version__; dir(em)"])
def test_importing_it_imports_nothing_heavy(statement):
    loaded = modules_after(statement)
    assert "evenmatch" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_an_audit_needs_neither_torch_nor_plotly():
    code = (
        "import numpy as np, evenmatch as em; x = np.random.default_rng(0).normal(size=(60, 4));"
        "em.audit(x, [i // 3 for i in range(60)]).summary()"
    )
    assert modules_after(code).isdisjoint({"torch", "plotly", "matplotlib", "lightning", "timm"})


def test_every_public_name_resolves():
    assert len(set(em.__all__)) == len(em.__all__)
    for name in em.__all__:
        try:
            found = getattr(em, name)
        except em.errors.MissingExtraError as error:
            found = error.extra  # it says which one to install
        assert found
    assert set(em.__all__) <= set(dir(em))
    assert {"audit", "Audit", "EmbeddingSet", "load", "save", "errors"} <= set(em.__all__)


def test_an_unknown_name_raises_what_python_expects():
    with pytest.raises(AttributeError, match="module 'evenmatch' has no attribute 'nonsense'"):
        em.nonsense  # noqa: B018
    assert not hasattr(em, "nonsense")


def sources(*folders: str) -> list[Path]:
    suffixes = {".py", ".md", ".toml", ".yml", ".yaml", ".cff", ".cfg", ".txt"}
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def test_no_module_is_longer_than_400_lines():
    modules = sources("src")
    assert len(modules) > 20
    long = {str(path.relative_to(ROOT)): n for path in modules if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_nothing_names_a_place_on_somebodys_machine():
    # an absolute path below the folders where people and machines keep their work
    places = re.compile(r"(?<![\w.])/(?:" + "|".join(["work", "home", "Users", "root", "mnt"]) + r")/\w")
    texts = [*sources("src", "tests", "docs", "examples", "benchmarks"), *sorted(ROOT.glob("*.md")), ROOT / "Makefile"]
    assert len(texts) > 40
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if places.search(line)
    ]
    assert named == []
