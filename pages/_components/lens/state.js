/** What the user has chosen. Plain data: everything on screen follows from it. */
import { validQuery } from "./record.js";

const SCALES = ["map", "layer", "all"];
const OPACITY = 0.85;
const OVERLAYS = ["attention", "pca", "norm"];

function whole(value, top, otherwise) {
  const number = Number.parseInt(value, 10);
  return Number.isInteger(number) && number >= 0 && number <= top ? number : otherwise;
}

function share(value, otherwise) {
  const number = Number.parseFloat(value);
  return number >= 0 && number <= 1 ? number : otherwise;
}

/** The names in `heads` ("9:3,11:0": layer and head) that the model has. */
function fitting(record, heads) {
  return heads.filter((name) => {
    const [layer, head] = name.split(":").map(Number);
    return layer < record.layers.length && head < record.layers[layer].heads;
  });
}

function oneOf(value, allowed, otherwise) {
  return allowed.includes(value) ? value : otherwise;
}

/** State of a fresh lens, from the view that Python read off the address. */
export function firstState(record, view) {
  // The last layer in which patches ask: a pooling layer after it has nothing to show for them.
  const last = record.layers.findLastIndex((one) => one.queryRows > 0);
  const layer = whole(view.layer, record.layers.length - 1, Math.max(0, last));
  const query = validQuery(record, view.q);
  return {
    layer,
    head: whole(view.head, record.layers[layer].heads - 1, 0),
    query,
    pinned: Boolean(view.q) && query === view.q,
    direction: oneOf(view.dir, ["to", "from"], "to"),
    scale: oneOf(view.scale, SCALES, "map"),
    cmap: view.cmap ?? "inferno",
    opacity: share(view.opacity, OPACITY),
    overlay: oneOf(view.overlay, OVERLAYS, "attention"),
    shown: true,
    grid: true,
    whole: false,
    help: false,
    chosen: new Set(fitting(record, (view.heads || "").split(",").filter(Boolean))),
    cursor: null, // base patch under the pointer
    pointed: null, // map under the pointer
  };
}

/** The state carried over to another picture or model: what still fits stays. */
export function carryOver(record, state) {
  const layer = Math.min(state.layer, record.layers.length - 1);
  return {
    ...state,
    layer,
    head: Math.min(state.head, record.layers[layer].heads - 1),
    query: validQuery(record, state.query),
    pinned: state.pinned && validQuery(record, state.query) === state.query,
    chosen: new Set(fitting(record, [...state.chosen])),
    cursor: null,
    pointed: null,
  };
}

/** The part of the state that belongs into the address. */
export function viewOf(state) {
  return {
    layer: state.layer,
    head: state.head,
    q: state.pinned ? state.query : "",
    dir: state.direction,
    scale: state.scale,
    cmap: state.cmap,
    overlay: state.overlay,
    opacity: state.opacity === OPACITY ? "" : state.opacity.toFixed(2),
    heads: [...state.chosen].join(","),
  };
}

export function nextScale(scale) {
  return SCALES[(SCALES.indexOf(scale) + 1) % SCALES.length];
}
