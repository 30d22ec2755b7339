/* ---- groups, and the false accepts between them; now holds the threshold's column and pooled FAR ---- */

function setUpGroups(groups, arrays, now) {
  const G = groups.names.length;
  for (const name of ["groupPositivesAccepted", "groupNegativesAccepted", "groupWithinAccepted"]) undoDifferences(arrays[name], G);
  undoDifferences(arrays.matrixAccepted, groups.shown.length ** 2);
  const kind = groups.directed ? "Rows: groups of the queries; columns: groups of the references." : "An unordered pair across two groups stands in both of its cells.";
  const part = groups.shown.length < G ? ` The ${groups.shown.length} largest of ${G} groups.` : "";
  element("matrix-note").textContent = `${kind} Darker: more false accepts.${part}`;

  function showGroups() {
    const share = (table, whole, g) => (now.column < 0 || whole[g] === 0 ? NaN : table[now.column * G + g] / whole[g]);
    fillShort("group-table", groups.names.map((name, g) => {
      const row = create("tr");
      row.append(create("th", name, { scope: "row", class: "name" }));
      const cells = [
        count(arrays.groupSizes[g]),
        rate(share(arrays.groupNegativesAccepted, arrays.groupNegatives, g)),
        rate(share(arrays.groupWithinAccepted, arrays.groupWithin, g)),
        rate(1 - share(arrays.groupPositivesAccepted, arrays.groupPositives, g)),
      ];
      row.append(...cells.map((text) => create("td", text, { class: "num" })));
      return row;
    }));
    showMatrix();
  }

  function showMatrix() {
    const size = groups.shown.length;
    const name = (k) => groups.names[groups.shown[k]];
    const head = create("tr");
    head.append(create("td"), ...groups.shown.map((_, k) => create("th", name(k), { scope: "col", title: shorten(name(k), 300) })));
    element("matrix").tHead.replaceChildren(head);
    const value = (k) => (now.column < 0 || arrays.matrixNegatives[k] === 0 ? NaN : arrays.matrixAccepted[now.column * size * size + k] / arrays.matrixNegatives[k]);
    const rows = groups.shown.map((_, r) => {
      const row = create("tr");
      row.append(create("th", name(r), { scope: "row", title: shorten(name(r), 300) }));
      for (let c = 0; c < size; c++) row.append(shaded(value(r * size + c)));
      return row;
    });
    element("matrix").tBodies[0].replaceChildren(...rows);
  }

  /* From white at a tenth of the pooled FAR to blue at ten times it; the text is black or white. */
  function shaded(value) {
    const cell = create("td", rate(value));
    if (Number.isNaN(value) || now.far === 0) return cell;
    const depth = value === 0 ? 0 : Math.min(1, Math.max(0, 0.5 + Math.log10(value / now.far) / 2));
    const mix = [[255, 11], [255, 67], [255, 134]].map(([from, to]) => Math.round(from + (to - from) * depth));
    const light = mix.map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    const luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
    cell.style.background = `rgb(${mix})`;
    cell.style.color = luminance > 0.179 ? "#000" : "#fff";
    return cell;
  }

  return showGroups;
}

/* ---- the worst pairs as images ---- */

function setUpGallery(gallery, verdict) {
  const select = element("gallery-class");
  gallery.classes.forEach((each, k) => select.append(create("option", shorten(data.names[each.class], 80), { value: k })));
  element("gallery-note").textContent = gallery.note;
  const picture = (sample) => {
    const source = gallery.images[sample.image];
    if (source === undefined) return create("span", "no image", { class: "muted" });
    return create("img", null, { src: source, alt: sample.id, title: sample.id });
  };
  const item = (pair) => {
    const made = create("li");
    const images = create("div", null, { class: "images" });
    images.append(...pair.samples.map(picture));
    const classes = pair.samples.map((sample) => shorten(data.names[sample.class], 40));
    made.append(images, create("p", `score ${score(pair.score)}, ${verdict(pair)} at the threshold shown`));
    for (const name of new Set(classes)) made.append(create("p", name));
    return made;
  };
  const show = () => {
    const chosen = gallery.classes[Number(select.value)];
    element("gallery-impostor").replaceChildren(...chosen.impostor.map(item));
    element("gallery-genuine").replaceChildren(...chosen.genuine.map(item));
  };
  select.addEventListener("change", show);
  return show;
}

/* ---- DET and ROC of all pairs, with a mark at the threshold; now holds it and the pooled FAR and FRR ---- */

function setUpRateCurves(det, now) {
  const shownDet = det.threshold.map((_, i) => i).filter((i) => det.far[i] < 0.81 && det.frr[i] < 0.81);
  const take = (name, scale = 1) => shownDet.map((i) => det[name][i] * scale);
  const detText = det.threshold.map((t, i) => `threshold ${score(t)}<br>FAR ${rate(det.far[i])}<br>FRR ${rate(det.frr[i])}`);
  const curves = {
    det: { x: take("x"), y: take("y"), text: shownDet.map((i) => detText[i]) },
    roc: { x: det.far.map((v) => Math.log10(v)), y: det.frr.map((v) => 100 * (1 - v)), text: detText },
  };
  const decades = Array.from({ length: 10 }, (_, i) => -i);
  function nearest(id) {
    const of = id === "det" ? shownDet : det.threshold.map((_, i) => i);
    const away = (k) => Math.abs(det.threshold[of[k]] - now.threshold);
    let best = 0;
    for (let k = 1; k < of.length; k++) if (away(k) < away(best)) best = k;
    return best;
  }
  for (const [id, points] of Object.entries(curves)) {
    addChart(id, () => {
      const ticks = { tickvals: det.ticks.at, ticktext: det.ticks.text };
      const layout =
        id === "det"
          ? { xaxis: axis("false accept rate (%)", ticks), yaxis: axis("false reject rate (%)", ticks) }
          : {
              xaxis: axis("false accept rate (%), logarithmic", { tickvals: decades, ticktext: decades.map((power) => (narrow.matches && power % 2 ? "" : decadeText(power))) }),
              yaxis: axis("true accept rate (%)", { range: [0, 101] }),
            };
      if (points.x.length === 0) return { traces: [], layout: { ...layout, annotations: [note("genuine and impostor scores do not overlap")] } };
      const line = { ...points, type: "scatter", mode: "lines", name: "all pairs", line: { color: colour("genuine"), width: 2.5 }, hovertemplate: "%{text}<extra></extra>" };
      return { traces: [line], layout };
    }, () => {
      if (points.x.length === 0 || !(now.far > 0 && now.frr > 0)) return [];
      const k = nearest(id);
      return [{
        type: "circle", xsizemode: "pixel", ysizemode: "pixel", xanchor: points.x[k], yanchor: points.y[k], x0: -6, x1: 6, y0: -6, y1: 6,
        fillcolor: colour("impostor"), line: { color: colour("page"), width: 2 },
      }];
    });
  }
}
