"""One self-contained HTML file from a template, styles, scripts, data and plotly."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from html import escape
from importlib import resources
from typing import Any

from evenmatch.report._pack import Pack, gzip_text

__all__ = ["assemble", "fact_rows"]


def assemble(
    template: str, scripts: tuple[str, ...], *, title: str, fill: dict[str, str], data: dict[str, Any], pack: Pack
) -> bytes:
    """Fill a template into a page that loads nothing: no script, style, font or image from elsewhere.

    The page's own policy forbids every request, and every script without the nonce, which is derived from the data.

    Args:
        template: name of the HTML template of what is between the head and the foot that all pages share; a place
            ``{{classes}}`` in it becomes the section with the table of every class.
        scripts: names of our scripts, in the order in which they run.
        title: of the page; escaped here.
        fill: HTML for the template's ``{{name}}`` places, escaped by the caller.
        data: JSON-safe; what the scripts read.
        pack: the arrays they read.

    Returns:
        The page in UTF-8.
    """
    packed = pack.text()
    described = _json({**data, "arrays": pack.index})
    places = {
        **fill,
        "title": escape(title),
        "style": _template("report.css"),
        "script": "\n".join(_template(name) for name in scripts),
        "data": described,
        "arrays": packed,
        "plotly": _plotly(),
        "nonce": hashlib.sha256((described + packed).encode()).hexdigest()[:32],
    }
    whole = _template("page.html").replace("{{body}}\n", _template(template))
    whole = whole.replace("{{classes}}\n", _template("classes.html"))
    # one pass over the templates alone: text of the data that looks like a place stays as it is
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: places[match[1]], whole)
    return page.encode("utf-8", "replace")


def fact_rows(rows: list[tuple[str, str]]) -> str:
    """(name, value) pairs as rows of an HTML table."""
    return "".join(
        f'<tr><th scope="row">{escape(name.strip())}</th><td>{escape(value)}</td></tr>' for name, value in rows
    )


def _json(value: Any) -> str:
    """JSON that can stand inside a script element whatever its strings are."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _template(name: str) -> str:
    return (resources.files("evenmatch.report") / "templates" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _plotly() -> str:
    return gzip_text((resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes())
