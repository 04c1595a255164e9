/** What the user has chosen on the page of flow; everything on screen follows from it. */
import { MAP_ORDER } from "./evidence.js";

export const SCALINGS = ["same", "own"];
export const SHOWN_ORDER = ["before", "after", "change"];

function firstMap(evidence, wanted) {
  if (evidence.byName.has(wanted)) return wanted;
  return MAP_ORDER.find((name) => evidence.byName.has(name)) ?? MAP_ORDER[0];
}

/** From the view that Python keeps; what does not fit the flow falls back. */
export function firstOutlook(evidence, view) {
  const layer = view.layer === undefined || view.layer === "" ? NaN : Number(view.layer);
  const threshold = Number(view.threshold);
  return {
    map: firstMap(evidence, view.map),
    scaling: SCALINGS.includes(view.scaling) ? view.scaling : SCALINGS[0],
    threshold: threshold > 0 ? threshold : evidence.sink_threshold,
    layer: layer >= 0 && layer <= evidence.last ? layer : evidence.raw_layer,
    shown: "before",
    p: 0,
    prefix: true, // whether cls and registers count among the sinks of the what-if
    help: false,
    pointed: -1, // token under the pointer
    pointedLayer: -1, // layer under the pointer
    at: -1, // point of the curves under the pointer
    shift: -1, // shift under the pointer
  };
}

/** The choice carried over to another flow, or to a what-if of the same. */
export function carryOutlook(evidence, changed, state) {
  const kept = firstOutlook(evidence, state);
  const shown = changed ? state.shown : "before";
  return { ...kept, shown, p: state.p, prefix: state.prefix, help: state.help };
}

/** What Python is told. */
export function outlookView({ map, scaling, threshold, layer }) {
  return { map, scaling, threshold: String(threshold), layer };
}

/** The token in focus: under the pointer, else the patch with the largest value of the map. */
export function focusToken(evidence, state, scaled) {
  if (state.pointed >= 0) return state.pointed;
  const values = scaled.get(state.map)?.values ?? [];
  let best = 0;
  values.forEach((value, patch) => { if (value > values[best]) best = patch; });
  return evidence.ahead + best;
}

/** The layer that is in focus: under the pointer, else the chosen one. */
export function focusLayer(state) {
  return state.pointedLayer >= 0 ? state.pointedLayer : state.layer;
}
