"""A Lightning logger that survives interruptions: one CSV, whole at any time, without rows from a lost future."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from evenmatch.embeddings import atomic_path
from evenmatch.errors import ArtefactError

__all__ = ["MetricsCSV"]


class MetricsCSV(Logger):
    """Writes a table with a row for each logged step and a column for each quantity.

    Lightning's own CSVLogger deletes the file of an earlier run; this one goes on where a checkpoint was taken.

    Args:
        path: the file.
        resume_at: keep the rows of the file up to this step; None starts anew.

    Raises:
        ArtefactError: the file to go on with is no such table.
    """

    def __init__(self, path: Path, resume_at: int | None = None) -> None:
        super().__init__()
        self._path = path
        self._rows: dict[int, dict[str, Any]] = {}
        if resume_at is not None and path.exists():
            self._rows = {step: row for step, row in _read(path).items() if step < resume_at}

    @property
    def name(self) -> str:
        """Empty: the file lies in the run folder itself."""
        return ""

    @property
    def version(self) -> str:
        """Empty, for the same reason."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self._path.parent)

    @override
    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Take in the quantities of a step; `save` writes them."""
        row = self._rows.setdefault(int(step or 0), {})
        row.update({name: float(value) for name, value in metrics.items()})

    @override
    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration is in its own file."""

    @override
    @rank_zero_only
    def save(self) -> None:
        """Write the table, whole or not at all."""
        if not self._rows:
            return
        columns = sorted({name for row in self._rows.values() for name in row} - {"epoch"})
        with atomic_path(self._path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", *columns])
            for step in sorted(self._rows):
                writer.writerow([step, *(self._rows[step].get(name, "") for name in columns)])

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()


def _read(path: Path) -> dict[int, dict[str, Any]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {
                int(row.pop("step")): {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            }
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path} is not a table of metrics ({error}); remove it and resume again") from error
