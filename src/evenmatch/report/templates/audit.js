/* ---- the report of one audit ---- */

const WORST = 8;
const CURVE_POINTS = 90;
const SCORE_BINS = 140;

start(async (arrays) => {
  const K = data.names.length;
  const { summary, grid } = data;
  const T = arrays.thresholds.length;
  const tolerance = 1e-6 * grid.step;
  undoDifferences(arrays.positivesAccepted, K);
  undoDifferences(arrays.negativesAccepted, K);
  const accepted = (histogram) => {
    const sums = new Float64Array(grid.size + 1);
    for (let i = grid.size - 1; i >= 0; i--) sums[i] = sums[i + 1] + histogram[i];
    return sums;
  };
  const trueAccepts = accepted(arrays.pooledPositives);
  const falseAccepts = accepted(arrays.pooledNegatives);

  /* -- the threshold and all that follows from it -- */

  const gridThreshold = (index) => (index >= grid.size ? Infinity : grid.low + index * grid.step);
  const gridIndex = (value) => Math.min(Math.ceil(Math.max((value - grid.low) / grid.step, 0) - 1e-6), grid.size);
  const columnSum = (table, column) => {
    let sum = 0;
    for (let i = column * K; i < (column + 1) * K; i++) sum += table[i];
    return sum;
  };

  /* The class threshold at or next above a value; -1 outside of where the classes were counted. */
  function columnAtOrAbove(value) {
    if (value < arrays.thresholds[0] - tolerance || value > arrays.thresholds[T - 1] + tolerance) return -1;
    let low = 0;
    let high = T - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (arrays.thresholds[middle] >= value - tolerance) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function at(value) {
    const column = columnAtOrAbove(value);
    const exact = column >= 0 && Math.abs(arrays.thresholds[column] - value) <= tolerance;
    const index = gridIndex(value);
    const threshold = exact ? arrays.thresholds[column] : gridThreshold(index);
    const impostors = exact ? columnSum(arrays.negativesAccepted, column) / 2 : falseAccepts[index];
    const genuine = exact ? columnSum(arrays.positivesAccepted, column) : trueAccepts[index];
    return {
      threshold,
      far: impostors / data.negatives,
      frr: 1 - genuine / data.positives,
      column: exact ? column : columnAtOrAbove(threshold),
    };
  }

  function thresholdAtFar(target) {
    let low = 0;
    let high = grid.size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (falseAccepts[middle] / data.negatives <= target) high = middle;
      else low = middle + 1;
    }
    return gridThreshold(low);
  }

  const now = { ...at(summary.threshold), pinned: -1, far_: new Float64Array(K), frr_: new Float64Array(K) };

  function classRates() {
    for (let i = 0; i < K; i++) {
      const cell = now.column * K + i;
      now.far_[i] = now.column < 0 ? NaN : arrays.negativesAccepted[cell] / arrays.negatives[i];
      now.frr_[i] = now.column < 0 ? NaN : 1 - arrays.positivesAccepted[cell] / arrays.positives[i];
    }
  }

  /* -- slider and fields -- */

  const slider = element("slider");
  const occupied = (from, by) => {
    let i = from;
    while (arrays.pooledPositives[i] + arrays.pooledNegatives[i] === 0) i += by;
    return i;
  };
  const lowest = gridThreshold(occupied(0, 1));
  const highestScore = grid.low + (occupied(grid.size - 1, -1) + 1) * grid.step;
  slider.min = lowest;
  slider.max = highestScore;
  slider.step = (highestScore - lowest) / 1000;
  const place = (id, from, to) => {
    const share = (value) => Math.min(100, Math.max(0, (100 * (value - lowest)) / (highestScore - lowest)));
    element(id).style.left = `${share(from)}%`;
    element(id).style.width = `${Math.max(0.4, share(to) - share(from))}%`;
  };
  place("counted-band", arrays.thresholds[0], arrays.thresholds[T - 1]);
  place("range-band", ...summary.threshold_range);

  /* The slider stops at counted thresholds, so that pooled and per-class numbers belong to the same one. */
  function snap(value) {
    const above = columnAtOrAbove(value);
    if (above <= 0) return above < 0 ? gridThreshold(gridIndex(value)) : arrays.thresholds[above];
    const below = arrays.thresholds[above - 1];
    return value - below < arrays.thresholds[above] - value ? below : arrays.thresholds[above];
  }

  let wanted = null;
  slider.addEventListener("input", () => {
    const scheduled = wanted !== null;
    wanted = snap(Number(slider.value));
    if (scheduled) return;
    requestAnimationFrame(() => {
      const value = wanted;
      wanted = null;
      move(value, slider);
    });
  });
  element("threshold").addEventListener("change", (event) => {
    const text = event.target.value.trim().replace(",", ".");
    const value = text === "" ? NaN : Number(text);
    event.target.setAttribute("aria-invalid", String(Number.isNaN(value)));
    if (!Number.isNaN(value)) move(value, event.target);
  });
  element("far").addEventListener("change", (event) => {
    const target = parseRate(event.target.value);
    event.target.setAttribute("aria-invalid", String(target === null));
    if (target !== null) move(thresholdAtFar(target), event.target);
  });

  function move(value, from) {
    Object.assign(now, at(value));
    classRates();
    if (from !== slider) slider.value = Number.isFinite(now.threshold) ? now.threshold : highestScore;
    if (from !== element("far")) element("far").value = "";
    element("threshold").value = score(now.threshold);
    element("threshold").setAttribute("aria-invalid", "false");
    show();
  }

  function show() {
    // for whoever reads the page with a program: the thresholds behind the rounded numbers
    Object.assign(element("moving").dataset, { threshold: now.threshold, classThreshold: arrays.thresholds[now.column] ?? "" });
    element("pooled-far").textContent = rate(now.far);
    element("pooled-frr").textContent = rate(now.frr);
    slider.setAttribute("aria-valuetext", `threshold ${score(now.threshold)}: FAR ${rate(now.far)}, FRR ${rate(now.frr)}`);
    const [first, last] = [score(arrays.thresholds[0]), score(arrays.thresholds[T - 1])];
    const shown = arrays.thresholds[now.column];
    const moved = Math.abs(shown - now.threshold) > tolerance ? `; per-class values are those at ${score(shown)}, the next one` : "";
    element("counted").textContent =
      now.column < 0
        ? `Classes were counted from ${first} to ${last} only: no per-class values here. Audit with --thresholds to count them at other scores.`
        : `Classes were counted at ${count(T)} thresholds from ${first} to ${last}${moved}.`;
    for (const [id, values] of [["worst-far", now.far_], ["worst-frr", now.frr_]]) {
      fillShort(id, highest(values, WORST).map((i) => shortRow(data.names[i], i, [rate(now.far_[i]), rate(now.frr_[i])])));
    }
    showGroups();
    showGallery();
    table.moved();
    moveCharts(["far-spread", "frr-spread", "utility", "scores", "class-scores", "det", "roc"]);
  }

  function shortRow(name, i, cells) {
    const row = create("tr", null, { "aria-selected": String(i === now.pinned) });
    const first = create("td", null, { class: "name" });
    first.append(nameButton(name, i, pin));
    row.append(first, ...cells.map((text) => create("td", text, { class: "num" })));
    return row;
  }

  /* -- pinned class -- */

  function pin(i) {
    now.pinned = i === now.pinned ? -1 : i;
    for (const id of ["pinned", "pinned-scores"]) element(id).textContent = now.pinned < 0 ? "none" : data.names[now.pinned];
    element("unpin").hidden = now.pinned < 0;
    element("class-scores-note").textContent = outsideText();
    for (const row of document.querySelectorAll("tr[aria-selected]")) {
      row.setAttribute("aria-selected", String(Number(row.querySelector("[data-class]").dataset.class) === now.pinned));
    }
    refreshCharts(["utility", "class-scores"]);
  }
  element("unpin").addEventListener("click", () => pin(now.pinned));

  function outsideText() {
    const i = now.pinned;
    if (i < 0) return "";
    const [p, n] = [arrays.positives[i], arrays.negatives[i]];
    const last = (T - 1) * K + i;
    const part = (name, table, total) =>
      total === 0 ? `no ${name} pairs` : `${name}: ${rate(1 - table[i] / total)} below and ${rate(table[last] / total)} above`;
    return `Outside the counted range, ${part("genuine", arrays.positivesAccepted, p)}; ${part("impostor", arrays.negativesAccepted, n)}.`;
  }

  /* -- charts -- */

  for (const [key, what, pairs] of [["far", "false accept rate", arrays.negatives], ["frr", "false reject rate", arrays.positives]]) {
    let most = 1;
    for (const each of pairs) most = Math.max(most, each);
    const low = lowestDecade(most);
    addChart(`${key}-spread`, () => {
      if (now.column < 0) return { traces: [], layout: spreadLayout(low, what, 0, "not counted at this threshold") };
      const bars = spreadBars(now[`${key}_`], low);
      return {
        traces: [{ ...bars, marker: { color: colour(key === "far" ? "impostor" : "genuine") } }],
        layout: spreadLayout(low, what, now[key]),
      };
    });
  }

  const beta2 = summary.settings.beta ** 2;
  function utilityAt(i, column) {
    const tar = arrays.positivesAccepted[column * K + i] / arrays.positives[i];
    const tnr = 1 - arrays.negativesAccepted[column * K + i] / arrays.negatives[i];
    const below = beta2 * tnr + tar;
    return below > 0 ? ((1 + beta2) * tnr * tar) / below : 0;
  }
  const even = spacedColumns(CURVE_POINTS);
  const bundle = { x: [], y: [], text: [], customdata: [] };
  for (const i of data.drawn) {
    const name = plotText(data.names[i]);
    for (const column of even) {
      bundle.x.push(arrays.thresholds[column]);
      bundle.y.push(utilityAt(i, column));
      bundle.text.push(name);
      bundle.customdata.push(i);
    }
    for (const part of Object.values(bundle)) part.push(null);
  }
  element("utility-note").textContent =
    `${data.drawn.length < summary.data.n_defined ? `${count(data.drawn.length)} of ${count(summary.data.n_defined)} classes, from the worst to the best` : `All ${count(data.drawn.length)} classes with genuine pairs`}; ` +
    `the shaded range is where OPIS is measured. Point at a curve for its class, click to pin it.`;

  function spacedColumns(most) {
    const picked = [];
    const [first, last] = [arrays.thresholds[0], arrays.thresholds[T - 1]];
    for (let step = 0; step <= most; step++) {
      const column = columnAtOrAbove(first + ((last - first) * step) / most);
      if (column >= 0 && column !== picked.at(-1)) picked.push(column);
    }
    return picked;
  }

  addChart("utility", () => {
    const traces = [
      {
        ...bundle, type: "scatter", mode: "lines", name: "one class", showlegend: false,
        line: { color: translucent(colour("curve"), Math.max(0.25, Math.min(0.9, 40 / data.drawn.length))), width: 1 },
        hovertemplate: "%{text}<br>threshold %{x:.4f}<br>utility %{y:.3f}<extra></extra>",
      },
      {
        x: arrays.meanThresholds, y: arrays.meanUtility, type: "scatter", mode: "lines", name: "mean of classes",
        line: { color: colour("mean"), width: 3 }, hovertemplate: "mean of classes<br>threshold %{x:.4f}<br>utility %{y:.3f}<extra></extra>",
      },
    ];
    if (now.pinned >= 0 && arrays.positives[now.pinned] > 0) {
      const columns = spacedColumns(400);
      traces.push({
        x: columns.map((c) => arrays.thresholds[c]), y: columns.map((c) => utilityAt(now.pinned, c)), type: "scatter", mode: "lines",
        name: plotText(data.names[now.pinned], 28), line: { color: colour("worst"), width: 2.5 }, customdata: columns.map(() => now.pinned),
        hovertemplate: `${plotText(data.names[now.pinned]).replace(/%\{/g, "%&#123;")}<br>threshold %{x:.4f}<br>utility %{y:.3f}<extra></extra>`,
      });
    }
    return {
      traces,
      layout: {
        xaxis: axis("threshold (score)", { range: [arrays.thresholds[0], arrays.thresholds[T - 1]] }),
        yaxis: axis("utility of the class (0 to 1)", { range: [0, 1.02] }),
      },
    };
  }, () => {
    const [low, high] = summary.threshold_range;
    const shapes = [{ type: "rect", xref: "x", yref: "paper", x0: low, x1: high, y0: 0, y1: 1, fillcolor: colour("range"), opacity: 0.6, line: { width: 0 }, layer: "below" }];
    if (now.column >= 0) shapes.push(thresholdLine(now.threshold));
    return shapes;
  });
  charts.get("utility").click = (event) => {
    const i = event.points[0].customdata;
    if (Number.isInteger(i)) pin(i);
  };

  const wide = Math.max(1, Math.ceil((highestScore - lowest) / grid.step / SCORE_BINS));
  function pooledDensity(histogram, total) {
    const x = [];
    const y = [];
    for (let i = gridIndex(lowest); gridThreshold(i) < highestScore; i += wide) {
      let sum = 0;
      for (let j = i; j < Math.min(i + wide, grid.size); j++) sum += histogram[j];
      x.push(gridThreshold(i));
      y.push((100 * sum) / total);
    }
    x.push(x.at(-1) + wide * grid.step);
    y.push(0);
    return { x, y };
  }
  const pooled = {
    genuine: pooledDensity(arrays.pooledPositives, data.positives),
    impostor: pooledDensity(arrays.pooledNegatives, data.negatives),
  };
  function steps(points, kind) {
    return {
      ...points, type: "scatter", mode: "lines", name: kind, fill: "tozeroy", fillcolor: translucent(colour(kind), 0.2),
      line: { color: colour(kind), width: 1.8, shape: "hv", dash: kind === "genuine" ? "solid" : "dot" },
      hovertemplate: `${kind}<br>from %{x:.4f}: %{y:.3g}% of the pairs<extra></extra>`,
    };
  }
  const scoreLayout = (low, high) => ({
    xaxis: axis("score (similarity)", { range: [low, high] }),
    yaxis: axis(`pairs (% per ${number(wide * grid.step)} of score)`, { rangemode: "tozero" }),
  });
  const lineBetween = (low, high) => (now.threshold >= low && now.threshold <= high ? [thresholdLine(now.threshold)] : []);
  addChart("scores", () => ({
    traces: [steps(pooled.impostor, "impostor"), steps(pooled.genuine, "genuine")],
    layout: scoreLayout(lowest, highestScore),
  }), () => lineBetween(lowest, highestScore));

  /* Neighbouring thresholds are joined until they are as far apart as the bins of all pairs. */
  function classDensity(table, i, total) {
    const x = [];
    const y = [];
    for (let from = 0, to = 1; to < T; to++) {
      const width = arrays.thresholds[to] - arrays.thresholds[from];
      if (width < wide * grid.step && to < T - 1) continue;
      x.push(arrays.thresholds[from]);
      y.push((((100 * (table[from * K + i] - table[to * K + i])) / total) * wide * grid.step) / width);
      from = to;
    }
    x.push(arrays.thresholds[T - 1]);
    y.push(y.at(-1) ?? 0);
    return { x, y };
  }
  addChart("class-scores", () => {
    const i = now.pinned;
    const layout = scoreLayout(arrays.thresholds[0], arrays.thresholds[T - 1]);
    if (i < 0) return { traces: [], layout: { ...layout, annotations: [note("Choose a class in a table or a curve above")] } };
    const traces = [steps(classDensity(arrays.negativesAccepted, i, arrays.negatives[i]), "impostor")];
    if (arrays.positives[i] > 0) traces.push(steps(classDensity(arrays.positivesAccepted, i, arrays.positives[i]), "genuine"));
    return { traces, layout };
  }, () => lineBetween(arrays.thresholds[0], arrays.thresholds[T - 1]));

  setUpRateCurves(data.det, now);

  /* -- the table, groups, worst pairs -- */

  const column = (key, title, values, show, moves = false) => ({ key, title, numeric: true, value: (i) => values[i], show: (i) => show(values[i]), moves });
  const table = classTable(
    [
      { key: "class", title: "class", numeric: false, value: (i) => data.names[i] },
      column("far", "FAR", now.far_, rate, true),
      column("frr", "FRR", now.frr_, rate, true),
      column("utility", "mean utility", arrays.utility, number),
      column("opis", "share of OPIS", arrays.opis, number),
      column("n", "samples", arrays.n, count),
      column("positives", "genuine pairs", arrays.positives, count),
      column("negatives", "impostor pairs", arrays.negatives, count),
      column("own_threshold", "own threshold", arrays.ownThreshold, number),
    ],
    data.names,
    { sort: "utility", descending: false, pin, pinned: () => now.pinned, file: "by_class.csv", saved: ["class", "n", "positives", "negatives", "utility", "opis", "far", "frr", "own_threshold"] },
  );

  const showGroups = data.groups ? setUpGroups(data.groups, arrays, now) : () => {};
  const showGallery = data.gallery ? setUpGallery(data.gallery, (pair) => (pair.score >= now.threshold ? "accepted" : "rejected")) : () => {};

  await loadPlotly();
  classRates();
  move(summary.threshold, null);
  pin(data.drawn[0]);
  setUpTheme(() => refreshCharts());
  narrow.addEventListener("change", () => refreshCharts());
});
