"""The HTML files themselves, without a browser: self-contained, escaped, readable, packed without loss."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from browsing import HOSTILE, clusters, grouped_audit, hostile_audit

import evenmatch as em
from evenmatch.errors import InputError
from evenmatch.report._audit_page import columns_of
from evenmatch.report._pack import Pack, varints

TEMPLATES = resources.files("evenmatch.report") / "templates"


def read_varints(data: bytes) -> list[int]:
    values, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            value, shift = 0, 0
    return values


def content(page: str, name: str) -> str:
    return re.search(rf'<script type="[^"]+" id="{name}">(.*?)</script>', page, re.DOTALL)[1]


@pytest.mark.parametrize("top", [1, 127, 128, 2**31, 2**40, 2**53])
def test_counts_of_any_size_come_back(top):
    values = np.concatenate([[0, top], np.random.default_rng(0).integers(0, top + 1, 300)])
    assert read_varints(varints(values)) == values.tolist()
    assert varints(np.empty(0, int)) == b""


def test_a_falling_table_is_packed_column_after_column():
    table = np.array([[9, 5, 5], [300, 300, 1]])
    pack = Pack()
    pack.falling("t", table)
    kind, offset, length, size = pack.index["t"]
    steps = read_varints(gzip.decompress(base64.b64decode(pack.text()))[offset : offset + length])
    assert (kind, size, steps) == ("falling", 6, [9, 300, 4, 0, 0, 299])


def test_a_page_needs_nothing_but_itself_and_says_so_to_the_browser(tmp_path):
    grouped_audit().to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", page.split('<script type="application/json"')[0])
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    plotly = gzip.decompress(base64.b64decode(content(page, "plotly")))
    assert plotly.startswith(b"/**\n* plotly.js v")


def test_the_same_audit_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        grouped_audit().to_html(tmp_path / f"{name}.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_names_stand_in_the_page_as_text_only(tmp_path):
    audit = hostile_audit()
    audit.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") == 4
    assert "<img" not in page.split('<script nonce="')[0]
    data = json.loads(content(page, "data"))
    assert sorted(data["names"]) == sorted(HOSTILE)
    assert data["summary"] == json.loads(json.dumps(audit.summary()))


@pytest.mark.parametrize("part", ["a\x00b", "\u2028", "\ufffe"])
def test_even_broken_names_make_a_page(part, tmp_path):
    x, codes = clusters(12, 10)
    audit = em.audit(x, [f"{part}{code}" for code in codes], far=(0.02, 0.2))
    audit.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_bytes().decode("utf-8")
    assert f"{part}3" in json.loads(content(page, "data"))["names"]


def test_many_classes_keep_the_thresholds_that_matter(monkeypatch):
    from evenmatch.report import _audit_page

    audit = grouped_audit(thresholds=[0.7123456])
    counts = audit.counts
    assert columns_of(counts, audit.consistency).tolist() == list(range(counts.thresholds.size))
    monkeypatch.setattr(_audit_page, "_TABLE_CELLS", 0)
    kept = columns_of(counts, audit.consistency)
    assert 100 < kept.size < 140 < counts.thresholds.size
    assert {counts.column(t) for t in (*audit.threshold_range, 0.7123456)} <= set(kept.tolist())
    assert {0, counts.thresholds.size - 1} <= set(kept.tolist())


def test_classes_that_are_taken_for_each_other_are_named_where_the_embeddings_are_at_hand(tmp_path):
    x, codes = clusters(len(HOSTILE), 12)
    data = em.EmbeddingSet.from_arrays(x, [HOSTILE[code] + "x" * 400 for code in codes])
    audit = em.audit(data, far=(0.02, 0.2))
    audit.to_html(tmp_path / "report.html", embeddings=data)
    section = re.search(
        r'<section id="confusable" *>(.*?)</section>', page := read(tmp_path / "report.html"), re.DOTALL
    )
    rows = re.findall(r"<tr><td><bdi>(.*?)</bdi></td><td><bdi>(.*?)</bdi></td>.*?>([\d.]+)%<", section[1])
    table = audit.confusable(data)
    assert [float(far) for *_, far in rows] == (100 * table["far"]).round(2).tolist()
    for (name, other, _), row in zip(rows, table.itertuples(), strict=True):
        assert html.unescape(name) == row[1][:47] + "…"
        assert html.unescape(other) == row[2][:47] + "…"
    assert "<img" not in section[1]
    assert f"At threshold {audit.threshold:.6g}" in page
    audit.to_html(tmp_path / "report.html")
    assert '<section id="confusable" hidden>' in read(tmp_path / "report.html")
    with pytest.raises(InputError, match="not those of the audit"):
        audit.to_html(tmp_path / "report.html", embeddings=data.subset(np.arange(100)))


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def test_a_folder_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        grouped_audit().to_html(tmp_path / "none" / "report.html")


# ---------------------------------------------------------------- colours


def palettes() -> dict[str, dict[str, str]]:
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    light, automatic, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.split(r"color-scheme: (?:light|dark);", css)[1:4]
    )
    return {"light": light, "automatic": automatic, "dark": dark}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_text_colour_can_be_read_on_every_surface():
    found = palettes()
    assert found["dark"] == found["automatic"]
    assert found["dark"].keys() == found["light"].keys()
    for colours in found.values():
        for text in ("text", "muted", "accent", "better", "worst"):
            for surface in ("page", "panel"):
                assert contrast(colours[text], colours[surface]) >= 4.5, (text, surface)
        for line in ("genuine", "impostor", "mean", "worst", "curve", "accent"):
            assert contrast(colours[line], colours["page"]) >= 3, line


# ---------------------------------------------------------------- the package


def test_templates_are_in_the_package():
    names = {path.name for path in TEMPLATES.iterdir()}
    assert {"audit.html", "compare.html", "report.css", "core.js", "charts.js", "classes.js", "details.js"} <= names
    assert Path(str(TEMPLATES)).parent.name == "report"


def tiles(audit: em.Audit, path: Path) -> dict[str, str]:
    """Name of each key figure → its interval, or why it has none."""
    audit.to_html(path)
    found = re.findall(r'class="tile"><dt>(.*?)</dt>.*?class="interval">(.*?)</span>', read(path))
    return {name.removesuffix(" (estimate)"): text for name, text in found}


def test_a_key_figure_without_an_interval_says_why(tmp_path):
    path = tmp_path / "report.html"
    far = (0.02, 0.2)
    nine = tiles(em.audit(*clusters(9, 10), far=far), path)
    assert set(nine.values()) == {"no interval: fewer than 10 classes"}
    ten = tiles(em.audit(*clusters(10, 10), far=far, k=(5,)), path)
    assert re.fullmatch(r"0\.\d+ to 0\.\d+", ten["OPIS"])
    assert ten["recall@5"] == "no interval: only recall@1 has one"
    strict = tiles(em.audit(*clusters(), far=(1e-3, 2e-3)), path)
    assert strict["EER"] == "no interval: the classes were not counted there"
    estimate = tiles(em.audit(*clusters(), far=far, pairs=5e4), path)
    assert estimate["recall@1"] == "not estimated"


def test_a_confidence_is_not_rounded_to_certainty(tmp_path):
    audit = em.audit(*clusters(), far=(0.02, 0.2), confidence=0.995, eps=0.025)
    audit.to_html(tmp_path / "report.html")
    assert "Intervals hold 99.5% for" in read(tmp_path / "report.html")
    assert "the worst 2.5% of the classes" in read(tmp_path / "report.html")
    em.compare({"a": audit, "b": audit}).to_html(tmp_path / "compare.html")
    assert "Intervals hold 99.5% for" in read(tmp_path / "compare.html")
