"""The example notebooks run from top to bottom, and what they hold is what they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def shown(cell: Any) -> list[str]:
    """What a reader sees below a cell: kinds of output, and text that does not depend on the machine."""
    found = []
    for output in cell.get("outputs", []):
        content = output.get("data", {})
        kind = next(
            (each for each in ("text/html", "image/png", "text/plain") if each in content), output["output_type"]
        )
        found.append(kind)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# the kernel's own libraries warn about event loops and paths to come; what the cells warn about fails below
@pytest.mark.filterwarnings("default")
def test_a_notebook_runs_and_gives_what_it_shows(path, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    kept = [shown(cell) for cell in notebook.cells]
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [shown(cell) for cell in notebook.cells] == kept
    streams = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if output["output_type"] == "stream"
    ]
    assert streams == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["compare.html", "report.html"]


def test_there_is_a_notebook():
    assert NOTEBOOKS
