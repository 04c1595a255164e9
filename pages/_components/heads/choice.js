/** What the user has chosen on the page of heads; everything on screen follows from it. */
import { nameOfHead } from "./atlas.js";

export const TABS = ["curves", "agreement", "overlap"];

function fittingHeads(atlas, names) {
  return [...new Set(names)].filter((name) => atlas.index.has(name));
}

/** The most important head by a metric, where the view names none. */
function firstHead(atlas, metric) {
  const best = atlas.summaries[atlas.metricIndex(metric)].order[0] ?? 0;
  return atlas.heads[best];
}

/** From the view that Python keeps; what does not fit the study falls back. */
export function firstChoice(atlas, view) {
  const known = atlas.metrics.some((one) => one.name === view.metric);
  const metric = known ? view.metric : atlas.metrics[0].name;
  const wanted = [Number(view.layer), Number(view.head)];
  const named = (view.layer ?? "") !== "" && atlas.index.has(nameOfHead(wanted));
  const [layer, head] = named ? wanted : firstHead(atlas, metric);
  return {
    metric,
    layer,
    head,
    image: Math.max(0, atlas.imageOf(view.image)),
    set: fittingHeads(atlas, (view.heads || "").split(",")),
    tab: "curves",
    asked: false, // whether details of a head have been asked for
    help: false,
    pointed: -1, // head under the pointer
    seen: -1, // image under the pointer
    found: { heads: new Set(), words: "" }, // heads that are marked
  };
}

/** Heads that a search has found, by index, and what they are. */
export function foundHeads(atlas, found) {
  const names = fittingHeads(atlas, (found?.heads ?? []).map(nameOfHead));
  return { heads: new Set(names.map((name) => atlas.index.get(name))), words: names.length ? found.words : "" };
}

/** The choice carried over to another state of the study, or another study. */
export function carryChoice(atlas, before) {
  const { state, sha256 } = before;
  const next = firstChoice(atlas, {
    metric: state.metric, layer: state.layer, head: state.head, image: sha256,
    heads: state.set.join(","),
  });
  return { ...next, tab: state.tab, asked: state.asked, help: state.help };
}

/** What Python is told. */
export function headsView(atlas, state) {
  return {
    metric: state.metric,
    layer: state.layer,
    head: state.head,
    image: atlas.images[state.image]?.sha256 ?? "",
    heads: state.set.join(","),
  };
}

function within(value, top) {
  return Math.max(0, Math.min(top, value));
}

/** Steps layer and head; a layer with fewer heads takes its last one. */
export function stepTo(atlas, state, down, right) {
  const layer = within(state.layer + down, atlas.layers.length - 1);
  return { layer, head: within(state.head + right, atlas.layers[layer].heads - 1) };
}

/** The head `by` places further down the ranking; the first one from an unranked head. */
export function rankTo(atlas, state, by) {
  const { order, rank } = atlas.summaries[atlas.metricIndex(state.metric)];
  if (!order.length) return {};
  const place = rank[atlas.headIndex(state.layer, state.head)];
  const [layer, head] = atlas.heads[order[within(place + by, order.length - 1)]];
  return { layer, head };
}
