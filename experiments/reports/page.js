"use strict";
// Sorting and filtering of tables, and one line for each row over the axes of what it was set to and what came of it.

function valueOf(cell) {
  const number = cell.dataset.value;
  return number === undefined || number === "" ? null : Number(number);
}

function compare(one, other, sign) {
  const [a, b] = [valueOf(one), valueOf(other)];
  if (a !== null && b !== null) return sign * (a - b);
  if (a !== null || b !== null) return a === null ? 1 : -1; // what has no number stands behind, either way
  return sign * one.textContent.localeCompare(other.textContent);
}

function sort(table, column, header) {
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  for (const body of table.tBodies) { // quoted rows stay below ours
    const rows = [...body.rows];
    rows.sort((a, b) => compare(a.cells[column], b.cells[column], ascending ? 1 : -1));
    body.append(...rows);
  }
}

function filter(table, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of table.querySelectorAll("tbody tr")) {
    const said = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => said.includes(word));
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => sort(table, column, header));
  });
  const search = table.closest("section").querySelector('input[type="search"]');
  if (search) search.addEventListener("input", () => filter(table, search.value));
}

// A link to a run opens it.
function open() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", open);
open();

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function scale(axis, height) {
  const top = 40, bottom = height - 30;
  if (axis.words) return (value) => top + ((axis.words.indexOf(value) + 0.5) * (bottom - top)) / axis.words.length;
  const span = axis.high - axis.low || 1;
  return (value) => bottom - ((value - axis.low) / span) * (bottom - top);
}

function draw(place, data) {
  const width = Math.max(700, 170 * data.axes.length), height = 380;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, class: "lines", role: "img" });
  const at = (index) => 70 + (index * (width - 190)) / Math.max(data.axes.length - 1, 1);
  const scales = data.axes.map((axis) => scale(axis, height));
  data.axes.forEach((axis, index) => {
    svg.append(element("line", { x1: at(index), x2: at(index), y1: 40, y2: height - 30, stroke: "#bbb" }));
    svg.append(element("text", { x: at(index), y: 20, "text-anchor": "middle" }, axis.name));
    const marks = axis.words || [axis.low, axis.high];
    for (const mark of marks) {
      const text = axis.words ? mark : Number(mark).toPrecision(3);
      svg.append(element("text", { x: at(index) + 6, y: scales[index](mark) + 4, fill: "#666" }, text));
    }
  });
  for (const line of data.lines) {
    const steps = line.values.map((value, index) => (value === null ? null : [at(index), scales[index](value)]));
    const path = steps.filter(Boolean).map((point, index) => (index ? "L" : "M") + point.join(" ")).join("");
    const drawn = element("path", { d: path, stroke: line.colour });
    drawn.append(element("title", {}, line.name));
    svg.append(drawn);
  }
  place.append(svg);
}

const place = document.getElementById("lines");
if (place) draw(place, JSON.parse(document.getElementById("data").textContent));
