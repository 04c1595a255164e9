/** What is chosen in the view of copies. */
import { layoutOfText, textOfLayout } from "./twinsplaces.js";
import { nameOfPatch } from "../binding/rowwords.js";

/** The patch that a view names, or the middle one of those that are compared. */
function firstTwinsPatch(canvas, name) {
  const [row, column] = (name || "").split(",").map(Number);
  if (name && row < canvas.rows && column < canvas.columns) return row * canvas.columns + column;
  const own = canvas.compared[0] ?? [];
  if (own.length) return own[Math.floor(own.length / 2)];
  const [top, left] = canvas.layout.places[0] ?? [0, 0];
  const at = [top + canvas.box[0] / 2, left + canvas.box[1] / 2].map((middle, axis) => Math.floor(middle / canvas.patch[axis]));
  return Math.min(at[0], canvas.rows - 1) * canvas.columns + Math.min(at[1], canvas.columns - 1);
}

export function firstTwins(canvas, view) {
  const asked = view.point === "" || view.point === undefined ? NaN : Number(view.point);
  const point = Number.isNaN(asked) ? Math.round(0.75 * (canvas.points - 1)) : asked;
  return {
    layout: view.layout === canvas.asked ? canvas.layout : layoutOfText(view.layout),
    selected: -1,
    query: firstTwinsPatch(canvas, view.patch),
    named: Boolean(view.patch),
    pointed: -1,
    pointedPoint: -1,
    point: Math.min(point, canvas.points - 1),
    variant: view.variant === "without" && canvas.bounds.length > 1 ? 1 : 0,
    measure: view.measure in canvas.measures ? view.measure : "differences",
    shown: true,
    drag: null,
    said: "",
    help: false,
  };
}

/** Goes on with what was chosen before on another canvas. */
export function carryTwins(canvas, before, old) {
  const mine = textOfLayout(before.layout);
  const same = canvas.rows === old.rows && canvas.columns === old.columns;
  const layout = mine === canvas.asked ? canvas.layout : before.layout;
  const known = same && before.named && before.query < canvas.rows * canvas.columns;
  return {
    ...before,
    layout,
    selected: before.selected < layout.places.length ? before.selected : -1,
    query: known ? before.query : firstTwinsPatch(canvas, ""),
    named: known,
    pointed: -1,
    pointedPoint: -1,
    point: Math.min(before.point, canvas.points - 1),
    variant: Math.min(before.variant, Math.max(0, canvas.bounds.length - 1)),
    drag: null,
  };
}

/** Whether what was measured belongs to another layout than the one on screen. */
export function isOldTwins(canvas, state) {
  const now = textOfLayout(state.layout);
  return now !== canvas.asked && now !== textOfLayout(canvas.layout);
}

/** What Python keeps: texts. A patch is kept once it was chosen. */
export function twinsView(canvas, state) {
  return {
    layout: textOfLayout(state.layout),
    point: String(state.point),
    patch: state.named ? nameOfPatch(state.query, canvas.columns) : "",
    variant: state.variant ? "without" : "with",
    measure: state.measure,
  };
}
