"""What a long run has counted so far, in a file that is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from evenmatch.embeddings import atomic_path
from evenmatch.errors import ArtefactError, InputError
from evenmatch.pairs._cpu import TILE_COLS, TILE_ROWS
from evenmatch.pairs._ladder import Ladder
from evenmatch.pairs._parts import BlockCounts, BlockGrid, PartCounts
from evenmatch.pairs._problem import Problem

__all__ = ["Checkpoint"]

_KIND, _SCHEMA = "evenmatch.counts", 1


@dataclass(frozen=True)
class Checkpoint:
    """The file of one pass over one problem, in a folder that may hold those of other passes of the same audit.

    Attributes:
        folder: where it lies.
        data: fingerprint of the samples, their classes and groups, and the metric.
        run: fingerprint of that, of the thresholds and of the precision: counts of the same run add up.
    """

    folder: Path
    data: str
    run: str

    @classmethod
    def of(cls, folder: Path, problem: Problem, ladder: Ladder, precision: str) -> Checkpoint:
        """Name the file of a pass."""
        data = hashlib.sha256(f"{problem.grid} {problem.half}".encode())
        for side in (problem.rows,) if problem.half else (problem.rows, problem.cols):
            data.update(side.source.fingerprint.encode())
            data.update(np.ascontiguousarray(side.groups, dtype="<i4").data)
        run = hashlib.sha256(f"{data.hexdigest()} {precision} {TILE_ROWS} {TILE_COLS}".encode())
        run.update(np.ascontiguousarray(ladder.thresholds, dtype="<f8").data)
        return cls(folder, data.hexdigest(), run.hexdigest())

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"pass-{self.run[:16]}.npz"

    @property
    def finished(self) -> bool:
        """Whether the file holds all counts of this pass."""
        return self.path.exists() and not _facts(self.path)["left"]

    def require_free(self) -> None:
        """Refuse to start where there is something to continue.

        Raises:
            InputError: the folder holds an unfinished pass, or one over other data; or it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"checkpoint folder {self.folder} cannot be made ({error.strerror})") from error
        for path in sorted(self.folder.glob("pass-*.npz")):
            facts = _facts(path)
            if facts["data"] != self.data or facts["left"]:
                raise InputError(
                    f"{self.folder} holds the checkpoint of a run; continue it with resume (--resume), or use another "
                    "folder"
                )

    def load(self) -> tuple[BlockGrid, PartCounts | None] | None:
        """What this pass has counted, and how it was cut; None if it has not begun.

        Raises:
            InputError: the folder holds a pass over other data or with other settings only.
            ArtefactError: the file is damaged.
        """
        if not self.path.exists():
            others = [_facts(path) for path in sorted(self.folder.glob("pass-*.npz"))]
            if any(facts["data"] != self.data for facts in others):
                raise InputError(
                    f"{self.folder} holds the checkpoint of other data (or another metric); resume with the data it "
                    "was made of, or use another folder"
                )
            if any(facts["left"] for facts in others):
                raise InputError(
                    f"{self.folder} holds the checkpoint of a run with other settings (far, thresholds, precision or "
                    "version); resume with the same ones, or use another folder"
                )
            return None
        facts = _facts(self.path)
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files if name != "facts"}
        except Exception as error:
            raise _damaged(self.path) from error
        grid = BlockGrid(tuple(facts["row_edges"]), tuple(facts["col_edges"]), facts["half"])
        return grid, _from_arrays(facts["parts"], arrays) if facts["parts"] else None

    def save(self, grid: BlockGrid, total: PartCounts | None) -> None:
        """Write what has been counted; a kill leaves the former file."""
        facts = {
            "kind": _KIND,
            "schema": _SCHEMA,
            "data": self.data,
            "left": len(grid.parts) - (0 if total is None else len(total.parts)),
            "row_edges": grid.row_edges,
            "col_edges": grid.col_edges,
            "half": grid.half,
            "parts": [] if total is None else total.parts,
        }
        arrays = {} if total is None else _to_arrays(total)
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)


def _facts(path: Path) -> dict[str, Any]:
    try:
        # opened here because numpy leaves a damaged file open
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            facts = json.loads(str(archive["facts"]))
    except Exception as error:
        raise _damaged(path) from error
    if facts.get("kind") != _KIND or facts.get("schema") != _SCHEMA:
        raise ArtefactError(f"{path} is a checkpoint of schema {facts.get('schema')}, not {_SCHEMA}; start again")
    return facts


def _damaged(path: Path) -> ArtefactError:
    return ArtefactError(f"{path} cannot be read as a checkpoint; remove it and start again")


def _to_arrays(counts: PartCounts) -> dict[str, Any]:
    arrays: dict[str, Any] = {"pooled": counts.pooled}
    arrays |= {f"groups/{name}": table for name, table in counts.groups.items()}
    for side in ("rows", "cols"):
        for at, block in getattr(counts, side).items():
            arrays |= {f"{side}/{at}/{field.name}": getattr(block, field.name) for field in fields(block)}
    return arrays


def _from_arrays(parts: list[Any], arrays: dict[str, np.ndarray]) -> PartCounts:
    sides: dict[str, dict[int, dict[str, Any]]] = {"rows": {}, "cols": {}}
    groups = {}
    for name, array in arrays.items():
        head, _, rest = name.partition("/")
        if head == "groups":
            groups[rest] = array
        elif head in sides:
            at, _, field = rest.partition("/")
            sides[head].setdefault(int(at), {})[field] = int(array) if field == "first" else array
    blocks = {side: {at: BlockCounts(**values) for at, values in found.items()} for side, found in sides.items()}
    log = tuple(((int(i), int(j)), float(seconds), str(place)) for (i, j), seconds, place in parts)
    return PartCounts(log, arrays["pooled"], groups, blocks["rows"], blocks["cols"])
