/** What is chosen on the page of binding. */
import { nameOfPatch } from "./rowwords.js";

/** The patch that a view names, or one that is worth a look: of the largest object, else the middle. */
function firstPatch(reading, name) {
  if (!reading) return -1;
  const [row, column] = (name || "").split(",").map(Number);
  if (name && row < reading.rows && column < reading.columns) return row * reading.columns + column;
  const middle = Math.floor(reading.rows / 2) * reading.columns + Math.floor(reading.columns / 2);
  if (!reading.objects) return middle;
  const sizes = new Map();
  for (const object of reading.objects) if (object >= 0) sizes.set(object, (sizes.get(object) ?? 0) + 1);
  const [largest] = [...sizes].sort((a, b) => b[1] - a[1])[0] ?? [-1];
  const members = [...reading.objects.keys()].filter((patch) => reading.objects[patch] === largest);
  return members[Math.floor(members.length / 2)] ?? middle;
}

/** Three quarters up the model: where binding is strongest in our runs. */
function firstPoint(reading, fits) {
  const last = reading ? reading.points.at(-1) : (fits?.points ?? 1) - 1;
  return Math.round(0.75 * last);
}

export function firstBinding(reading, fits, view) {
  const asked = view.point === "" || view.point === undefined ? NaN : Number(view.point);
  const point = Number.isNaN(asked) ? firstPoint(reading, fits) : asked;
  return {
    measure: view.measure || "auc_colour_matched",
    probe: reading?.row ?? view.probe ?? "",
    asked: view.probe ?? "",
    point: reading ? reading.nearest(point) : point,
    query: firstPatch(reading, view.patch),
    pinned: Boolean(view.patch),
    pointed: -1,
    pointedPoint: -1,
    pointedRow: "",
    truth: true,
    help: false,
  };
}

/** Goes on with what was chosen before; a patch stays where the picture and its grid do. */
export function carryBinding(reading, before, old) {
  const same = reading && old && reading.picture.sha256 === old.picture.sha256
    && reading.rows === old.rows && reading.columns === old.columns;
  const query = same && before.query >= 0 ? before.query : firstPatch(reading, "");
  const point = reading ? reading.nearest(before.point) : before.point;
  return { ...before, probe: reading?.row ?? before.probe, point, query, pinned: Boolean(same && before.pinned), pointed: -1, pointedPoint: -1, pointedRow: "" };
}

/** What Python keeps: texts. A patch is kept once it is pinned. */
export function bindingView(reading, state) {
  return {
    measure: state.measure,
    probe: state.asked,
    point: String(state.point),
    patch: reading && state.pinned ? nameOfPatch(state.query, reading.columns) : "",
  };
}
