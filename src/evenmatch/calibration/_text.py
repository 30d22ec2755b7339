"""An operating point in words, the same on the terminal and in a notebook."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["point_card", "point_rows"]


def point_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of ``OperatingPoint.summary()`` as (name, value) pairs."""
    data = summary["data"]
    confidence = f"{100 * summary['confidence']:g}%"
    rows = [("threshold", f"{summary['threshold']:.6f} ({summary['metric']}; accept if score ≥ threshold)")]
    if summary["threshold_probability"] is not None:
        rows.append(("P(match) there", f"{summary['threshold_probability']:.4f}"))
    guarantee = "the rates on the calibration data meet it"
    if summary["guarantee"] == "upper":
        guarantee = f"the upper end for {summary['guarantee_classes']} new classes meets it"
    rows.append(("objective", f"{summary['objective']}; {guarantee}"))
    for name in ("far", "frr"):
        low, high = summary[f"{name}_ci"]
        rows.append((name.upper(), f"{summary[name]:.3%}"))
        rows.append((f"  {confidence} interval, all such classes", f"{low:.3%} … {high:.3%}"))
        low, high = summary[f"{name}_interval"]
        rows.append((f"  {confidence} for {summary['interval_classes']} new classes", f"{low:.3%} … {high:.3%}"))
    if summary["unlabeled"]:
        origin = summary["origin"]
        low, high = origin["far_ci"]
        rows.append(("estimated", f"without labels; FAR among the pairs seen {low:.3%} … {high:.3%}"))
        low, high = origin["positives_ci"]
        rows.append(("  share of matches", f"{origin['positives']:.3%} ({low:.3%} … {high:.3%}), {origin['method']}"))
        rows += [("  assumed", assumption) for assumption in origin["assumed"]]
    if summary["scarce"]:
        rows.append(("note", "the false accepts rest on few classes; the interval is wide because of that"))
    against = "" if data["references"] is None else f" against {data['references']:,}"
    rows.append(
        (
            "estimated on" if summary["unlabeled"] else "calibrated on",
            f"{data['name'] or 'embeddings'}: {data['samples']:,} × {data['dim']}{against}, {data['classes']:,} "
            f"classes, {data['positives']:,} genuine and {data['negatives']:,} impostor pairs",
        )
    )
    return rows


def point_card(summary: dict[str, Any]) -> str:
    """A small HTML table; every string from the data is escaped."""
    left = 'style="text-align:left"'
    rows = "".join(
        f"<tr><th {left}>{escape(name.strip())}</th><td {left}>{escape(value)}</td></tr>"
        for name, value in point_rows(summary)
    )
    cautions = "".join(f"<li>{escape(caution)}</li>" for caution in summary["not_for"])
    return f"<div><table>{rows}</table><p>Not for:</p><ul>{cautions}</ul></div>"
