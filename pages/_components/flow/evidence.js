/** A flow as the browser holds it: metadata, and its maps and tables as numbers. */
import { fetchNumbers } from "../heads/atlas.js";

export const MAP_ORDER = ["rollout", "relevance", "legrad", "raw"];
export const MAP_TITLES = {
  rollout: "rollout", relevance: "relevance", legrad: "LeGrad", raw: "raw attention",
};
const NOT_CHANGED = "needs gradients, which the what-if does without";

/** Cuts the numbers of an answer into the tables that the metadata lists. */
function cutTables(meta, numbers) {
  const tables = {};
  let at = 0;
  for (const { name, shape } of meta.tables) {
    const count = shape.reduce((product, side) => product * side, 1);
    tables[name] = numbers.subarray(at, at + count);
    at += count;
  }
  return tables;
}

/** @param {object} meta JSON of a flow  @param {Float32Array} numbers its tables, one after the other */
export function prepareEvidence(meta, numbers) {
  const tables = cutTables(meta, numbers);
  const ahead = meta.prefix.length;
  const patches = meta.rows * meta.columns;
  const tokens = ahead + patches;
  const last = meta.layers.length - 1;
  const rowOf = (name, layer) => tables[name]?.subarray(layer * tokens, (layer + 1) * tokens) ?? null;
  return {
    ...meta,
    tables,
    ahead,
    patches,
    tokens,
    last,
    rowOf,
    byName: new Map(meta.maps.map((one) => [one.name, one])),
    /** Values of a map at the patches; the raw one of any layer. Null where there is none. */
    valuesOf(name, layer) {
      if (name === "raw" && layer !== meta.raw_layer) return rowOf("readout_attention", layer)?.subarray(ahead) ?? null;
      return tables[`map:${name}`] ?? null;
    },
    /** The same with the sinks redistributed; the raw map is that of its own layer alone. */
    changedOf: (name, layer) => (name === "raw" && layer !== meta.raw_layer ? null : tables[`changed:${name}`] ?? null),
  };
}

/** Fetches what belongs to the metadata and joins it. */
export async function fetchEvidence(base, meta) {
  const count = meta.tables.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0);
  return prepareEvidence(meta, await fetchNumbers(`${base}${meta.urls.maps}`, count));
}

/** "cls", "reg0", "7,9": as tokens are named everywhere. */
export function nameOfToken(evidence, token) {
  if (token < evidence.ahead) return evidence.prefix[token];
  const patch = token - evidence.ahead;
  return `${Math.floor(patch / evidence.columns)},${patch % evidence.columns}`;
}

/** "cls", "register 0", "patch 7,9". */
export function wordsOfToken(evidence, token) {
  const name = nameOfToken(evidence, token);
  if (token >= evidence.ahead) return `patch ${name}`;
  return name.replace(/^reg(\d+)$/, "register $1");
}

/** "cls", "registers" or "patches": what has one colour on every page. */
export function kindOfToken(evidence, token) {
  if (token >= evidence.ahead) return "patches";
  return evidence.prefix[token].startsWith("reg") ? "registers" : "cls";
}

/** "Raw attention, L7". */
export function titleOfMap(evidence, name, layer) {
  const title = evidence.byName.get(name)?.title ?? MAP_TITLES[name];
  const own = name === "raw" ? `${MAP_TITLES.raw}, ${evidence.layers[layer]}` : title;
  return own.charAt(0).toUpperCase() + own.slice(1);
}

/** Tokens that receive more than a multiple of uniform in some layer: prefix tokens first, then
 * by the largest multiple. `first` and `count` are the layers in which they do. */
export function sinksOf(evidence, threshold) {
  const found = [];
  for (let token = 0; token < evidence.tokens; token += 1) {
    let most = 0;
    let count = 0;
    let first = -1;
    for (let layer = 0; layer <= evidence.last; layer += 1) {
      const value = evidence.tables.received[layer * evidence.tokens + token];
      if (!(value > threshold)) continue;
      if (first < 0) first = layer;
      count += 1;
      most = Math.max(most, value);
    }
    if (count) found.push({ token, most, count, first });
  }
  const late = (one) => Number(one.token >= evidence.ahead);
  return found.sort((a, b) => late(a) - late(b) || (late(a) ? b.most - a.most : a.token - b.token));
}

/** Why a map cannot be shown; empty where it can. */
export function whyNot(evidence, changed, name, state) {
  if (!evidence.byName.has(name)) return evidence.missing[name] ?? "it was not measured";
  if (state.shown !== "before" && changed && !changed.changedOf(name, state.layer)) {
    return name === "raw" ? `the what-if has that of ${evidence.layers[evidence.raw_layer]} alone` : NOT_CHANGED;
  }
  return "";
}
