"""The tables of the study, from its raw results."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

__all__ = ["results"]

METHODS = {
    "untouched": "the old threshold",
    "uncorrected": "all pairs taken for negatives",
    "curves": "`em.transfer(point, new)`",
    "neighbours": "`em.transfer(point, new, source=old)`",
    "true share": "the true share of matches",
}
Rows = list[dict[str, str]]


def results(folder: Path, parts: list[str], where: str) -> str:
    """The page, from the CSV files that are there."""
    rows = {name: _read(folder / f"{name}.csv") for name in parts}
    moved = rows["clinc"] + rows["clinc_fresh"] + rows["clinc_all"] + rows["glyphs"]
    return (
        "\n\n".join(
            [
                "# Thresholds on domains without labels",
                where,
                "## How far the realised FAR is from the target\n\n"
                "Median of |FAR − target| over splits, and its 90th percentile, in units of the target. CLINC150: fit "
                "on five\ndomains, applied to the other five, this many queries a side; fresh: choices of the "
                "five that were not looked\nat when the method's settings were chosen. Glyphs: fit on Latin, "
                "applied to each other\nscript, five renderings each, principal components (`evenmatch demo` without "
                "torch). π: median of the\nestimated over the true share of matches, and the standard deviation of its "
                "logarithm.",
                _deviations(moved),
                "## How often the 95% interval holds the realised FAR\n\n"
                '"No shift": other intents, drawn at random. Under a shift the matches\' scores move, too, which no '
                "interval from\nthe calibration data can know. Thin: splits in which the evidence was called too thin.",
                _coverage(rows["same_kind"] + moved),
                "## The drift alarm\n\n"
                'Share of checks in which it fired, ± one standard error. "FAR": median factor by which the FAR at the '
                "old\nthreshold was off, up or down.",
                _alarm(rows["drift"]),
            ]
        )
        + "\n"
    )


def _read(path: Path) -> Rows:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _cases(rows: Rows) -> list[tuple[str, str, Rows]]:
    """Splits that belong together: name, target, rows."""
    groups: dict[tuple[str, str], Rows] = {}
    for row in rows:
        name = f"CLINC150, {row['case']}, {row['size']}" if row["data"] == "clinc150" else "glyphs"
        groups.setdefault((name, row["target"]), []).append(row)
    return [(name, target, group) for (name, target), group in groups.items()]


def _deviations(rows: Rows) -> str:
    lines = []
    for name, target, group in _cases(rows):
        for method, words in METHODS.items():
            chosen = [row for row in group if row["method"] == method]
            off = np.array([abs(float(row["realised"]) / float(target) - 1) for row in chosen])
            share = "–"
            if method in ("curves", "neighbours"):
                ratios = np.array([float(row["positives"]) / float(row["true_positives"]) for row in chosen])
                share = f"{np.median(ratios):.2f}, {np.std(np.log(np.maximum(ratios, 1e-2))):.2f}"
            lines.append(
                [name, target, str(len(chosen)), words, f"{np.median(off):.3f}", f"{np.quantile(off, 0.9):.3f}", share]
            )
    return _markdown(["data", "target", "splits", "threshold from", "median", "90%", "π"], lines)


def _coverage(rows: Rows) -> str:
    lines = []
    for name, target, group in _cases(rows):
        cells = []
        for method in ("curves", "neighbours"):
            chosen = [row for row in group if row["method"] == method]
            held = [float(row["far_low"]) <= float(row["realised"]) <= float(row["far_high"]) for row in chosen]
            share = [
                float(row["positives_low"]) <= float(row["true_positives"]) <= float(row["positives_high"])
                for row in chosen
            ]
            thin = sum(row["thin"] != "0" for row in chosen)
            cells += [_share(held), _share(share), f"{thin} of {len(chosen)}"]
        lines.append([name, target, *cells])
    heads = [f"{what}, {method}" for method in ("without source", "with source") for what in ("FAR", "π", "thin")]
    return _markdown(["data", "target", *heads], lines)


def _alarm(rows: Rows) -> str:
    groups: dict[tuple[str, str], Rows] = {}
    for row in rows:
        groups.setdefault((row["data"], row["case"]), []).append(row)
    lines = []
    for (name, case), chosen in groups.items():
        p = np.array([float(row["p"]) for row in chosen])
        factor = np.exp(np.median(np.abs(np.log([max(float(row["realised"]), 1e-9) / 1e-2 for row in chosen]))))
        shift = "no" if case.split()[0] in ("other", "fewer", "same") and case != "other domains" else "yes"
        lines.append(
            [name, case, shift, str(len(p)), *(_share(list(p < alpha)) for alpha in (0.01, 0.05, 0.2)), f"{factor:.2f}"]
        )
    return _markdown(["data", "new data", "shift", "checks", "α = 0.01", "α = 0.05", "α = 0.2", "FAR"], lines)


def _share(held: list[bool]) -> str:
    share = float(np.mean(held))
    return f"{share:.1%} ± {np.sqrt(share * (1 - share) / len(held)):.1%}"


def _markdown(heads: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *lines])
