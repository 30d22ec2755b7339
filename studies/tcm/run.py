"""Does TCM lower OPIS? Every data set × base loss × seed, with and without, and what the parts of TCM do.

    python studies/tcm/run.py            all of it; two processes by default
    python studies/tcm/run.py --quick    one row of the table: glyphs with Smooth-AP, two seeds

Three stages. ``select`` tries the margins and weights of study.yaml on validation classes, taken from the training
classes, and weights for margins that follow the data (AdaptiveTCMLoss). ``judge`` trains on all training classes,
without TCM and with the choice of each kind, and looks at the test classes for the first time. ``ablate`` changes one
thing at a time. Rows go to runs.csv as they are found, and a run that stands there is not done again, so the program
may be killed and started at any time; rows that study.yaml no longer asks for are dropped. tables.py makes the table
and the figures.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from fit import once
from tasks import STUDY, Task, available, load

from evenmatch.embeddings import atomic_path

HERE = Path(__file__).parent
KEY = ("stage", "data", "base", "arm", "seed", "change")
FIGURES = (
    "recall_at_1", "opis", "opis_debiased", "eps_opis", "far_spread", "frr_spread", "frr", "utility",
    "threshold_low", "threshold_high", "share_pos", "share_neg", "seconds",
)  # fmt: skip
OF_CLASS = ("data", "base", "seed")
Row = dict[str, str]


def text(value: Any) -> str:
    """A choice or a change as one cell of a CSV file."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True) if value else ""


def key(row: Row) -> tuple[str, ...]:
    """What tells a run from others."""
    return tuple(row[name] for name in KEY)


def key_of(stage: str, job: dict[str, Any]) -> tuple[str, ...]:
    """The same of a run that is to be done."""
    return stage, job["data"], job["base"], text(job["arm"]), str(job["seed"]), text(job["change"])


def of_class(row: Row, arm: str) -> tuple[str, ...]:
    """The run that a row of a class belongs to."""
    return (*(row[name] for name in OF_CLASS), arm)


def arm_name(arm: str) -> str:
    """What the tables call an arm."""
    return json.loads(arm).get("kind", "tcm") if arm else "base"


def jobs(stage: str, names: list[str], rows: list[Row], quick: bool) -> Iterator[dict[str, Any]]:
    """What a stage consists of, in an order that completes one comparison before it begins another."""
    bases = ["smooth_ap"] if quick else STUDY["bases"]
    if stage == "select":
        for data in names:
            for base in bases:
                for arm in [None, *STUDY["choices"], *STUDY["adaptive"]]:
                    yield {"data": data, "base": base, "arm": arm, "seed": STUDY["selection_seed"], "change": {}}
    elif stage == "judge":
        for seed in STUDY["seeds"][: 2 if quick else None]:
            for data in names:
                for base in bases:
                    for arm in (None, chosen(rows, data, base, "tcm"), chosen(rows, data, base, "adaptive")):
                        yield {"data": data, "base": base, "arm": arm, "seed": seed, "change": {}}
    elif not quick:
        yield from ablations(names, rows)


def ablations(names: list[str], rows: list[Row]) -> Iterator[dict[str, Any]]:
    """One change at a time, on the cells that study.yaml names."""
    plan = STUDY["ablation"]
    for data, base in plan["cells"]:
        if data not in names:
            continue
        arm = {"margin_pos": 0.9, "margin_neg": 0.5, "weight": 1.0}
        for seed in plan["seeds"]:
            cell = {"data": data, "base": base, "seed": seed}
            for positive in plan["margin_pos"]:
                for negative in plan["margin_neg"]:
                    if negative < positive:
                        yield {**cell, "arm": arm | {"margin_pos": positive, "margin_neg": negative}, "change": {}}
            for weight in plan["weight"]:
                yield {**cell, "arm": arm | {"weight": weight}, "change": {}}
            defaults = {"batch": STUDY["batch"]["size"], "dim": STUDY["network"]["dim"], "steps": STUDY["steps"][data]}
            for name, default in defaults.items():
                for value in plan[name]:
                    if value == default:  # the stage that judges has these
                        continue
                    for each in (None, chosen(rows, data, base, "tcm"), chosen(rows, data, base, "adaptive")):
                        yield {**cell, "arm": each, "change": {name: value}}
            yield {**cell, "arm": arm, "change": {"pairs": "all"}}


