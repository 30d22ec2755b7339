/* ---- charts: drawn when they come into view, so that a step of the slider pays only for what is seen ---- */

const charts = new Map();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const one = charts.get(entry.target.id);
      one.visible = entry.isIntersecting;
      update(one);
    }
  },
  { rootMargin: "40px" },
);

/* make() gives {traces, layout}. With shapes(), a moved threshold redraws these alone and leaves the curves. */
function addChart(id, make, shapes = null) {
  const one = { node: element(id), make, shapes, visible: false, stale: true, moved: false };
  charts.set(id, one);
  watcher.observe(one.node);
}

function update(one) {
  if (!one.visible || !window.Plotly) return;
  if (one.stale) draw(one);
  else if (one.moved) Plotly.relayout(one.node, { shapes: one.shapes() });
  one.moved = false;
}

function draw(one) {
  const { traces, layout } = one.make();
  if (one.shapes) layout.shapes = one.shapes();
  const first = !one.drawn;
  one.drawn = true;
  one.stale = false;
  Plotly.react(one.node, traces, finish(layout), { displayModeBar: false, responsive: true, scrollZoom: false });
  if (first && one.click) one.node.on("plotly_click", one.click);
}

function refreshCharts(ids = charts.keys()) {
  for (const id of ids) {
    const one = charts.get(id);
    one.stale = true;
    update(one);
  }
}

function moveCharts(ids) {
  for (const id of ids) {
    const one = charts.get(id);
    if (one.shapes) one.moved = true;
    else one.stale = true;
    update(one);
  }
}

const drawAll = () => [...charts.values()].forEach(draw);

addEventListener("beforeprint", () => {
  document.documentElement.dataset.wasTheme = document.documentElement.dataset.theme ?? "";
  document.documentElement.dataset.theme = "light";
  drawAll();
});
addEventListener("afterprint", () => {
  const before = document.documentElement.dataset.wasTheme;
  if (before) document.documentElement.dataset.theme = before;
  else delete document.documentElement.dataset.theme;
  drawAll();
});

/* ---- what all charts share ---- */

const narrow = matchMedia("(max-width: 50rem)");
const coarse = matchMedia("(pointer: coarse)");

function axis(title, more = {}) {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: colour("line"),
    linecolor: colour("muted"),
    zeroline: false,
    automargin: true,
    ticks: "outside",
    tickcolor: colour("muted"),
    ...more,
  };
}

function finish(layout) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("text"), size: narrow.matches ? 12 : 13, family: "system-ui, sans-serif" },
    margin: { l: 56, r: 12, t: 12, b: 48 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("muted"), font: { color: colour("text") }, align: "left" },
    hovermode: "closest",
    // on a touch screen a chart that zooms cannot be scrolled past
    dragmode: coarse.matches || narrow.matches ? false : "zoom",
    ...layout,
  };
}

function thresholdLine(at, extra = {}) {
  return {
    type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1,
    line: { color: colour("text"), width: 1.5, dash: "dash" }, ...extra,
  };
}

const note = (text) => ({ text, xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false, font: { color: colour("muted") } });

function translucent(hex, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

/* ---- how many classes have which rate, on a logarithmic axis with a place for zero ---- */

const PER_DECADE = 6;
const ZERO = 0.8; // decades below the lowest

const decadeText = (power) => String(Number((100 * 10 ** power).toPrecision(1)));

function spreadLayout(low, what, pooled, empty) {
  const decades = Array.from({ length: 1 - low }, (_, i) => low + i);
  const layout = {
    xaxis: axis(`${what} of the class (%)`, {
      range: [low - 1.1, 0.1],
      tickvals: [low - ZERO, ...decades],
      ticktext: ["0", ...decades.map(decadeText)],
    }),
    yaxis: axis("classes (number)", { rangemode: "tozero", tickformat: ",d" }),
    showlegend: false,
    bargap: 0.05,
  };
  if (empty) return { ...layout, annotations: [note(empty)], yaxis: { ...layout.yaxis, range: [0, 1], showticklabels: false } };
  if (pooled > 0) layout.shapes = [thresholdLine(Math.max(low, Math.log10(pooled)))];
  return layout;
}

/* Bars of {x, y, width, text} over log10 of the rate; what lies below the lowest decade joins its first bar. */
function spreadBars(rates, low) {
  const bins = new Float64Array(-low * PER_DECADE);
  let zeros = 0;
  for (const value of rates) {
    if (value === 0) zeros++;
    else if (value > 0) bins[Math.min(bins.length - 1, Math.max(0, Math.floor((Math.log10(value) - low) * PER_DECADE)))]++;
  }
  const edge = (i) => 100 * 10 ** (low + i / PER_DECADE);
  return {
    type: "bar",
    x: [low - ZERO, ...Array.from(bins, (_, i) => low + (i + 0.5) / PER_DECADE)],
    y: [zeros, ...bins],
    width: [0.3, ...Array.from(bins, () => 1 / PER_DECADE)],
    text: ["0%", ...Array.from(bins, (_, i) => `${number(edge(i))}% to ${number(edge(i + 1))}%`)],
    textposition: "none",
    hovertemplate: "%{y} classes at %{text}<extra></extra>",
  };
}

const lowestDecade = (pairs) => Math.min(-2, Math.max(-5, Math.floor(-Math.log10(Math.max(10, pairs)))));
