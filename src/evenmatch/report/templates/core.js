"use strict";

/* ---- what the file carries ---- */

const element = (id) => document.getElementById(id);
const data = JSON.parse(element("data").textContent);
const NONCE = document.currentScript.nonce;

async function unzip(id) {
  const text = atob(element(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}

function readCounts(bytes, size) {
  const values = new Float64Array(size);
  let at = 0;
  for (let i = 0; i < size; i++) {
    let byte = bytes[at++];
    let value = byte & 127;
    // products, not shifts: counts pass 2^31
    for (let unit = 128; byte > 127; unit *= 128) {
      byte = bytes[at++];
      value += (byte & 127) * unit;
    }
    values[i] = value;
  }
  return values;
}

/* Arrays by name; a falling table comes back column after column: value of row r, column c at [c * rows + r]. */
function readArrays(buffer) {
  const arrays = {};
  for (const [name, [kind, offset, length, size]] of Object.entries(data.arrays)) {
    if (kind === "float") {
      arrays[name] = new Float64Array(buffer.slice(offset, offset + length));
      continue;
    }
    const values = readCounts(new Uint8Array(buffer, offset, length), size);
    arrays[name] = values;
  }
  return arrays;
}

function undoDifferences(table, rows) {
  for (let i = rows; i < table.length; i++) table[i] = table[i - rows] - table[i];
  return table;
}

async function loadPlotly() {
  const script = document.createElement("script");
  script.nonce = NONCE;
  script.textContent = await (await unzip("plotly")).text();
  document.head.append(script);
}

/* ---- numbers as the terminal shows them ---- */

/* toFixed rounds exact halves up, Python to even; both see the same double. */
function fixed(value, digits) {
  const text = value.toFixed(digits);
  const exact = Math.abs(value).toFixed(Math.min(100, digits + 60));
  const rest = exact.slice(exact.indexOf(".") + 1 + digits);
  if (/^50*$/.test(rest)) {
    const cut = exact.slice(0, exact.length - rest.length).replace(/\.$/, "");
    if ("02468".includes(cut.at(-1))) return (value < 0 ? "-" : "") + cut;
  }
  return text;
}

const rate = (value) => (Number.isFinite(value) ? `${fixed(100 * value, 2)}%` : "–");

/* Four digits, as Python's format(value, ".4g"). */
function number(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const [, sign, digits, rest, power] = value.toExponential(60).match(/^(-?)(\d\.\d{3})(\d*)e(.*)$/);
  const tie = /^50*$/.test(rest) && "02468".includes(digits.at(-1));
  const rounded = tie ? `${sign}${digits}e${power}` : value.toExponential(3);
  const [mantissa, exponent] = [rounded.split("e")[0], Number(rounded.split("e")[1])];
  const trim = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (exponent < -4 || exponent >= 4) {
    return `${trim(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return trim(Number(rounded).toFixed(3 - exponent));
}

const count = (value) => value.toLocaleString("en-US");
const score = (value) => (Number.isFinite(value) ? fixed(value, 6) : "∞");

function parseRate(text) {
  const trimmed = text.trim().replace(",", ".");
  const value = trimmed.endsWith("%") ? Number(trimmed.slice(0, -1)) / 100 : Number(trimmed);
  return trimmed !== "" && value >= 0 && value <= 1 ? value : null;
}

/* ---- names: text, wherever they go ---- */

function shorten(name, length = 48) {
  const characters = Array.from(name.slice(0, 4 * length));
  return characters.length > length || name.length > 4 * length ? `${characters.slice(0, length - 1).join("")}…` : name;
}

/* Plotly reads some tags, entities and line breaks in its labels, and obeys direction overrides beyond them. */
function plotText(name, length = 48) {
  const flat = shorten(name, length).replace(/[\u0000-\u001f\u2028\u2029]/g, " ").replace(/[\u202a-\u202e\u2066-\u2069]/g, "");
  return flat.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;") || " ";
}

function create(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/* A first character at which a spreadsheet would begin to calculate gets an apostrophe in front. */
function csvCell(value) {
  const text = typeof value === "string" ? value.replace(/^(?=[=+\-@\t\r])/, "'") : Number.isFinite(value) ? String(value) : "";
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function saveText(name, text) {
  const link = create("a", null, { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/* ---- light and dark ---- */

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";

function setUpTheme(changed) {
  const button = element("theme");
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark()));
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
    changed();
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  prefersDark.addEventListener("change", show);
  show();
}

/* Paint the text first, work after. */
const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

async function start(main) {
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old to unpack it; use one from 2023 or later");
    await painted();
    const buffer = await (await unzip("arrays")).arrayBuffer();
    await main(readArrays(buffer));
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    element("failure").textContent = `The interactive part of this report does not work: ${error.message}.`;
    element("failure").hidden = false;
    throw error;
  }
}