def chosen(rows: list[Row], data: str, base: str, kind: str) -> dict[str, Any]:
    """Margins and weights of a kind of TCM with the lowest debiased OPIS on validation classes that keep recall@1.

    Where none keeps it, those that lose least.
    """
    cell = [row for row in rows if (row["stage"], row["data"], row["base"]) == ("select", data, base)]
    plain = next(row for row in cell if not row["arm"])
    tried = [row for row in cell if arm_name(row["arm"]) == kind]
    floor = float(plain["recall_at_1"]) - STUDY["recall_tolerance"]
    kept = [row for row in tried if float(row["recall_at_1"]) >= floor]
    best = (
        min(kept, key=lambda row: float(row["opis_debiased"]))
        if kept
        else max(tried, key=lambda row: float(row["recall_at_1"]))
    )
    return json.loads(best["arm"])


@cache
def task_of(name: str, scratch: Path) -> Task:
    """Each process decodes a data set once."""
    torch.set_num_threads(1)
    return load(name, scratch)


def work(stage: str, job: dict[str, Any], scratch: Path) -> tuple[Row, list[Row]]:
    """Do one run; its row, and for the stage that judges a row a class."""
    task = task_of(job["data"], scratch)
    train, judged = task.train, task.test
    if stage == "select":
        train, judged = task.split(task.train, STUDY["validation"], seed=0)
    figures, audit = once(task, train, judged, job["seed"], job["base"], job["arm"], **job["change"])
    own = dict(zip(KEY, key_of(stage, job), strict=True))
    row = {**own, **{name: f"{figures[name]:.6g}" for name in FIGURES}}
    classes = []
    if stage == "judge":
        counts, table = audit.counts, audit.by_class
        first = np.bincount(counts.codes, counts.best_positive > counts.best_negative) / np.bincount(counts.codes)
        for label, share, recall in zip(table.index, table["opis"], first, strict=True):
            found = {"class": str(label), "opis_share": f"{share:.4g}", "recall_at_1": f"{recall:.4g}"}
            classes.append({**{name: own[name] for name in OF_CLASS}, "arm": arm_name(own["arm"]), **found})
    return row, classes


def read(path: Path) -> list[Row]:
    """Rows of a CSV file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[Row]) -> None:
    """All rows, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of runs.csv and classes.csv")
    parser.add_argument("--scratch", type=Path, default=Path("runs/study-tcm"), help="folder for unpacked images")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--stages", nargs="+", default=["select", "judge", "ablate"])
    arguments = parser.parse_args()
    for folder in (arguments.out, arguments.scratch):
        folder.mkdir(parents=True, exist_ok=True)
    names = ["glyphs"] if arguments.quick else available()
    for missing in [] if arguments.quick else sorted(set(STUDY["data"]) - set(names)):
        print(f"{missing}: the data is not at hand (set EVENMATCH_DATA); left out")
    rows = read(arguments.out / "runs.csv")
    classes = read(arguments.out / "classes.csv")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        for stage in arguments.stages:
            planned = {key_of(stage, job): job for job in jobs(stage, names, rows, arguments.quick)}
            if not arguments.quick:
                rows = [row for row in rows if row["stage"] != stage or row["data"] not in names or key(row) in planned]
            done = {key(row) for row in rows}
            known = {of_class(row, arm_name(row["arm"])) for row in rows if row["stage"] == "judge"}
            classes = [row for row in classes if of_class(row, row["arm"]) in known]  # not of runs that were cut off
            todo = [
                pool.submit(work, stage, job, arguments.scratch) for each, job in planned.items() if each not in done
            ]
            try:
                for number, future in enumerate(as_completed(todo), 1):
                    row, own = future.result()
                    if own:  # before the run itself, which is done only when all of it is on disk
                        classes += own
                        write(arguments.out / "classes.csv", classes)
                    rows.append(row)
                    write(arguments.out / "runs.csv", rows)
                    print(f"{stage} {number}/{len(todo)}:", *(row[name] for name in (*KEY[1:5], "recall_at_1", "opis")),
                          flush=True)  # fmt: skip
            except BaseException:  # say it now, not when all the others have been done for nothing
                pool.shutdown(cancel_futures=True)
                raise


if __name__ == "__main__":
    main()
