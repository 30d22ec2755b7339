"""An audit in a notebook cell."""

from __future__ import annotations

from html import escape
from typing import Any

from evenmatch.report._text import audit_rows, comparison_rows, data_line

__all__ = ["audit_card", "comparison_card"]

_LEFT = 'style="text-align:left"'


def audit_card(summary: dict[str, Any]) -> str:
    """A small HTML table of ``Audit.summary()``; every string from the data is escaped."""
    rows = "".join(
        f"<tr><th {_LEFT}>{escape(name.strip())}</th><td {_LEFT}>{escape(value)}</td></tr>"
        for name, value in audit_rows(summary)
    )
    return (
        f"<div><p><strong>{escape(summary['headline'])}</strong></p>"
        f"<p>{escape(data_line(summary))}</p><table>{rows}</table></div>"
    )


def comparison_card(summary: dict[str, Any]) -> str:
    """A small HTML table of ``Comparison.summary()``; every string from the data is escaped."""
    return f"<div><p><strong>{escape(summary['headline'])}</strong></p>{comparison_table(summary)}</div>"


def comparison_table(summary: dict[str, Any]) -> str:
    """The quantities side by side."""
    names = [*summary["models"], *(f"{name} − {summary['baseline']}" for name in summary["differences"])]
    head = "".join(f'<th scope="col" {_LEFT}>{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row" {_LEFT}>{escape(name.strip())}</th>'
        + "".join(f"<td {_LEFT}>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, cells in comparison_rows(summary)
    )
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
