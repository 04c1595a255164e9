/** What is chosen in the Attention view. */
import { nameOfPatch } from "../binding/rowwords.js";

/** The patch of a name, else one inside the largest object, else the middle. */
function startPatch(reading, name) {
  if (!reading) return -1;
  const [row, column] = (name || "").split(",").map(Number);
  if (name && row < reading.rows && column < reading.columns) return row * reading.columns + column;
  const sizes = new Map();
  for (const object of reading.objects ?? []) if (object >= 0) sizes.set(object, (sizes.get(object) ?? 0) + 1);
  const [largest] = [...sizes].sort((a, b) => b[1] - a[1])[0] ?? [-1];
  const members = (reading.objects ?? []).flatMap((object, patch) => (object >= 0 && object === largest ? [patch] : []));
  return members[Math.floor(members.length / 2)] ?? Math.floor(reading.rows / 2) * reading.columns + Math.floor(reading.columns / 2);
}

/** The head of a view, else the strongest one. */
function startHead(table, view, measure) {
  const asked = table ? table.headIndex(Number(view.layer), Number(view.head)) : -1;
  if (view.head !== "" && view.head !== undefined && asked >= 0) return table.heads[asked];
  const strongest = table?.summaryOf(table.shownMeasure(measure)).order[0];
  return strongest === undefined ? [0, 0] : table.heads[strongest];
}

/** @param {{scenes, picture}} tables prepared heads, null where not there */
export function firstAttending(tables, reading, view) {
  const measure = view.measure || "auc_matched";
  const scope = view.scope === "picture" ? "picture" : "scenes";
  const [layer, head] = startHead(tables[scope] ?? tables.scenes ?? tables.picture, view, measure);
  return {
    measure, scope, layer, head,
    chosen: Boolean(view.head), scenes: view.scenes,
    query: startPatch(reading, view.patch), pinned: Boolean(view.patch),
    pointed: -1, pointedPatch: -1, truth: true, help: false,
  };
}

/** Goes on with what was chosen; a head that was not chosen by hand follows the new results. */
export function carryAttending(tables, reading, before, old) {
  const same = reading && old && reading.picture.sha256 === old.picture.sha256 && reading.rows === old.rows;
  const table = tables[before.scope] ?? tables.scenes ?? tables.picture;
  const kept = table ? table.headIndex(before.layer, before.head) >= 0 : true;
  const [layer, head] = before.chosen && kept ? [before.layer, before.head] : startHead(table, {}, before.measure);
  return {
    ...before, layer, head, chosen: before.chosen && kept, pointed: -1, pointedPatch: -1,
    query: same && before.query >= 0 ? before.query : startPatch(reading, ""), pinned: Boolean(same && before.pinned),
  };
}

/** What Python keeps: texts. A head is kept once it was chosen, a patch once it is pinned. */
export function attendingView(reading, state) {
  return {
    measure: state.measure, scope: state.scope, scenes: state.scenes,
    layer: state.chosen ? String(state.layer) : "", head: state.chosen ? String(state.head) : "",
    patch: reading && state.pinned ? nameOfPatch(state.query, reading.columns) : "",
  };
}
