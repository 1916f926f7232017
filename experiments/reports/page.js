// One line for each row over the axes of what it was set to and what came of it.

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
