/** Which map lies over the picture: one head, the mean of several, token norms or features. */
import { limitsOf } from "./scale.js";
import { mapValues, meanValues } from "./stats.js";

/** Layer and head numbers of the chosen set, in reading order. */
export function chosenHeads(state) {
  return [...state.chosen]
    .map((name) => name.split(":").map(Number))
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/**
 * The map for the picture, or null where none is to be shown.
 * @returns {{values?: Float32Array, colours?: Uint8Array, rows: number, columns: number,
 *   low: number, high: number, max: number, solid: boolean, kind: string} | null}
 */
export function overlayMap(record, state, bits, limits, extras) {
  if (!state.shown || !record) return null;
  if (state.overlay === "pca") return pcaMap(record, state.layer, extras.pca);
  if (state.overlay === "norm") return normMap(record, state.layer, extras.norms);
  if (!bits) return null;
  const heads = chosenHeads(state);
  if (heads.length) {
    const mean = meanValues(record, bits, heads, state.direction);
    return { ...mean, ...limitsOf(mean.values), low: 0, solid: false, kind: "mean" };
  }
  const one = mapValues(record, bits, state.layer, state.head, state.direction);
  return { ...one, ...limits[state.layer][state.head], low: 0, solid: false, kind: "head" };
}

function pcaMap(record, layer, pca) {
  const found = pca?.[layer];
  return found ? { ...found, low: 0, high: 1, max: 1, solid: true, kind: "pca" } : null;
}

function normMap(record, layer, norms) {
  const found = norms?.[layer];
  if (!found) return null;
  const entry = record.layers[layer].to;
  const values = found.subarray(entry.prefix.length);
  let low = Infinity;
  let max = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > max) max = value;
  }
  const high = limitsOf(values).high;
  return { values, rows: entry.rows, columns: entry.columns, low, high, max, solid: true, kind: "norm" };
}

/** Cuts the norms (float32, tokens of every layer one after the other) by layer. */
export function cutNorms(record, buffer) {
  let at = 0;
  return record.layers.map((layer) => {
    const part = new Float32Array(buffer, at * 4, layer.to.tokens);
    at += layer.to.tokens;
    return part;
  });
}

/** Cuts the feature colours (uint8 RGB, patches of every layer one after the other) by layer. */
export function cutPca(record, buffer) {
  let at = 0;
  return record.layers.map((layer) => {
    const { rows, columns } = layer.to;
    const colours = new Uint8Array(buffer, at, rows * columns * 3);
    at += rows * columns * 3;
    return { colours, rows, columns };
  });
}
