/** Small tables with a colour behind every number: agreement of metrics, overlap of classes. */
import { shade } from "./plot.js";

const NUMBERED = 12; // more columns have no room for their numbers

function cell(tag, text, scope) {
  const element = document.createElement(tag);
  if (scope) element.scope = scope;
  element.textContent = text;
  return element;
}

/** "0.91" without its 0, so that ten columns fit; a sign takes the second decimal's place. */
function coefficient(value) {
  if (value === null) return "";
  if (value > 0.995) return "1";
  return value.toFixed(value < 0 ? 1 : 2).replace(/^(-?)0\./, "$1.").replace("-", "−");
}

function heatTable(caption, names, matrix, write, paint) {
  const table = document.createElement("table");
  table.className = "heat";
  if (names.length > NUMBERED) table.classList.add("tiny");
  const top = document.createElement("tr");
  top.append(cell("td", ""), ...names.map((name, i) => {
    const head = cell("th", String(i + 1), "col");
    head.title = name;
    return head;
  }));
  const rows = matrix.map((values, i) => {
    const row = document.createElement("tr");
    row.dataset.row = i;
    const name = cell("th", `${i + 1} ${names[i]}`, "row");
    name.title = names[i];
    row.append(name, ...values.map((value, j) => {
      const one = cell("td", write(value));
      one.title = `${names[i]}, ${names[j]}: ${value === null ? "none" : write(value)}`;
      if (value === null) one.className = "none";
      else {
        const { fill, ink } = paint(value);
        one.style.background = fill;
        one.style.color = ink;
      }
      return one;
    }));
    return row;
  });
  const title = document.createElement("caption");
  title.textContent = caption;
  table.append(title, top, ...rows);
  return table;
}

/** Spearman correlation of the metrics' ranks; a click on a line chooses that metric. */
export function agreementTable(atlas, tables, choose) {
  const { metrics, spearman } = atlas.agreement;
  const title = (name) => atlas.metrics.find((one) => one.name === name)?.title ?? name;
  const table = heatTable(
    "Spearman correlation of the heads' ranks between metrics; −1 blue, 1 red",
    metrics.map(title), spearman, coefficient, (value) => shade(tables.signed, value, -1, 1),
  );
  table.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) choose(metrics[row.dataset.row]);
  });
  return { table, mark: (metric) => {
    for (const row of table.querySelectorAll("[data-row]")) {
      row.classList.toggle("chosen", metrics[row.dataset.row] === metric);
    }
  } };
}

/** How many of the k most important heads two classes share. */
export function overlapTable(atlas, tables) {
  const { classes, k, matrix, chance } = atlas.overlap;
  const write = (value) => (value === null ? "" : String(Math.round(value * 10) / 10));
  const words = `Heads that two classes share among the ${k} most important of each; by chance ${chance.toFixed(1)}`;
  return heatTable(words, classes, matrix, write, (value) => shade(tables.plain, value, 0, k));
}
