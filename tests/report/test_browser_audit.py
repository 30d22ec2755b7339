"""The report of an audit in a browser: the numbers of the library, by mouse and by keyboard."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from browsing import HOSTILE, Visit, grouped_audit, hostile_audit

import evenmatch as em
from evenmatch.report._text import number, rate

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def audit() -> em.Audit:
    return grouped_audit()


@pytest.fixture(scope="module")
def report(audit, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    audit.to_html(path)
    return path


@pytest.fixture(scope="module")
def page(report, visit) -> Visit:
    """One page for many tests; each brings it where it needs it."""
    return visit(report)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[em.Audit, Path]:
    audit, path = hostile_audit(), tmp_path_factory.mktemp("hostile") / "report.html"
    audit.to_html(path)
    return audit, path


@pytest.fixture(scope="module")
def hostile_page(hostile, visit) -> Visit:
    return visit(hostile[1])


def shown(value: float) -> str:
    return rate(None if math.isnan(value) else value)


def number_or_dash(value: float) -> str:
    return number(None if math.isnan(value) else value)


def test_the_slider_shows_the_rates_of_the_library(audit, page):
    assert page.thresholds() == (audit.threshold, audit.threshold)
    assert page.text("#pinned") == audit.worst_classes(1).index[0]
    assert audit.headline in page.text("header")
    require_rates(audit, page)
    inside = 0
    for share in (0.0, 0.13, 0.5, 0.66, 0.7, 0.74, 0.78, 0.82, 0.999, 1.0):
        page.slide(share)
        inside += require_rates(audit, page)
    assert 2 <= inside <= 6
    page.slide(0)
    assert page.text("#pooled-far") == "100.00%"
    page.slide(1)
    assert page.text("#pooled-frr") == "100.00%"


def require_rates(audit: em.Audit, page: Visit) -> bool:
    """Whether the classes were counted at the threshold shown; every number is that of the library."""
    threshold, of_classes = page.thresholds()
    assert page.text("#pooled-far") == rate(audit.far_at(threshold))
    assert page.text("#pooled-frr") == rate(audit.frr_at(threshold))
    inside = bool(audit.counts.thresholds[0] <= threshold <= audit.counts.thresholds[-1])
    assert inside == (of_classes is not None)
    if not inside:
        assert "no per-class values here" in page.text("#counted")
        assert {cell for row in page.rows() for cell in row[1:3]} == {"–"}
        return False
    assert of_classes == threshold
    table = audit.by_class_at(threshold)
    for name, far, frr, utility, opis, *counts, own in page.rows():
        row = table.loc[name]
        assert (far, frr) == (shown(row["far"]), shown(row["frr"]))
        assert (utility, opis) == (number_or_dash(row["utility"]), number_or_dash(row["opis"]))
        assert counts == [f"{int(row[key]):,}" for key in ("n", "positives", "negatives")]
        assert own == number_or_dash(row["own_threshold"])
    for kind in ("far", "frr"):
        worst = page.rows(f"#worst-{kind}")
        assert len(worst) == 8
        highest = table[kind].dropna().sort_values(ascending=False).head(8)
        assert [row[1 + (kind == "frr")] for row in worst] == [rate(value) for value in highest]
        assert [row[1:] for row in worst] == [
            [shown(table.loc[row[0], "far"]), shown(table.loc[row[0], "frr"])] for row in worst
        ]
    return True


def test_a_typed_rate_gives_the_admissible_threshold(audit, page):
    for text, far in (("5%", 0.05), ("0.02", 0.02), ("0.3", 0.3), ("0,001", 0.001), ("0", 0.0)):
        page.fill("#far", text)
        point = audit.threshold_at_far(far)
        assert page.thresholds()[0] == point.threshold
        assert page.text("#pooled-far") == rate(point.far)
        assert page.text("#pooled-frr") == rate(point.frr)
    page.fill("#far", "a lot")
    assert page.page.get_attribute("#far", "aria-invalid") == "true"


def test_a_typed_threshold_is_met_as_far_at_meets_it(audit, page):
    for value in (-2.0, -0.3, 0.123456, 0.5, 2.0):
        page.fill("#threshold", str(value))
        assert page.text("#pooled-far") == rate(audit.far_at(value))
        assert page.text("#pooled-frr") == rate(audit.frr_at(value))


def test_thresholds_of_the_users_own_are_met_exactly(visit, tmp_path):
    audit = grouped_audit(thresholds=[0.7123456])
    audit.to_html(tmp_path / "report.html")
    page = visit(tmp_path / "report.html")
    page.fill("#threshold", "0.7123456")
    assert page.thresholds() == (0.7123456, 0.7123456)
    assert page.text("#pooled-frr") == rate(audit.frr_at(0.7123456))
    table = audit.by_class_at(0.7123456)
    for row in page.rows():
        assert row[1] == shown(table.loc[row[0], "far"])


def test_saved_csv_is_the_data_frame_to_the_last_digit(audit, page, tmp_path):
    threshold = float(audit.counts.thresholds[20])
    page.fill("#threshold", repr(threshold))
    table = audit.by_class_at(threshold)
    with page.csv(tmp_path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["class", *table.columns]
    assert sorted(row["class"] for row in rows) == sorted(table.index)
    for row in rows:
        for name, value in table.loc[row["class"]].items():
            assert (float(row[name]) == value) if row[name] else np.isnan(value)


def test_groups_and_the_matrix_between_them_follow_the_slider(audit, page):
    from evenmatch.measures import group_table

    for threshold in audit.counts.thresholds[[3, 90]].tolist():
        page.fill("#threshold", repr(threshold))
        table = group_table(audit.counts, threshold)
        for name, n, far, within, frr in page.rows("#group-table"):
            row = table.loc[name]
            assert int(n.replace(",", "")) == row["n"]
            assert [far, within, frr] == [shown(row[key]) for key in ("far", "far_within", "frr")]
        groups, column = audit.counts.groups, audit.counts.column(threshold)
        expected = groups.negatives_accepted[:, :, column] / groups.negatives
        assert page.rows("#matrix") == [
            [name, *map(rate, line)] for name, line in zip(groups.names.tolist(), expected, strict=True)
        ]


def test_search_sort_and_pages(audit, page):
    page.fill("#threshold", repr(audit.threshold))
    page.page.fill("#search", "CLASS 3")
    found = [name for name in audit.by_class.index if "class 3" in name]
    assert sorted(row[0] for row in page.rows()) == sorted(found)
    assert page.text("#found") == f"{len(found)} of 41 classes"
    page.page.fill("#search", "nothing like it")
    assert page.rows() == []
    page.page.fill("#search", "")
    assert page.text("#page") == "Page 1 of 2"
    for key in ("far", "frr", "utility", "opis", "n"):
        header = f"#table th[data-key={key}]"
        for direction in ("descending", "ascending"):
            page.page.click(f"{header} button")
            while page.page.get_attribute(header, "aria-sort") != direction:
                page.page.click(f"{header} button")
            order = page.rows()
            page.page.click("#next")
            order += page.rows()
            page.page.click("#previous")
            values = audit.by_class[key].loc[[row[0] for row in order]].to_numpy()
            defined = values[~np.isnan(values)]
            assert len(order) == 41
            assert (np.diff(defined) * (1 if direction == "ascending" else -1) >= 0).all()
            assert not np.isnan(values[: defined.size]).any()  # undefined ones last, either way


def test_a_pinned_class_is_named_and_drawn(audit, page):
    page.fill("#threshold", repr(audit.threshold))
    name = page.rows("#worst-far")[2][0]
    page.page.click(f"#worst-far button:text-is('{name}')")
    assert page.text("#pinned") == name == page.text("#pinned-scores")
    page.drawn()
    names = page.page.evaluate("document.getElementById('utility').data.map((trace) => trace.name)")
    assert names == ["one class", "mean of classes", name]
    drawn = page.page.evaluate("(({x, y}) => [[...x], [...y]])(document.getElementById('utility').data[2])")
    from evenmatch.measures import utility

    row = audit.counts.classes.tolist().index(name)
    for threshold, value in list(zip(*drawn, strict=True))[::20]:
        column = audit.counts.column(threshold)
        tar = audit.counts.positives_accepted[row, column] / audit.counts.positives[row]
        tnr = 1 - audit.counts.negatives_accepted[row, column] / audit.counts.negatives[row]
        assert value == pytest.approx(float(utility(np.array(tar), np.array(tnr))))
    page.page.click("#unpin")
    assert page.text("#pinned") == "none"


def test_a_curve_names_its_class_and_pins_it_when_clicked(audit, page):
    page.page.locator("#utility").scroll_into_view_if_needed()
    page.page.wait_for_selector("#utility .main-svg")
    spot = page.page.evaluate(
        """() => {
          const chart = document.getElementById("utility");
          const {xaxis, yaxis} = chart._fullLayout;
          const trace = chart.data[0];
          const i = 40 + 3 * (trace.x.indexOf(null) + 1);
          const box = chart.getBoundingClientRect();
          return {name: data.names[trace.customdata[i]],
            x: box.left + xaxis._offset + xaxis.d2p(trace.x[i]), y: box.top + yaxis._offset + yaxis.d2p(trace.y[i])};
        }"""
    )
    page.page.mouse.move(spot["x"], spot["y"])
    page.page.wait_for_selector("#utility .hovertext")
    label = page.text("#utility .hovertext")
    name = next(name for name in audit.by_class.index if label.startswith(f"{name}threshold"))
    page.page.mouse.click(spot["x"], spot["y"])
    page.until(f"document.getElementById('pinned').textContent === {json.dumps(name)}")


def test_the_keyboard_works_slider_table_and_pins(audit, page):
    page.fill("#threshold", repr(audit.threshold))
    page.page.focus("#slider")
    before = page.thresholds()[0]
    for _ in range(3):
        page.page.keyboard.press("ArrowLeft")
    page.until(f"Number(document.getElementById('moving').dataset.threshold) < {before}")
    threshold = page.thresholds()[0]
    assert page.text("#pooled-far") == rate(audit.far_at(threshold))
    assert f"FAR {rate(audit.far_at(threshold))}" in page.page.get_attribute("#slider", "aria-valuetext")
    page.page.keyboard.press("Home")
    page.until("document.getElementById('pooled-far').textContent === '100.00%'")
    page.page.focus("#table th[data-key=n] button")
    page.page.keyboard.press("Enter")
    assert page.page.get_attribute("#table th[data-key=n]", "aria-sort") == "descending"
    page.page.focus("#table tbody tr:nth-child(3) button")
    name = page.rows()[2][0]
    page.page.keyboard.press("Enter")
    assert page.text("#pinned") == name
    page.page.focus("#next")
    page.page.keyboard.press("Space")
    assert page.text("#page") == "Page 2 of 2"


def test_names_are_text_in_every_place(hostile, hostile_page, tmp_path):
    audit, page = hostile[0], hostile_page
    page.drawn()
    assert page.page.title().startswith(HOSTILE[0])
    assert audit.headline in page.text(".headline")
    assert sorted(row[0] for row in page.rows()) == sorted(HOSTILE)
    assert [row[0] for row in page.rows("#group-table")] == audit.by_group.index.tolist()
    assert [row[0] for row in page.rows("#matrix")] == audit.by_group.index.tolist()
    for name in HOSTILE:
        row = HOSTILE.index(name)
        page.page.locator("#table tbody button").nth([each[0] for each in page.rows()].index(name)).click()
        assert page.text("#pinned") == page.text("#pinned-scores") == name, row
        page.drawn()
        legend = page.page.locator("#utility .legendtext").last.text_content()
        assert legend.replace("…", "")[:20].strip() in name.replace("\u202e", ""), legend
    assert page.page.locator("main img, main b:not(#pooled-far):not(#pooled-frr), main i:not([id])").count() == 0
    assert page.page.locator("svg a, svg image").count() == 0
    with page.csv(tmp_path).open(newline="", encoding="utf-8") as file:
        saved = [row["class"] for row in csv.DictReader(file)]
    assert sorted(saved) == sorted(f"'{name}" if name.startswith("=") else name for name in HOSTILE)


def test_hovering_shows_hostile_names_as_text(hostile_page):
    page = hostile_page
    page.drawn()
    for i in range(len(HOSTILE)):
        label = page.page.evaluate(
            """async (name) => {
              const chart = document.getElementById("utility");
              const at = chart.data[0].customdata.indexOf(data.names.indexOf(name)) + 3;
              Plotly.Fx.hover(chart, [{curveNumber: 0, pointNumber: at}]);
              await new Promise((done) => setTimeout(done, 150));
              return chart.querySelector(".hovertext")?.textContent ?? "";
            }""",
            HOSTILE[i],
        )
        name = HOSTILE[i].replace("\u202e", "")
        named = label.split("threshold 0")[0]
        assert named
        assert named.replace("…", "")[:20].strip() in name, (label, name)


def test_dark_follows_the_system_and_the_button(report, visit):
    light, dark = visit(report), visit(report, dark=True)

    def page_colour(page) -> str:
        return page.page.evaluate("getComputedStyle(document.body).backgroundColor")

    def chart_colour(page) -> str:
        page.drawn()
        return page.page.evaluate("document.getElementById('scores').layout.font.color")

    assert page_colour(light) == "rgb(255, 255, 255)"
    assert page_colour(dark) == "rgb(20, 23, 27)"
    assert chart_colour(light) != chart_colour(dark)
    expected = chart_colour(dark)
    light.page.click("#theme")
    assert page_colour(light) == page_colour(dark)
    assert chart_colour(light) == expected
    assert light.page.get_attribute("#theme", "aria-pressed") == "true"
    dark.page.click("#theme")
    assert page_colour(dark) == "rgb(255, 255, 255)"


def test_the_page_writes_numbers_as_the_terminal_does(page):
    rng = np.random.default_rng(0)
    ties = [n / 32 for n in range(33)] + [n / 4096 for n in range(0, 4097, 7)]
    values = [
        0.0,
        1.0,
        1e-5,
        9.9995e-5,
        0.00012345,
        123.45,
        12345.0,
        1e9,
        *ties,
        *rng.random(500),
        *10 ** rng.uniform(-9, 5, 500),
    ]
    shown_there = page.page.evaluate("values => values.map((value) => [rate(value), number(value)])", values)
    assert shown_there == [[rate(value), number(value)] for value in values]
