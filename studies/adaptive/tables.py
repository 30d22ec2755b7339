"""Tables of the study from its rows: runs.csv → results.md, calibration.csv → calibration.md.

python studies/adaptive/tables.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.stats import t as student

from evenmatch.embeddings import atomic_path

HERE = Path(__file__).parent
STUDY = yaml.safe_load((HERE / "study.yaml").read_text(encoding="utf-8"))
PARTS = {"other": "other domains", "same": "unseen classes of the training domains"}
SHOWN = {  # column → (heading, factor, digits)
    "opis": ("OPIS ×1e-3", 1e3, 1),
    "opis_groups": ("OPIS across domains ×1e-3", 1e3, 2),
    "recall_at_1": ("recall@1, %", 1e2, 1),
    "tar_at_far_1e-2": ("TAR at FAR 1%, %", 1e2, 1),
    "utility": ("mean utility, %", 1e2, 1),
}
CONTRASTS = (
    ("adaptive", "fixed"),
    ("adaptive_positive", "fixed_positive"),
    ("adaptive_positive", "adaptive"),
    ("groups", "adaptive"),
)


def interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of paired differences, and the 95% interval of Student's t over the seeds."""
    n = len(differences)
    reach = student.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
    return float(differences.mean()), float(differences.mean() - reach), float(differences.mean() + reach)


def difference(values: np.ndarray, against: np.ndarray, digits: int) -> str:
    """A mean difference with its interval, in bold where the interval leaves out 0."""
    mean, low, high = interval(values - against)
    text = f"{mean:+.{digits}f} ({low:+.{digits}f} … {high:+.{digits}f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def markdown(heads: list[str], lines: list[list[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *lines])


def complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each base loss, the rows of the seeds for which every arm was run on every data set."""
    wanted = len(STUDY["data"]) * len(STUDY["arms"]) * len(PARTS)
    return rows[rows.groupby(["seed", "base"]).arm.transform("size") == wanted]


def results(rows: pd.DataFrame) -> str:
    """One table a data set and part: base's means, then differences from base and from fixed margins."""
    seeds = ", ".join(f"{base} {found.seed.nunique()}" for base, found in rows.groupby("base", sort=False))
    text = [
        f"{len(rows) // len(PARTS)} runs; seeds of each base loss: {seeds}. The first line of each base loss has its "
        "means over the seeds, the others the mean difference from it, paired by seed, with the 95% interval of "
        "Student's t over the seeds; bold where that leaves out 0."
    ]
    for part, where in PARTS.items():
        for data in rows.data.unique():
            lines = []
            for base in [base for base in STUDY["bases"] if base in set(rows.base)]:
                chosen = rows[(rows.part == part) & (rows.data == data) & (rows.base == base)].sort_values("seed")
                plain = chosen[chosen.arm == "base"]
                for arm in STUDY["arms"]:
                    cells = []
                    found = chosen[chosen.arm == arm]
                    for column, (_, factor, digits) in SHOWN.items():
                        values, against = (frame[column].to_numpy() * factor for frame in (found, plain))
                        cells.append(
                            f"{values.mean():.{digits}f}" if arm == "base" else difference(values, against, digits)
                        )
                    lines.append([base if arm == "base" else "", arm.replace("_", " "), *cells])
            text += [f"### {data}, {where}", markdown(["base loss", "arm", *(h for h, *_ in SHOWN.values())], lines)]
    text += ["### Arms against each other", contrasts(rows)]
    return "\n\n".join(text) + "\n"


def contrasts(rows: pd.DataFrame) -> str:
    """What the margins' moving, the negative term and the groups each change."""
    lines = []
    for ours, theirs in CONTRASTS:
        for part, where in PARTS.items():
            for data in rows.data.unique():
                for base in [base for base in STUDY["bases"] if base in set(rows.base)]:
                    chosen = rows[(rows.part == part) & (rows.data == data) & (rows.base == base)].sort_values("seed")
                    line = [f"{ours} − {theirs}".replace("_", " "), where, data, base]
                    for column, (_, factor, digits) in SHOWN.items():
                        pair = [chosen[chosen.arm == arm][column].to_numpy() * factor for arm in (ours, theirs)]
                        line.append(difference(*pair, digits))
                    lines.append(line)
    return markdown(["arms", "test", "data", "base loss", *(heading for heading, *_ in SHOWN.values())], lines)


def calibration(rows: pd.DataFrame) -> str:
    """Realised FAR over the target and FRR, with and without calibration, with and without shift."""
    lines = []
    for part, where in (("same", "no shift"), ("other", "other domains")):
        for data in rows.data.unique():
            for base in STUDY["bases"]:
                for arm in rows.arm.unique():
                    chosen = rows[(rows.part == part) & (rows.data == data) & (rows.base == base) & (rows.arm == arm)]
                    if chosen.empty:
                        continue
                    line = [where, data, base, arm]
                    for kind in ("training", "calibrated"):
                        found = chosen[chosen.threshold_from == kind]
                        ratio = found.far / 1e-2
                        low, middle, high = np.quantile(ratio, [0.05, 0.5, 0.95])
                        line += [
                            f"{middle:.2f} ({low:.2f} … {high:.2f})",
                            f"{np.exp(np.abs(np.log(ratio.clip(lower=1e-3))).median()):.2f}",
                            f"{100 * found.frr.median():.1f}",
                        ]
                    lines.append(line)
    kinds = ("training classes", "calibrated")
    heads = ["test", "data", "base loss", "arm"]
    for kind in kinds:
        heads += [f"{kind}: FAR / target, median (5% … 95%)", "off by a factor, median", "FRR, %"]
    return markdown(heads, lines) + "\n"


def main() -> None:
    """Write what there are rows for."""
    for source, target, make in (("runs", "results", results), ("calibration", "calibration", calibration)):
        path = HERE / f"{source}.csv"
        if path.exists():
            rows = pd.read_csv(path)
            with atomic_path(HERE / f"{target}.md") as temporary:
                temporary.write_text(make(complete(rows) if source == "runs" else rows), encoding="utf-8")


if __name__ == "__main__":
    main()
