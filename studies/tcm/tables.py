"""The table and the figures of the study, from runs.csv and classes.csv alone.

    python studies/tcm/tables.py

Intervals are 95%. For OPIS and recall@1 they resample seeds and classes, the same classes for both arms and all seeds
(2,000 draws), of recall@1 the mean over classes; for the other quantities they are Student's t over seeds. Of the
committed runs the figure goes to docs/images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from run import arm_name
from scipy.stats import t as student
from tasks import STUDY

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
DRAWS = 2000
FORMS = {
    "tcm": "TCM, margins and weight chosen on validation classes",
    "adaptive": "Adaptive TCM, weight chosen on validation classes",
}


def paired(table: pd.DataFrame, value: str, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Values of a cell as two arrays (seeds, classes), without TCM and with."""
    wide = table.pivot_table(index="seed", columns=["arm", "class"], values=value)
    return wide["base"].to_numpy(), wide[arm].to_numpy()


def resampled(base: np.ndarray, tcm: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums over classes of both arms, for draws of seeds and classes, ``(DRAWS,)`` each."""
    rng = np.random.default_rng(0)
    seeds, classes = base.shape
    of_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS)  # how often each is drawn
    of_class = rng.multinomial(classes, np.full(classes, 1 / classes), DRAWS)
    before, after = (((of_seed @ values) * of_class).sum(axis=1) * scale / base.size for values in (base, tcm))
    return before, after


def cell(runs: pd.DataFrame, classes: pd.DataFrame, arm: str) -> dict[str, float | str]:
    """A row of the table: one data set and base loss, without TCM and with it in one form."""
    base, tcm = (runs[runs["name"] == name].set_index("seed").sort_index() for name in ("base", arm))
    found: dict[str, float | str] = {"seeds": len(tcm), "choice": tcm["arm"].iloc[0]}
    shares = paired(classes, "opis_share", arm)
    n_classes = shares[0].shape[1]
    before, after = resampled(*shares, scale=n_classes)
    relative = after / before - 1
    found["classes"] = n_classes
    found["opis_base"], found["opis_tcm"] = base["opis"].mean(), tcm["opis"].mean()
    found["opis_change"] = found["opis_tcm"] / found["opis_base"] - 1
    found["opis_change_low"], found["opis_change_high"] = np.quantile(relative, [0.025, 0.975])
    recalls = paired(classes.dropna(subset=["recall_at_1"]), "recall_at_1", arm)
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
    """One row a form of TCM, data set and base loss, for the cells that have two seeds or more of both arms."""
    rows = []
    judged = runs[runs["stage"] == "judge"].assign(name=lambda table: table["arm"].map(arm_name))
    for arm in FORMS:
        for (data, base), part in judged[judged["name"].isin(["base", arm])].groupby(["data", "base"], sort=False):
            seeds = part.groupby("seed")["name"].nunique()
            part = part[part["seed"].isin(seeds[seeds == 2].index)]
            own = classes[(classes["data"] == data) & (classes["base"] == base) & classes["seed"].isin(part["seed"])]
            if part["seed"].nunique() >= 2:
                rows.append({"form": arm, "data": data, "base": base, **cell(part, own, arm)})
    return pd.DataFrame(rows)


def choice_text(choice: str) -> str:
    """Margins and weight of a cell, short."""
    arm = json.loads(choice)
    if arm.get("kind") == "adaptive":
        return f"adaptive, {arm['weight']:g}"
    negative = "–" if arm.get("weight_neg") == 0 else f"{arm['margin_neg']:g}"
    return f"{arm['margin_pos']:g} / {negative}, {arm['weight']:g}"


HEADS = (
    "data", "base loss", "m⁺ / m⁻, weight", "OPIS ×1e-3", "change of OPIS", "debiased ×1e-3", "ε-OPIS ×1e-3",
    "recall@1", "change of recall@1", "spread of FAR", "spread of FRR", "mean FRR",
)  # fmt: skip


def markdown(table: pd.DataFrame) -> str:
    """The table of one form of TCM as Markdown, and what it comes to."""
    lines = ["| " + " | ".join(HEADS) + " |", "| --- " * len(HEADS) + "|"]
    for row in table.to_dict("records"):

        def both(name: str, form: str, scale: float = 1.0, row: dict[Any, Any] = row) -> str:
            return " → ".join(f"{scale * row[f'{name}_{arm}']:{form}}" for arm in ("base", "tcm"))

        lines.append(
            "| " + " | ".join([
                row["data"], row["base"], choice_text(row["choice"]), both("opis", ".1f", 1e3),
                f"{row['opis_change']:+.0%} ({row['opis_change_low']:+.0%} … {row['opis_change_high']:+.0%})",
                both("opis_debiased", ".1f", 1e3), both("eps_opis", ".0f", 1e3), both("recall", ".3f"),
                f"{row['recall_difference']:+.3f} ({row['recall_difference_low']:+.3f} … "
                f"{row['recall_difference_high']:+.3f})",
                both("far_spread", ".3f"), both("frr_spread", ".2f"), both("frr", ".3f"),
            ]) + " |"
        )  # fmt: skip
    return "\n".join([*lines, "", verdict(table)]) + "\n"


def verdict(table: pd.DataFrame) -> str:
    """In how many cells TCM lowers OPIS, by how much, and what recall@1 does."""
    change, recall = table["opis_change"], table["recall_difference"]
    shown = {
        "lower": table["opis_change_high"] < 0, "higher": table["opis_change_low"] > 0,
        "less": table["recall_difference_high"] < 0, "more": table["recall_difference_low"] > 0,
    }  # fmt: skip
    count = {name: int(rows.sum()) for name, rows in shown.items()}
    return (
        f"{len(table)} cells. OPIS is lower with TCM in {(change < 0).sum()} of them, with an interval that excludes 0 "
        f"in {count['lower']}; it is higher with such an interval in {count['higher']}. Median change of OPIS "
        f"{change.median():+.0%}, largest reduction {change.min():+.0%}, largest increase {change.max():+.0%}. "
        f"Recall@1 changes by {recall.median():+.3f} in the median, from {recall.min():+.3f} to {recall.max():+.3f}; "
        f"its interval is below 0 in {count['less']} cells and above in {count['more']}."
    )


def ablation(runs: pd.DataFrame) -> str:
    """OPIS and recall@1 of every setting of the ablations, means over seeds; of OPIS the standard deviation, too."""
    plan = STUDY["ablation"]
    own = runs["stage"] == "ablate"
    cells = pd.Series(list(zip(runs["data"], runs["base"], strict=True)), index=runs.index).isin(
        map(tuple, plan["cells"])
    )
    standard = (runs["stage"] == "judge") & cells & runs["seed"].isin(plan["seeds"])
    part = pd.concat([runs[standard], runs[own]])
    if not own.any():
        return ""
    lines = [
        "| data, base loss | m⁺ / m⁻, weight | changed | OPIS ×1e-3 | debiased ×1e-3 | recall@1 | mean FRR |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (data, base), rows in part.groupby(["data", "base"], sort=False):
        for (change, arm), group in sorted(rows.groupby(["change", "arm"]), key=in_order):
            changed = ", ".join(f"{name} {value}" for name, value in json.loads(change or "{}").items()) or "–"
            opis = 1e3 * group["opis"]
            lines.append(
                f"| {data}, {base} | {choice_text(arm) if arm else 'none'} | {changed} | "
                f"{opis.mean():.1f} ± {opis.std():.1f} | {1e3 * group['opis_debiased'].mean():.1f} | "
                f"{group['recall_at_1'].mean():.3f} | {group['frr'].mean():.3f} |"
            )
    return "\n".join(lines) + "\n"


def in_order(group: tuple[Any, pd.DataFrame]) -> tuple[Any, ...]:
    """By what was changed, then by its value; the base loss alone, TCM, adaptive TCM."""
    change, arm = group[0]
    ((name, value),) = json.loads(change or '{"": 0}').items()
    return name, value, "adaptive" in arm, arm


def pareto(table: pd.DataFrame, path: Path) -> None:
    """Recall@1 against OPIS: arrows from the base loss to the same with each form of TCM."""
    names = list(dict.fromkeys(table["data"]))
    figure, axes = plt.subplots(1, len(names), figsize=(4.6 * len(names), 4.4), squeeze=False)
    colours = plt.get_cmap("tab10")
    for axis, name in zip(axes[0], names, strict=True):
        for row in table[table["data"] == name].to_dict("records"):
            colour = colours(STUDY["bases"].index(row["base"]))
            start, end = ((1e3 * row[f"opis_{arm}"], row[f"recall_{arm}"]) for arm in ("base", "tcm"))
            axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.1, "alpha": 0.7})
            axis.plot(*start, "o", mfc="white", mec=colour, label=row["base"] if row["form"] == "tcm" else None)
            axis.plot(*end, "o" if row["form"] == "tcm" else "^", color=colour)
        axis.set(title=name, xlabel="OPIS × 1e-3 (left is better)", xscale="log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("{x:g}")
        axis.tick_params(axis="x", which="both", labelsize=8)
        axis.grid(alpha=0.3, which="both")
    axes[0][0].set_ylabel("recall@1")
    axes[0][-1].legend(fontsize=8)
    figure.suptitle(
        "From the base loss (ring) to the same with TCM (dot) and adaptive TCM (triangle), means over seeds"
    )
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
    parts = [f"### {FORMS[form]}\n\n{markdown(rows)}" for form, rows in table.groupby("form", sort=False)]
    (folder / "table.md").write_text("\n".join(parts), encoding="utf-8")
    if text := ablation(runs):
        (folder / "ablation.md").write_text(text, encoding="utf-8")
    pareto(table, DOCS / "images" / "tcm-pareto.png" if folder == HERE else folder / "pareto.png")
    print("\n".join(parts))


if __name__ == "__main__":
    main()
