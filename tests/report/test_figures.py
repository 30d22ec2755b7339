"""The figures: on the axes they are given, labelled, with any number of classes of any name, without a warning."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from scipy.special import ndtri

import evenmatch as em

FIGURES = ["utility", "rates", "classes", "scores", "det"]


def clusters(k: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(k), each))
    widths = rng.uniform(0.3, 1.2, k)
    x = rng.normal(size=(k, 8))[codes] + widths[codes, None] * rng.normal(size=(codes.size, 8))
    return x.astype(np.float32), codes


def new_axes():
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def drawn(ax) -> None:
    """Render, so that every text goes through the layout; warnings are errors here."""
    ax.figure.savefig(io.BytesIO(), format="png", dpi=60)


def texts(ax) -> str:
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    return "\n".join([*legend, *(text.get_text() for text in ax.texts)])


@pytest.fixture(scope="module")
def audit() -> em.Audit:
    return em.audit(*clusters(30, 20))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_on_the_given_axes_and_labelled(audit, name):
    ax = new_axes()
    assert getattr(audit.plot, name)(ax=ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert ax.has_data()
    assert ax.get_legend() is not None
    drawn(ax)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_makes_axes_of_its_own_without_any(audit, name):
    import matplotlib.pyplot as plt

    try:
        ax = getattr(audit.plot, name)()
        assert ax.figure.number in plt.get_fignums()
        drawn(ax)
    finally:
        plt.close("all")


def test_utility_shows_every_class_the_mean_and_the_range(audit):
    ax = audit.plot.utility(new_axes())
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    segments = lines.get_segments()
    assert len(segments) == 30
    result, counts = audit.consistency, audit.counts
    inside = np.isin(counts.thresholds, result.thresholds)
    order = result.defined[np.argsort(result.class_utility)]
    for segment, code in zip(segments, order, strict=True):
        np.testing.assert_allclose(segment[inside, 1], result.curves[np.flatnonzero(result.defined == code)[0]])
    mean = next(line for line in ax.lines if line.get_label() == "mean of classes")
    np.testing.assert_array_equal(mean.get_ydata(), result.mean_curve)
    shaded = next(patch for patch in ax.patches if patch.get_label() == "calibration range")
    assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == pytest.approx(audit.threshold_range)
    assert f"worst: {audit.worst_classes(1).index[0]}" in texts(ax)


def test_rates_show_every_class_in_percent_and_name_the_worst(audit):
    ax = audit.plot.rates(new_axes())
    points = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(points, 100 * audit.by_class[["far", "frr"]].to_numpy())
    assert str(audit.by_class["far"].idxmax()) in texts(ax)
    assert f"FAR {audit.far_at(audit.threshold):.2%}" in texts(ax)
    assert f"FRR {audit.frr_at(audit.threshold):.2%}" in texts(ax)


def test_det_lies_on_normal_deviate_axes_through_the_equal_error_rate(audit):
    ax = audit.plot.det(new_axes())
    curve, at_eer = ax.lines[:2]
    x, y = curve.get_data()
    kept = (audit.curve.far > 0) & (audit.curve.far < 0.6) & (audit.curve.frr > 0) & (audit.curve.frr < 0.6)
    np.testing.assert_allclose(x, ndtri(audit.curve.far[kept]))
    np.testing.assert_allclose(y, ndtri(audit.curve.frr[kept]))
    assert at_eer.get_xdata()[0] == at_eer.get_ydata()[0] == ndtri(audit.eer)
    assert f"EER {audit.eer:.2%}" in texts(ax)
    ticks = dict(zip(ax.get_xticks(), (label.get_text() for label in ax.get_xticklabels()), strict=True))
    assert ticks[ndtri(0.1)] == "10"


@pytest.mark.parametrize("name", FIGURES)
def test_more_than_a_thousand_classes_are_drawn(name):
    audit = em.audit(*clusters(1200, 3))
    ax = new_axes()
    getattr(audit.plot, name)(ax=ax)
    drawn(ax)
    if name == "utility":
        (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
        assert len(lines.get_segments()) == 400
        assert f"worst: {audit.worst_classes(1).index[0]}" in texts(ax)
    if name == "rates":
        assert len(ax.collections[0].get_offsets()) == 1200


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "label",
    ["$x^{$", "a$b$c", "\\$5$", "$", "x" * 500, "{}%", "_hidden", "two\nlines", "", "Ωմი"],
    ids=ascii,
)
def test_any_class_name_is_drawn_as_it_is(name, label):
    x, codes = clusters(8, 8)
    audit = em.audit(x, [f"{label}{code}" for code in codes], far=(0.02, 0.2))
    ax = new_axes()
    getattr(audit.plot, name)(ax=ax)
    drawn(ax)
    for text in [*ax.get_legend().get_texts(), *ax.texts]:
        assert len(text.get_text()) < 80
        assert not is_math_text(text.get_text())


def test_perfectly_separated_classes_can_be_drawn():
    # no positive pair is ever below a negative one: FRR and FAR are never both between 0 and 1
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(12), 6)
    x = np.eye(12)[codes] + 0.02 * rng.normal(size=(72, 12))
    audit = em.audit(x, codes)
    assert audit.eer == 0
    for name in FIGURES:
        ax = new_axes()
        getattr(audit.plot, name)(ax=ax)
        drawn(ax)


def test_classes_without_genuine_pairs_are_left_out_of_the_figures():
    x, codes = clusters(12, 10)
    x = np.concatenate([x, np.random.default_rng(5).normal(size=(3, 8)).astype(np.float32)])
    audit = em.audit(x, [*codes.tolist(), 100, 101, 102])
    rates = audit.plot.rates(new_axes())
    assert len(rates.collections[0].get_offsets()) == 12
    utility = audit.plot.utility(new_axes())
    (lines,) = [c for c in utility.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == 12


def test_scores_of_each_kind_add_up_to_all_pairs(audit):
    ax = audit.plot.scores(new_axes())
    lines = {
        patch.get_label(): patch.get_data() for patch in ax.patches if patch.get_label() in ("genuine", "impostor")
    }
    assert len(lines) == 2
    for values, edges, _ in lines.values():
        assert values.sum() == pytest.approx(100)
        assert np.allclose(np.diff(edges), edges[1] - edges[0])
    values, edges, _ = lines["impostor"]
    at = int(np.searchsorted(edges, audit.threshold))
    assert values[at:].sum() / 100 <= audit.far_at(audit.threshold) <= values[at - 1 :].sum() / 100 + 1e-12


def test_classes_are_drawn_in_ascending_order(audit):
    ax = audit.plot.classes(new_axes())
    far, _, frr, _ = ax.lines
    np.testing.assert_allclose(far.get_ydata(), np.sort(100 * audit.by_class["far"]))
    np.testing.assert_allclose(frr.get_ydata(), np.sort(100 * audit.by_class["frr"]))


def test_the_plane_shows_every_model_its_intervals_and_the_front(audit):
    x, codes = clusters(30, 20)
    noise = np.random.default_rng(0).normal(size=x.shape)
    models = {"$base": audit, "noisy": em.audit(x + noise, codes), "noisier": em.audit(x + 2 * noise, codes)}
    comparison = em.compare(models)
    ax = em.plot.pareto(comparison, ax=new_axes())
    drawn(ax)
    assert [text.get_text() for text in ax.texts] == [r"\$base", "noisy", "noisier"]
    points = np.concatenate([np.asarray(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection)])
    table = comparison.table
    expected = np.column_stack([100 * table["recall_at_1"], table["opis"]])
    np.testing.assert_allclose(np.sort(points, axis=0), np.sort(expected, axis=0))
    front = ax.lines[0]
    on_front = table[table["pareto"]].sort_values("recall_at_1")
    np.testing.assert_allclose(front.get_xdata(), 100 * on_front["recall_at_1"])
    assert "recall@1 (%)" in ax.get_xlabel()
    assert "OPIS" in ax.get_ylabel()
    again = em.plot.pareto(models, ax=new_axes())
    assert len(again.texts) == 3


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_figures_are_vector_graphics(audit, suffix):
    buffer = io.BytesIO()
    audit.plot.classes(new_axes()).figure.savefig(buffer, format=suffix)
    assert b"<image" not in buffer.getvalue()
    assert b"/Subtype /Image" not in buffer.getvalue()
