/** From values to colours: the common scale of the maps, the log scale of received attention. */
import { limitsOf } from "../lens/scale.js";
import { MAP_ORDER } from "./evidence.js";

export const UNIT_OF_SCALING = { same: "× the map's mean", own: "raw value" };

function meanOf(values) {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    sum += value;
    count += 1;
  }
  return count ? sum / count : 0;
}

/** A map divided by a mean; one without positive mean stays as it is. */
export function dividedBy(values, mean) {
  return mean > 0 ? Float32Array.from(values, (value) => value / mean) : values;
}

function lowest(values) {
  let low = Infinity;
  for (const value of values) if (value < low) low = value;
  return Number.isFinite(low) ? low : 0;
}

function joinedValues(list) {
  const every = new Float32Array(list.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of list) {
    every.set(one, at);
    at += one.length;
  }
  return every.filter((value) => Number.isFinite(value));
}

/** What is coloured of one map: before, after, or the change, in the unit of the scaling. */
function contentOf(evidence, changed, name, state) {
  const before = evidence.valuesOf(name, state.layer);
  if (!before) return null;
  const after = changed?.changedOf(name, state.layer) ?? null;
  if (state.shown !== "before" && !after) return null;
  const mean = state.scaling === "same" ? meanOf(before) : 0;
  const units = (values) => (state.scaling === "same" ? dividedBy(values, mean) : values);
  const [first, second] = [units(before), after ? units(after) : null];
  if (state.shown === "before") return { raw: before, values: first, all: second ? [first, second] : [first] };
  if (state.shown === "after") return { raw: after, values: second, all: [first, second] };
  const values = second.map((value, i) => value - first[i]);
  return { raw: values, values, all: [values] };
}

/** Largest size of the change: its 99.5th percentile. */
function reachOf(parts) {
  const { high } = limitsOf(joinedValues(parts).map(Math.abs));
  return high > 0 ? high : 1e-9;
}

/**
 * Every map as it is coloured, by name: values, low, high, signed; null where there is none.
 * On the same scale each map is divided by its mean and all share the limits; on its own scale
 * each goes from its smallest value to its 99.5th percentile. The change lies around 0.
 */
export function scaledMaps(evidence, changed, state) {
  const found = new Map(MAP_ORDER.map((name) => [name, contentOf(evidence, changed, name, state)]));
  const known = [...found.values()].filter(Boolean);
  const shared = known.flatMap((one) => one.all);
  const signed = state.shown === "change";
  const high = signed ? reachOf(shared) : limitsOf(joinedValues(shared)).high;
  for (const [name, one] of found) {
    if (!one) continue;
    let limits = { low: signed ? -high : 0, high };
    if (state.scaling === "own") {
      const own = signed ? reachOf(one.all) : limitsOf(joinedValues(one.all)).high;
      limits = { low: signed ? -own : lowest(joinedValues(one.all)), high: own };
    }
    found.set(name, { ...one, ...limits, signed });
  }
  return found;
}

/** Log scale from 0 to `high`: where a multiple of uniform stands, 0 to 1, and back. */
export function logScale(high) {
  const top = Math.log1p(high > 0 ? high : 1);
  return {
    high,
    place: (value) => Math.max(0, Math.min(1, Math.log1p(value) / top)),
    value: (place) => Math.expm1(place * top),
  };
}

/** The scale of received attention: one for the map and the life of the sinks. */
export function receivedScale(evidence) {
  let high = 2 * evidence.sink_threshold;
  for (const value of evidence.tables.received) if (value > high) high = value;
  return logScale(high);
}
