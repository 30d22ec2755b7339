/* ---- a table of classes: sorted, searched, a page at a time ---- */

const PAGE = 25;

/* columns: {key, title, value(i), show(i), numeric}; pin(i) when a name is chosen; saved: keys of the CSV. */
function classTable(columns, names, { sort, descending, pin, pinned, file, saved }) {
  const table = element("table");
  const lower = names.map((name) => name.toLowerCase());
  const state = { sort, descending, query: "", page: 0, order: [] };

  const head = create("tr");
  for (const column of columns) {
    const cell = create("th", null, { scope: "col", class: column.numeric ? "num" : "name", "data-key": column.key });
    const button = create("button", column.title, { type: "button", class: "sort" });
    button.addEventListener("click", () => {
      state.descending = state.sort === column.key ? !state.descending : column.numeric;
      state.sort = column.key;
      state.page = 0;
      update();
    });
    cell.append(button);
    head.append(cell);
  }
  table.tHead.append(head);

  element("search").addEventListener("input", (event) => {
    state.query = event.target.value.toLowerCase();
    state.page = 0;
    update();
  });
  element("previous").addEventListener("click", () => turn(-1));
  element("next").addEventListener("click", () => turn(1));
  element("csv").addEventListener("click", () => {
    const chosen = saved ? saved.map((key) => columns.find((column) => column.key === key)) : columns;
    const rows = state.order.map((i) => chosen.map((column) => csvCell(column.value(i))).join(","));
    saveText(file, `${[chosen.map((column) => csvCell(column.key)).join(","), ...rows].join("\r\n")}\r\n`);
  });

  function turn(by) {
    state.page += by;
    show();
  }

  function order() {
    const column = columns.find((each) => each.key === state.sort);
    const found = [];
    for (let i = 0; i < names.length; i++) if (lower[i].includes(state.query)) found.push(i);
    const sign = state.descending ? -1 : 1;
    if (column.numeric) {
      const values = Float64Array.from(names, (_, i) => column.value(i));
      // undefined values come last whichever way the others go
      found.sort((a, b) => Number.isNaN(values[a]) - Number.isNaN(values[b]) || sign * (values[a] - values[b]) || a - b);
    } else {
      found.sort((a, b) => sign * (lower[a] < lower[b] ? -1 : lower[a] > lower[b] ? 1 : a - b));
    }
    return found;
  }

  function update() {
    state.order = order();
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(state.order.length / PAGE));
    state.page = Math.min(Math.max(state.page, 0), pages - 1);
    for (const cell of head.children) {
      const sorted = cell.dataset.key === state.sort;
      cell.setAttribute("aria-sort", sorted ? (state.descending ? "descending" : "ascending") : "none");
    }
    const rows = state.order.slice(state.page * PAGE, (state.page + 1) * PAGE).map((i) => {
      const row = create("tr", null, { "aria-selected": String(i === pinned()) });
      for (const column of columns) {
        const cell = create("td", null, { class: column.numeric ? "num" : "name" });
        if (column.numeric) cell.append(column.show(i));
        else cell.append(nameButton(names[i], i, pin));
        row.append(cell);
      }
      return row;
    });
    const focused = document.activeElement?.closest?.("#table tbody [data-class]")?.dataset.class;
    table.tBodies[0].replaceChildren(...rows);
    if (focused !== undefined) table.querySelector(`[data-class="${focused}"]`)?.focus({ preventScroll: true });
    element("found").textContent = `${count(state.order.length)} of ${count(names.length)} classes`;
    element("page").textContent = `Page ${state.page + 1} of ${count(pages)}`;
    element("previous").disabled = state.page === 0;
    element("next").disabled = state.page >= pages - 1;
  }

  update();
  /* Values that do not depend on the threshold keep their order. */
  return { update, moved: () => (columns.find((c) => c.key === state.sort).moves ? update() : show()) };
}

function nameButton(name, i, pin) {
  const button = create("button", name || "(empty)", { type: "button", title: shorten(name, 300), "data-class": i });
  button.addEventListener("click", () => pin(i));
  return button;
}

function fillShort(id, rows) {
  element(id).tBodies[0].replaceChildren(...rows);
}

/* The indices of the n highest values, highest first; NaN never. */
function highest(values, n) {
  const best = [];
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i]) || (best.length === n && values[i] <= values[best[n - 1]])) continue;
    let at = best.length;
    while (at > 0 && values[best[at - 1]] < values[i]) at--;
    best.splice(at, 0, i);
    if (best.length > n) best.pop();
  }
  return best;
}
