"""Numbers and labels as people read them, the same in every view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "COMPARED",
    "DEBIASED",
    "audit_rows",
    "comparison_rows",
    "data_line",
    "number",
    "rate",
    "signed",
    "with_interval",
]


#: what the debiased OPIS is for
DEBIASED = "debiased OPIS: without what few samples a class add; compare data sets with other class sizes by it"


def rate(value: float | None) -> str:
    """A rate as a percentage, or a dash where it is undefined."""
    return "–" if value is None else f"{100 * value:.2f}%"


def number(value: float | None) -> str:
    """A small number with four digits, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.4g}"


def with_interval(text: str, interval: list[float] | None, show: Any) -> str:
    """A value followed by its interval, where there is one."""
    return text if interval is None else f"{text}  [{show(interval[0])}, {show(interval[1])}]"


#: what models are compared by: key → (name, how it is shown, whether more is better)
COMPARED: dict[str, tuple[str, Callable[[float | None], str], bool]] = {
    "opis": ("OPIS", number, False),
    "eps_opis": ("ε-OPIS", number, False),
    "opis_debiased": ("debiased OPIS", number, False),
    "recall_at_1": ("recall@1", rate, True),
    "eer": ("EER", rate, False),
    "threshold": ("threshold", lambda value: f"{value:.6f}", False),
    "far": ("  FAR there", rate, False),
    "frr": ("  FRR there", rate, False),
}


def signed(value: float, show: Callable[[float | None], str]) -> str:
    """A difference with its sign."""
    return f"{'−' if value < 0 else '+'}{show(abs(value))}"


def comparison_rows(summary: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The quantities of ``Comparison.summary()`` as (name, cells), the differences from the first model after them."""
    rows = []
    for key, (name, show, _) in COMPARED.items():
        cells = [
            with_interval(show(values[key]), values["intervals"].get(key), show)
            for values in summary["models"].values()
        ]
        for differences in summary["differences"].values():
            found = differences.get(key)
            if found is None:
                cells.append("–")
                continue
            interval = found["interval"]
            brackets = "" if interval is None else f"  [{', '.join(signed(end, show) for end in interval)}]"
            cells.append(signed(found["difference"], show) + brackets)
        rows.append((name, cells))
    return rows


def audit_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The headline quantities of an audit as (name, value) pairs."""
    intervals, (low, high) = summary["intervals"], summary["threshold_range"]
    strict, loose = sorted(summary["settings"]["far"])
    rows = [
        ("OPIS", with_interval(number(summary["opis"]), intervals.get("opis"), number)),
        *_exact_row(summary, "opis", number),
        ("ε-OPIS", with_interval(number(summary["eps_opis"]), intervals.get("eps_opis"), number)),
        *_exact_row(summary, "eps_opis", number),
    ]
    if summary["opis_debiased"] is not None:
        found = number(summary["opis_debiased"])
        rows.append(("debiased OPIS", with_interval(found, intervals.get("opis_debiased"), number)))
    for k, value in summary["recall_at_k"].items():
        rows.append((f"recall@{k}", with_interval(rate(value), intervals.get(f"recall_at_{k}"), rate)))
    if summary["map_at_r"] is not None:
        rows.append(("MAP@R", rate(summary["map_at_r"])))
    rows += [
        ("EER", with_interval(f"{rate(summary['eer'])} at {summary['eer_threshold']:.6f}", intervals.get("eer"), rate)),
        (f"calibration range (FAR {loose:g} … {strict:g})", f"{low:.6f} … {high:.6f}"),
        (f"threshold at FAR ≤ {strict:g}", f"{summary['threshold']:.6f}"),
        *_exact_row(summary, "threshold_high", lambda value: f"{value:.6f}"),
        ("  FAR there", with_interval(rate(summary["far"]), intervals.get("far"), rate)),
        ("  FRR there", with_interval(rate(summary["frr"]), intervals.get("frr"), rate)),
    ]
    rows += _finer_rows(summary)
    for far, tar in summary["tar_at_far"].items():
        rows.append((f"TAR@FAR {far}", rate(tar) if tar is not None else "undefined: too few negative pairs"))
    return rows


def _finer_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """How far the classes and the groups lie apart at the threshold."""
    rows = []
    for name, found in summary["gaps"].items():
        ratio = found["worst_ratio"]
        times = "" if ratio is None else f" ({ratio:.3g} × the median)"
        rows.append((f"  worst class {name.upper()}", f"{rate(found['worst'])} {found['worst_class']}{times}"))
        rows.append((f"  class {name.upper()} 5th to 95th percentile", f"{rate(found['quantile_gap'])} apart"))
    own = summary["own_thresholds"]
    rows.append(("classes' own best thresholds", f"{own['quantile_gap']:.4f} apart (5th to 95th percentile); one for "
                 f"all costs {own['utility_lost']:.4f} utility"))  # fmt: skip
    names = {"far": "group FAR", "far_within": "within-group FAR", "frr": "group FRR"}
    for name, found in (summary["differentials"] or {}).items():
        if name in names and found is not None:
            ratio = "" if found["ratio"] is None else f" ({found['ratio']:.3g} ×)"
            spread = f"{rate(found['highest'])} {found['highest_group']} against {rate(found['lowest'])} "
            rows.append((names[name], f"{spread}{found['lowest_group']}{ratio}"))
    return rows


def _exact_row(summary: dict[str, Any], name: str, show: Callable[[float], str]) -> list[tuple[str, str]]:
    """Where the value of all pairs in float32 lies, for a result that is not that."""
    bar = summary["error_bars"].get(name)
    what = "of all pairs" if summary["measured"]["estimate"] else "in float32"
    return [] if bar is None else [(f"  {what}", f"{show(bar[0])} to {show(bar[1])}")]


def data_line(summary: dict[str, Any]) -> str:
    """What was measured, on what data."""
    data = summary["data"]
    against = "" if data["n_references"] is None else f" against {data['n_references']:,} references"
    return (
        f"{data['name'] or 'embeddings'}: {data['n']:,} × {data['dim']}{against}, {data['n_classes']:,} classes "
        f"({data['n_defined']:,} with genuine pairs), {data['positives']:,} genuine and {data['negatives']:,} impostor "
        f"pairs, {summary['settings']['metric']}, {summary['measured']['how']}"
    )
