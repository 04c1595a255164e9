/** What the user has chosen on the page of strength; everything on screen follows from it. */
import { nameOfHead } from "../heads/atlas.js";
import { tableOf, unitOf } from "./profile.js";

export const RULE_WORDS = {
  renormalised: "prefix keys dropped, rows renormalised",
  raw: "prefix keys keep their mass, at distance 0",
};
export const UNIT_NAMES = { patches: "patches", pixels: "px", uniform: "share of uniform" };

/** The head that looks least far, where the view names none. */
function nearestHead(profile) {
  const { mean } = profile.summaryOf("mean_distance:renormalised");
  const known = [...mean.keys()].filter((head) => !Number.isNaN(mean[head]));
  return profile.heads[known.length ? known.reduce((a, b) => (mean[b] < mean[a] ? b : a)) : 0];
}

/** From the view that Python keeps; what does not fit the profile falls back. */
export function firstSight(profile, view) {
  const wanted = [Number(view.layer), Number(view.head)];
  const named = (view.layer ?? "") !== "" && profile.index.has(nameOfHead(wanted));
  const [layer, head] = named ? wanted : nearestHead(profile);
  return {
    metric: profile.metricOf(view.metric).name,
    rule: profile.rules.includes(view.rule) ? view.rule : profile.rules[0],
    unit: view.unit in UNIT_NAMES ? view.unit : "patches",
    layer,
    head,
    image: Math.max(0, profile.imageOf(view.image)),
    hops: "strength",
    help: false,
    pointed: -1, // head under the pointer
    seen: -1, // image under the pointer
  };
}

/** The choice carried over to another state of the profile, or another profile. */
export function carrySight(profile, { state, sha256 }) {
  return { ...firstSight(profile, { ...state, image: sha256 }), hops: state.hops };
}

/** What Python is told. */
export function sightView(profile, state) {
  const { metric, rule, unit, layer, head } = state;
  return { metric, rule, unit, layer, head, image: profile.images[state.image]?.sha256 ?? "" };
}

/** What is on screen: the metric, its table, and the unit with its name. */
export function shownBy(profile, state) {
  const metric = profile.metricOf(state.metric);
  const unit = unitOf(metric, state.unit);
  return { metric, unit, table: tableOf(metric, state.rule), axis: UNIT_NAMES[unit] ?? unit };
}

/** Steps layer and head; a layer with fewer heads takes its last one. */
export function sightStep(profile, state, down, right) {
  const within = (value, top) => Math.max(0, Math.min(top, value));
  const layer = within(state.layer + down, profile.layers.length - 1);
  return { layer, head: within(state.head + right, profile.layers[layer].heads - 1) };
}
