/** What is chosen in the Subspace view. */
import { nameOfPatch } from "../binding/rowwords.js";
import { uprightTurn } from "./motion.js";
import { product, turnOf, UPRIGHT } from "./turning.js";

const TILT = [-0.42, 0.34]; // of the first view: depth can be seen

function patchNamed(layout, name) {
  const [row, column] = (name || "").split(",").map(Number);
  const known = name && row < layout.rows && column < layout.columns;
  return known ? row * layout.columns + column : -1;
}

/** By object where objects are known; otherwise by position. */
export function tintFor(layout, asked) {
  return asked === "object" && !layout.marked ? "position" : asked;
}

/** The first component runs to the right, the second up, the third mostly at the viewer. */
export function homeTurn(layout, part, point) {
  return product(uprightTurn(layout, layout.partAt(part), layout.placeOf(point)), turnOf(...TILT));
}

/** What the view starts from, or goes on with where another layout came. */
export function firstSubspace(layout, view, before) {
  const asked = view.point === "" || view.point === undefined ? NaN : Number(view.point);
  const point = before?.point ?? (Number.isNaN(asked) ? Math.round(0.75 * layout.last) : asked);
  const wanted = before?.wanted ?? view.part;
  const part = layout.partOf(wanted).name;
  return {
    wanted,
    part,
    asked: before?.asked ?? view.tint,
    tint: tintFor(layout, before?.asked ?? view.tint),
    flat: before?.flat ?? view.axes === "2",
    point: layout.nearest(point),
    pinned: before ? -1 : patchNamed(layout, view.patch),
    pointed: -1,
    pointedPoint: -1,
    figure: before?.figure ?? "matched",
    turn: before?.turn ?? homeTurn(layout, part, layout.nearest(point)),
    pointedRank: -1,
    zoom: before?.zoom ?? 1,
    pan: before?.pan ?? [0, 0],
    painted: before?.painted ?? true,
    outlines: before?.outlines ?? true,
    help: false,
  };
}

/** The patch stays where picture and grid do. */
export function sameGround(layout, old) {
  return old && layout.picture.sha256 === old.picture.sha256 && layout.rows === old.rows && layout.columns === old.columns;
}

/** The turn in use: flat layouts lie in the screen. */
export function turnInUse(state) {
  return state.flat ? UPRIGHT : state.turn;
}

/** What Python keeps: texts. */
export function subspaceView(layout, state) {
  return {
    part: state.wanted,
    tint: state.asked,
    axes: state.flat ? "2" : "3",
    point: String(state.point),
    patch: state.pinned >= 0 ? nameOfPatch(state.pinned, layout.columns) : "",
  };
}
