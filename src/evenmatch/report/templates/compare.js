/* ---- several models side by side ---- */

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star"];
const SERIES = ["genuine", "impostor", "mean", "accent", "worst", "curve"];

start(async (arrays) => {
  const { models, targets, summary } = data;
  const K = data.names.length;
  const of = (k, name) => arrays[`${k}.${name}`];
  models.forEach((model, k) => {
    model.summary = summary.models[model.name];
    undoDifferences(of(k, "positivesAccepted"), K);
    undoDifferences(of(k, "negativesAccepted"), K);
    model.far = new Float64Array(K);
    model.frr = new Float64Array(K);
  });
  const now = { stop: data.start, other: 1, pinned: -1 };
  const series = (k) => colour(SERIES[k % SERIES.length]);
  const label = (k, length = 24) => plotText(models[k].name, length);

  function classRates() {
    models.forEach((model, k) => {
      const { column } = model.stops[now.stop];
      for (let i = 0; i < K; i++) {
        model.far[i] = column < 0 ? NaN : of(k, "negativesAccepted")[column * K + i] / of(k, "negatives")[i];
        model.frr[i] = column < 0 ? NaN : 1 - of(k, "positivesAccepted")[column * K + i] / of(k, "positives")[i];
      }
    });
  }

  /* -- the slider -- */

  const slider = element("slider");
  slider.max = targets.length - 1;
  let scheduled = false;
  slider.addEventListener("input", () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      move(Number(slider.value));
    });
  });

  function move(stop) {
    now.stop = stop;
    slider.value = stop;
    classRates();
    const target = `${number(100 * targets[stop])}%`;
    element("target").textContent = target;
    slider.setAttribute("aria-valuetext", `false accept rate of at most ${target}`);
    const missing = models.filter((model) => model.stops[stop].column < 0).map((model) => model.name);
    element("counted").textContent =
      K === 0
        ? "The models have no class in common."
        : missing.length
          ? `The classes of ${missing.join(", ")} were not counted at this rate: no per-class values there.`
          : "Pooled and per-class numbers of a model belong to one counted threshold.";
    element("at").tBodies[0].replaceChildren(
      ...models.map((model) => {
        const { threshold, far, frr } = model.stops[stop];
        const row = create("tr");
        const most = (values) => values[highest(values, 1)[0]] ?? NaN;
        const cells = [threshold === null ? "∞" : score(threshold), rate(far), rate(frr), rate(most(model.far)), rate(most(model.frr))];
        row.append(create("th", model.name, { scope: "row", class: "name" }), ...cells.map((text) => create("td", text, { class: "num" })));
        return row;
      }),
    );
    table.moved();
    refreshCharts(["far-classes", "frr-classes", "det"]);
  }

  /* -- charts -- */

  const bars = (k, key, scale) => {
    const interval = models[k].summary.intervals[key];
    const value = models[k].summary[key];
    if (!interval) return undefined;
    return { type: "data", symmetric: false, array: [scale * (interval[1] - value)], arrayminus: [scale * (value - interval[0])], color: series(k), thickness: 1.5, width: 4 };
  };
  addChart("plane", () => {
    const front = models.map((_, k) => k).filter((k) => models[k].summary.pareto);
    front.sort((a, b) => models[a].summary.recall_at_1 - models[b].summary.recall_at_1);
    const line = {
      x: front.map((k) => 100 * models[k].summary.recall_at_1), y: front.map((k) => models[k].summary.opis),
      type: "scatter", mode: "lines", name: "Pareto front", line: { color: colour("curve"), width: 2, shape: "vh" }, hoverinfo: "skip",
    };
    const points = models.map((model, k) => ({
      x: [100 * model.summary.recall_at_1], y: [model.summary.opis], type: "scatter", mode: "markers", name: label(k),
      error_x: bars(k, "recall_at_1", 100), error_y: bars(k, "opis", 1),
      marker: { color: series(k), size: 13, symbol: SYMBOLS[k % SYMBOLS.length] },
      hovertemplate: `${label(k, 60).replace(/%\{/g, "%&#123;")}<br>recall@1 ${rate(model.summary.recall_at_1)}<br>OPIS ${number(model.summary.opis)}<extra></extra>`,
    }));
    return {
      traces: [line, ...points],
      layout: { xaxis: axis("recall@1 (%), more is better"), yaxis: axis("OPIS (0 to 0.25), less is better") },
    };
  });

  for (const [key, what, pairs] of [["far", "false accept rate", "negatives"], ["frr", "false reject rate", "positives"]]) {
    let most = 1;
    models.forEach((_, k) => of(k, pairs).forEach((each) => (most = Math.max(most, each))));
    const low = lowestDecade(most);
    addChart(`${key}-classes`, () => {
      const layout = {
        ...spreadLayout(low, what, 0),
        yaxis: axis("classes with at most this rate (%)", { range: [0, 101] }),
        showlegend: true,
      };
      const traces = [];
      models.forEach((model, k) => {
        const rates = model[key].filter((value) => !Number.isNaN(value)).sort();
        if (rates.length === 0) return;
        const x = Array.from(rates, (value) => (value === 0 ? low - ZERO : Math.max(low, Math.log10(value))));
        traces.push({
          x: [low - 1.1, ...x, 0.1], y: [0, ...x.map((_, i) => (100 * (i + 1)) / x.length), 100], type: "scatter", mode: "lines", name: label(k),
          line: { color: series(k), width: 2.2, shape: "hv", dash: DASHES[k % DASHES.length] },
          text: ["", ...Array.from(rates, rate), ""], hovertemplate: "%{y:.0f}% of the classes have at most %{text}<extra></extra>",
        });
      });
      return traces.length ? { traces, layout } : { traces, layout: { ...layout, annotations: [note("not counted at this rate")] } };
    });
  }

  addChart("det", () => ({
    traces: models.flatMap((model, k) => {
      const { det } = model;
      const kept = det.far.map((_, i) => i).filter((i) => det.far[i] < 0.81 && det.frr[i] < 0.81);
      if (kept.length === 0) return [];
      const { far, frr } = model.stops[now.stop];
      const nearest = kept.reduce((best, i) => (Math.abs(det.far[i] - far) < Math.abs(det.far[best] - far) ? i : best), kept[0]);
      const line = {
        x: kept.map((i) => det.x[i]), y: kept.map((i) => det.y[i]), type: "scatter", mode: "lines", name: label(k),
        line: { color: series(k), width: 2.2, dash: DASHES[k % DASHES.length] },
        text: kept.map((i) => `threshold ${score(det.threshold[i])}<br>FAR ${rate(det.far[i])}<br>FRR ${rate(det.frr[i])}`),
        hovertemplate: "%{text}<extra></extra>",
      };
      const dot = {
        x: [det.x[nearest]], y: [det.y[nearest]], type: "scatter", mode: "markers", showlegend: false, hoverinfo: "skip",
        marker: { color: series(k), size: 11, symbol: SYMBOLS[k % SYMBOLS.length], line: { color: colour("page"), width: 2 } },
      };
      return far > 0 && far < 0.81 && frr > 0 && frr < 0.81 ? [line, dot] : [line];
    }),
    layout: {
      xaxis: axis("false accept rate (%)", { tickvals: models[0].det.ticks.at, ticktext: models[0].det.ticks.text }),
      yaxis: axis("false reject rate (%)", { tickvals: models[0].det.ticks.at, ticktext: models[0].det.ticks.text }),
    },
  }));

  const utility = (k) => of(k, "utility");
  addChart("change", () => {
    const [x, y] = [utility(0), utility(now.other)];
    const defined = data.names.map((_, i) => i).filter((i) => !Number.isNaN(x[i]) && !Number.isNaN(y[i]));
    const points = (kept, name, shade, symbol, size = 7) => ({
      x: kept.map((i) => x[i]), y: kept.map((i) => y[i]), customdata: kept, text: kept.map((i) => plotText(data.names[i])), name,
      type: "scatter", mode: "markers", marker: { color: colour(shade), size, symbol, opacity: 0.75 },
      hovertemplate: "%{text}<br>%{x:.3f} → %{y:.3f}<extra></extra>",
    });
    const better = defined.filter((i) => y[i] > x[i]);
    const rest = defined.filter((i) => y[i] <= x[i]);
    const traces = [points(better, `better (${count(better.length)})`, "better", "triangle-up"), points(rest, `not better (${count(rest.length)})`, "impostor", "triangle-down")];
    if (now.pinned >= 0) traces.push(points([now.pinned], "pinned", "text", "circle-open", 15));
    let low = 1;
    for (const i of defined) low = Math.min(low, x[i], y[i]);
    const range = [Math.max(-0.02, low - 0.04), 1.02];
    return {
      traces,
      layout: {
        xaxis: axis(`mean utility, ${label(0)} (0 to 1)`, { range }),
        yaxis: axis(`mean utility, ${label(now.other)} (0 to 1)`, { range }),
        shapes: [{ type: "line", x0: range[0], y0: range[0], x1: range[1], y1: range[1], line: { color: colour("muted"), width: 1.5, dash: "dash" } }],
      },
    };
  });
  charts.get("change").click = (event) => pin(event.points[0].customdata);

  /* -- classes -- */

  function pin(i) {
    now.pinned = i === now.pinned ? -1 : i;
    element("pinned").textContent = now.pinned < 0 ? "none" : data.names[now.pinned];
    element("unpin").hidden = now.pinned < 0;
    table.moved();
    refreshCharts(["change"]);
  }
  element("unpin").addEventListener("click", () => pin(now.pinned));

  models.slice(1).forEach((model, k) => element("which").append(create("option", shorten(model.name), { value: k + 1 })));
  element("which-field").hidden = models.length < 3;
  element("which").addEventListener("change", (event) => {
    now.other = Number(event.target.value);
    table.update();
    refreshCharts(["change"]);
  });

  const column = (key, title, value, show, moves) => ({ key, title, numeric: true, value, show: (i) => show(value(i)), moves });
  const change = (text, better) => create("span", text, better === null ? {} : { class: better ? "better" : "worse" });
  const signed = (value, show, more) =>
    Number.isNaN(value) ? create("span", "–") : change(`${value < 0 ? "−" : "+"}${show(Math.abs(value))}`, value === 0 ? null : value > 0 === more);
  const pair = (key, title, from, show, more, moves) => [
    column(`${key} before`, `${title} first`, (i) => from(0)[i], show, moves),
    column(`${key} after`, `${title} other`, (i) => from(now.other)[i], show, moves),
    column(`${key} change`, "change", (i) => from(now.other)[i] - from(0)[i], (value) => signed(value, show, more), moves),
  ];
  const table = classTable(
    [
      { key: "class", title: "class", numeric: false, value: (i) => data.names[i] },
      ...pair("utility", "utility", utility, number, true, false),
      ...pair("far", "FAR", (k) => models[k].far, rate, false, true),
      ...pair("frr", "FRR", (k) => models[k].frr, rate, false, true),
      column("n", "samples", (i) => of(0, "n")[i], count, false),
    ],
    data.names,
    { sort: "utility change", descending: false, pin, pinned: () => now.pinned, file: "change_by_class.csv" },
  );

  await loadPlotly();
  move(data.start);
  setUpTheme(() => refreshCharts());
  narrow.addEventListener("change", () => refreshCharts());
});
