"""What docs/evidence.md says of why TCM does what it does, from runs.csv and table.csv; written to reasons.md.

    python studies/tcm/reasons.py

The line on sentences before any training needs the CLINC150 embeddings (EVENMATCH_DATA).
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from run import arm_name
from tables import FORMS
from tasks import available, load

import evenmatch as em

HERE = Path(__file__).parent
STEEP = ("arcface", "proxy_anchor", "supcon", "contrastive")
POOR = (("glyphs", "proxy_anchor"), ("glyphs", "arcface"))


def each(table: pd.DataFrame, column: str, form: str) -> str:
    """Mean of a column for every data set."""
    return ", ".join(f"{data} {rows[column].mean():{form}}" for data, rows in table.groupby("data", sort=False))


def of_form(runs: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """What one form of TCM did where its settings were chosen, and where it was judged."""
    tried = runs[runs["stage"] == "select"].set_index(["data", "base", "arm"])["opis"]
    cells = list(zip(table["data"], table["base"], table["choice"], strict=True))
    validation = pd.Series([tried[cell] / tried[(*cell[:2], "")] - 1 for cell in cells])
    rest = table[[cell[:2] not in POOR for cell in cells]]
    medians = ", ".join(
        f"{data} {rows['opis_change'].median():+.0%}" for data, rows in table.groupby("data", sort=False)
    )
    name = table["form"].iloc[0]
    judged = runs[(runs["stage"] == "judge") & (runs["arm"].map(arm_name) == name)]
    return [
        f"{FORMS[name]}: median change of OPIS {validation.median():+.0%} on validation classes, "
        f"{table['opis_change'].median():+.0%} on test classes ({medians}), {rest['opis_change'].median():+.0%} "
        "without Proxy-Anchor and ArcFace on glyphs",
        f"share of positive pairs that it pulled at the end of training: {each(judged, 'share_pos', '.0%')}",
    ]


def lines(runs: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """One fact a line."""
    found = [line for _, rows in table.groupby("form", sort=False) for line in of_form(runs, rows)]
    for stage, classes in (("select", "validation"), ("judge", "test")):
        rows = runs[(runs["stage"] == stage) & (runs["arm"] == "")]
        found.append(f"thresholds without TCM, {classes} classes: FAR 10% at {each(rows, 'threshold_low', '.2f')}; "
                     f"1% at {each(rows, 'threshold_high', '.2f')}")  # fmt: skip
    letters = runs[(runs["stage"] == "select") & (runs["data"] == "glyphs") & (runs["arm"] == "")]
    opis = ", ".join(f"{base} {1e3 * value:.1f}" for base, value in zip(letters["base"], letters["opis"], strict=True))
    found.append(f"OPIS ×1e-3 of the base losses alone on glyphs' validation letters: {opis}")
    adaptive = (
        table[table["form"] == "adaptive"].set_index("base")["choice"].map(lambda choice: json.loads(choice)["weight"])
    )
    steep = adaptive[adaptive.index.isin(STEEP)]
    found.append(
        f"weight of adaptive TCM: 3 or 10 in {(steep > 1).sum()} of {len(steep)} cells of {', '.join(STEEP)}; "
        f"{', '.join(f'{weight:g}' for weight in adaptive['smooth_ap'])} beside Smooth-AP"
    )
    return [*found, f"{len(runs)} runs, {runs['seconds'].sum() / 3600:.1f} processor hours of training"]


def untrained() -> str:
    """OPIS and recall@1 of the test sentences as they come."""
    task = load("clinc150", Path())
    audit = em.audit(task.inputs(task.test).numpy(), task.labels[task.test])
    recall = audit.recall_at_k[1]
    return f"CLINC150's test sentences before any training: OPIS {1e3 * audit.opis:.1f}e-3, recall@1 {recall:.3f}"


def main() -> None:
    runs = pd.read_csv(HERE / "runs.csv", keep_default_na=False, na_values={"share_pos": ["nan"]})
    found = lines(runs, pd.read_csv(HERE / "table.csv"))
    if "clinc150" in available():
        found.append(untrained())
    text = "".join(f"- {line}.\n" for line in found)
    (HERE / "reasons.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
