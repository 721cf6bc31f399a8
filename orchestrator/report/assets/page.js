// What the scripts after this one share: the page's numbers, unpacked, and small pieces of it.
// Texts get onto the page as text alone, never as markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const MANY = 8; // ranks, from which on they cannot have a colour each
const charts = [];

// -- data ----------------------------------------------------------------------------

const KINDS = { f32: Float32Array, f64: Float64Array, u32: Uint32Array };

function column(packed) {
  if (packed === null) return null;
  if ("from" in packed) return Uint32Array.from({ length: packed.n }, (_, at) => packed.from + at);
  const [kind, text] = Object.entries(packed)[0];
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return new KINDS[kind](bytes.buffer);
}

const CURVES = ["step", "end", "took", "busy", "toldStep", "loss", "tokens"];
const unpack = (from) => CURVES.forEach((key) => { from[key] = column(from[key]); });
data.lanes.forEach(unpack);
if (data.other) unpack(data.other);
for (const node of data.nodes) {
  for (const key of ["at", "processors", "bytes"]) node[key] = column(node[key]);
}
const lanes = data.lanes;

// -- words ---------------------------------------------------------------------------

function seconds(value) {
  const size = Math.abs(value);
  if (size >= 120) {
    const whole = Math.round(size), left = String(whole % 60).padStart(2, "0");
    const told = whole >= 3600
      ? `${Math.floor(whole / 3600)}:${String(Math.floor(whole / 60) % 60).padStart(2, "0")}:${left}`
      : `${Math.floor(whole / 60)}:${left}`;
    return (value < 0 ? "-" : "") + told;
  }
  if (size >= 1 || size === 0) return `${trim(value, 2)} s`;
  if (size >= 1e-3) return `${trim(value * 1e3, size >= 0.1 ? 0 : 1)} ms`;
  return `${trim(value * 1e6, 0)} µs`;
}
const trim = (value, digits) => String(Number(value.toFixed(digits)));
const amount = (value) => (Math.abs(value) >= 1000
  ? Math.round(value).toLocaleString("en-US")
  : String(Number(value.toPrecision(4))));
function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at += 1) value /= 1024;
  return `${trim(value, value < 10 && at > 2 ? 2 : value < 100 && at > 1 ? 1 : 0)} ${units[at]}`;
}

// -- small pieces of the page ----------------------------------------------------------

function element(tag, text, parent) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function swatch(colour, parent) {
  const SVG = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(SVG, "svg"), rect = document.createElementNS(SVG, "rect");
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  for (const [key, value] of [["width", 10], ["height", 10], ["rx", 2.5]]) rect.setAttribute(key, value);
  rect.style.fill = colour;
  svg.append(rect);
  parent.append(svg);
}

const tip = byId("tip");
function showTip(over, left, top, head, rows, notes) {
  tip.replaceChildren();
  element("b", head, tip);
  for (const [colour, name, value] of rows) {
    const row = element("div", "", tip);
    if (colour) swatch(colour, row);
    element("span", name, row);
    element("span", value, row);
  }
  for (const note of notes || []) element("p", note, tip);
  tip.hidden = false;
  const box = over.getBoundingClientRect();
  const wide = tip.offsetWidth, high = tip.offsetHeight, edge = document.documentElement.clientWidth;
  let x = box.left + left + 16;
  if (x + wide > edge - 8) x = Math.max(8, box.left + left - wide - 16);
  let y = box.top + top + 14;
  if (y + high > innerHeight - 8) y = Math.max(8, box.top + top - high - 14);
  tip.style.left = `${x + scrollX}px`;
  tip.style.top = `${y + scrollY}px`;
}
const hideTip = () => { tip.hidden = true; };
const say = (text) => { byId("live").textContent = text; };

const colourOf = (index, num) => (num > MANY ? css("--accent") : css(`--r${index % MANY}`));
