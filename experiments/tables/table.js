"use strict";
// Sorting and filtering of tables.

function valueOf(cell) {
  const said = cell.dataset.value ?? (cell.firstChild?.textContent ?? "").trim(); // without the marks behind it
  return said === "" || Number.isNaN(Number(said)) ? null : Number(said);
}

function compare(one, other, sign) {
  const [a, b] = [valueOf(one), valueOf(other)];
  if (a !== null && b !== null) return sign * (a - b);
  if (a !== null || b !== null) return a === null ? 1 : -1; // what has no number stands behind, either way
  return sign * one.textContent.localeCompare(other.textContent, undefined, { numeric: true });
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
