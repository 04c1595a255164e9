/** What lies inside a line drawn around points. */

const FEWEST_CORNERS = 3;

/** Rows whose place lies inside a closed line. @param {number[][]} line in the unit square */
export function rowsInside(cloud, line) {
  if (line.length < FEWEST_CORNERS) return [];
  const across = line.map(([u]) => u);
  const down = line.map(([, v]) => v);
  const [left, right] = [Math.min(...across), Math.max(...across)];
  const [top, bottom] = [Math.min(...down), Math.max(...down)];
  const found = [];
  for (let row = 0; row < cloud.count; row += 1) {
    const u = cloud.u[row];
    const v = cloud.v[row];
    if (u < left || u > right || v < top || v > bottom) continue;
    if (isInside(line, u, v)) found.push(row);
  }
  return found;
}

/** Whether a place lies inside, by the number of edges to its right. */
function isInside(line, u, v) {
  let inside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i, i += 1) {
    const [ua, va] = line[i];
    const [ub, vb] = line[j];
    if (va > v !== vb > v && u < ((ub - ua) * (v - va)) / (vb - va) + ua) inside = !inside;
  }
  return inside;
}

/** How often each value occurs, most frequent first: [value, count]. */
export function tally(rows, valueOf) {
  const counts = new Map();
  for (const row of rows) {
    const value = valueOf(row);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

/** A field of a CSV; a text that a table program could take for a formula gets a quote. */
function csvField(value) {
  const text = String(value);
  const safe = /^[=+\-@\t]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The rows as a CSV file's text. */
export function rowsAsCsv(cloud, rows) {
  const lines = [["model", "layer", "head", "image", "cluster", "x", "y", "error"]];
  for (const row of rows) {
    lines.push([
      cloud.models[cloud.model[row]].label, cloud.layer[row], cloud.head[row],
      cloud.images[cloud.image[row]].name, cloud.clusters[cloud.cluster[row]]?.name ?? "",
      cloud.x[row], cloud.y[row], cloud.error[row],
    ]);
  }
  return `${lines.map((line) => line.map(csvField).join(",")).join("\r\n")}\r\n`;
}

/** Hands a text to the browser as a file. */
export function saveText(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
