"""The table and the figures of the study, from runs.csv and classes.csv alone.

    python studies/tcm/tables.py

Intervals are 95%. For OPIS and recall@1 they resample seeds and, within them, the same classes for both arms (2,000
draws); for the other quantities they are Student's t over seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import t as student
from tasks import STUDY

HERE = Path(__file__).parent
DRAWS = 2000


def paired(table: pd.DataFrame, value: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of a cell as two arrays (seeds, classes), without TCM and with."""
    wide = table.pivot_table(index="seed", columns=["arm", "class"], values=value)
    return wide["base"].to_numpy(), wide["tcm"].to_numpy()


def resampled(base: np.ndarray, tcm: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums over classes of both arms, for draws of seeds and classes, ``(DRAWS,)`` each."""
    rng = np.random.default_rng(0)
    seeds, classes = base.shape
    sums = np.empty((2, DRAWS))
    for draw in range(DRAWS):
        rows, columns = rng.integers(seeds, size=seeds), rng.integers(classes, size=classes)
        for arm, values in enumerate((base, tcm)):
            sums[arm, draw] = values[np.ix_(rows, columns)].mean() * scale
    return sums[0], sums[1]


def cell(runs: pd.DataFrame, classes: pd.DataFrame) -> dict[str, float | str]:
    """A row of the table: one data set and base loss."""
    with_tcm = runs["arm"] != ""
    base, tcm = (runs[mask].set_index("seed").sort_index() for mask in (~with_tcm, with_tcm))
    found: dict[str, float | str] = {"seeds": len(tcm), "choice": tcm["arm"].iloc[0]}
    shares = paired(classes, "opis_share")
    n_classes = shares[0].shape[1]
    before, after = resampled(*shares, scale=n_classes)
    relative = after / before - 1
    found["opis_base"], found["opis_tcm"] = base["opis"].mean(), tcm["opis"].mean()
    found["opis_change"] = found["opis_tcm"] / found["opis_base"] - 1
    found["opis_change_low"], found["opis_change_high"] = np.quantile(relative, [0.025, 0.975])
    recalls = paired(classes.dropna(subset=["recall_at_1"]), "recall_at_1")
    before, after = resampled(*recalls, scale=1.0)
    found["recall_base"], found["recall_tcm"] = base["recall_at_1"].mean(), tcm["recall_at_1"].mean()
    found["recall_difference"] = found["recall_tcm"] - found["recall_base"]
    found["recall_difference_low"], found["recall_difference_high"] = np.quantile(after - before, [0.025, 0.975])
    for name in ("opis_debiased", "eps_opis", "far_spread", "frr_spread", "frr", "utility"):
        difference = (tcm[name] - base[name]).to_numpy()
        half = student.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5
        found |= {f"{name}_base": base[name].mean(), f"{name}_tcm": tcm[name].mean(),
                  f"{name}_difference": difference.mean(), f"{name}_half_width": half}  # fmt: skip
    return found


def summarise(runs: pd.DataFrame, classes: pd.DataFrame) -> pd.DataFrame:
    """One row a data set and base loss, for the cells that have two seeds or more of both arms."""
    rows = []
    judged = runs[runs["stage"] == "judge"]
    for (data, base), part in judged.groupby(["data", "base"], sort=False):
        seeds = part.groupby("seed")["arm"].nunique()
        part = part[part["seed"].isin(seeds[seeds == 2].index)]
        own = classes[(classes["data"] == data) & (classes["base"] == base) & classes["seed"].isin(part["seed"])]
        if part["seed"].nunique() >= 2:
            rows.append({"data": data, "base": base, **cell(part, own)})
    return pd.DataFrame(rows)


def choice_text(choice: str) -> str:
    """Margins and weight of a cell, short."""
    arm = json.loads(choice)
    negative = "–" if arm.get("weight_neg") == 0 else f"{arm['margin_neg']:g}"
    return f"{arm['margin_pos']:g} / {negative}, {arm['weight']:g}"


def markdown(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    lines = [
        "| data | base loss | m⁺ / m⁻, weight | OPIS ×1e-3 | change of OPIS | debiased ×1e-3 | ε-OPIS ×1e-3 "
        "| recall@1 | change of recall@1 | spread of FAR | spread of FRR |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in table.to_dict("records"):
        arrow = " → ".join
        lines.append(
            "| " + " | ".join([
                row["data"], row["base"], choice_text(row["choice"]),
                arrow(f"{1e3 * row[f'opis_{arm}']:.1f}" for arm in ("base", "tcm")),
                f"{row['opis_change']:+.0%} ({row['opis_change_low']:+.0%} … {row['opis_change_high']:+.0%})",
                arrow(f"{1e3 * row[f'opis_debiased_{arm}']:.1f}" for arm in ("base", "tcm")),
                arrow(f"{1e3 * row[f'eps_opis_{arm}']:.0f}" for arm in ("base", "tcm")),
                arrow(f"{row[f'recall_{arm}']:.3f}" for arm in ("base", "tcm")),
                f"{row['recall_difference']:+.3f} ({row['recall_difference_low']:+.3f} … "
                f"{row['recall_difference_high']:+.3f})",
                arrow(f"{row[f'far_spread_{arm}']:.3f}" for arm in ("base", "tcm")),
                arrow(f"{row[f'frr_spread_{arm}']:.2f}" for arm in ("base", "tcm")),
            ]) + " |"
        )  # fmt: skip
    lower = (table["opis_change_high"] < 0).sum()
    higher = (table["opis_change_low"] > 0).sum()
    lines += [
        "",
        f"{len(table)} cells. OPIS is lower with TCM in {(table['opis_change'] < 0).sum()} of them, beyond doubt (the "
        f"interval excludes 0) in {lower}, and beyond doubt higher in {higher}. Median change of OPIS "
        f"{table['opis_change'].median():+.0%}, largest reduction {table['opis_change'].min():+.0%}, largest increase "
        f"{table['opis_change'].max():+.0%}. Recall@1 changes by {table['recall_difference'].median():+.3f} in the "
        f"median, from {table['recall_difference'].min():+.3f} to {table['recall_difference'].max():+.3f}.",
    ]
    return "\n".join(lines) + "\n"


def ablation(runs: pd.DataFrame) -> str:
    """Mean OPIS and recall@1 of every setting of the ablations, with the range over seeds."""
    part = runs[runs["stage"] == "ablate"]
    if part.empty:
        return ""
    lines = ["| data, base | TCM | change | OPIS ×1e-3 (range) | recall@1 |", "| --- | --- | --- | --- | --- |"]
    for (data, base, change, arm), rows in part.groupby(["data", "base", "change", "arm"], sort=False):
        opis = 1e3 * rows["opis"]
        changed = ", ".join(f"{name} {value}" for name, value in json.loads(change or "{}").items()) or "–"
        lines.append(
            f"| {data}, {base} | {choice_text(arm) if arm else 'none'} | {changed} | {opis.mean():.1f} "
            f"({opis.min():.1f}–{opis.max():.1f}) | {rows['recall_at_1'].mean():.3f} |"
        )
    return "\n".join(lines) + "\n"


def pareto(table: pd.DataFrame, path: Path) -> None:
    """Recall@1 against OPIS: an arrow from the base loss to the same with TCM."""
    names = list(dict.fromkeys(table["data"]))
    figure, axes = plt.subplots(1, len(names), figsize=(4.6 * len(names), 4.2), squeeze=False)
    colours = plt.get_cmap("tab10")
    for axis, name in zip(axes[0], names, strict=True):
        for row in table[table["data"] == name].to_dict("records"):
            colour = colours(STUDY["bases"].index(row["base"]))
            start, end = ((1e3 * row[f"opis_{arm}"], row[f"recall_{arm}"]) for arm in ("base", "tcm"))
            axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.4})
            axis.plot(*start, "o", mfc="none", mec=colour)
            axis.plot(*end, "o", color=colour, label=row["base"])
        axis.set(title=name, xlabel="OPIS ×1e-3 (left is better)", ylabel="recall@1")
        axis.grid(alpha=0.3)
    axes[0][-1].legend(fontsize=8)
    figure.suptitle("From the base loss (ring) to the same with TCM (dot), means over seeds")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE, help="of runs.csv and classes.csv")
    folder = parser.parse_args().folder
    runs = pd.read_csv(folder / "runs.csv", keep_default_na=False)
    classes = pd.read_csv(folder / "classes.csv", dtype={"class": str})
    table = summarise(runs, classes)
    table.to_csv(folder / "table.csv", index=False, float_format="%.6g")
    (folder / "table.md").write_text(markdown(table), encoding="utf-8")
    if text := ablation(runs):
        (folder / "ablation.md").write_text(text, encoding="utf-8")
    pareto(table, folder / "pareto.png")
    print(markdown(table))


if __name__ == "__main__":
    main()
