/** Numbers about one map: what the page says in words beside the picture. */
import { HALF } from "./half.js";
import { mapSlice, parsePatch, project } from "./record.js";

/**
 * Summary of one head's row (or column) for the current query.
 * Mean distance is in patches of the layer's own grid with prefix tokens dropped and the rest
 * renormalised (the `renormalised` rule); entropy is in nats over all tokens of the row.
 */
export function summarise(record, bits, layer, head, direction, query) {
  const slice = mapSlice(record, layer, head, direction);
  const mass = { cls: 0, registers: 0, patches: 0 };
  const origin = originOf(record, layer, direction, query);
  let entropy = 0;
  let far = 0;
  let tokens = 0;
  let best = { value: -1, index: -1 };
  for (let i = 0; i < slice.tokens; i += 1) {
    const value = HALF[bits[slice.first + i]];
    if (Number.isNaN(value)) continue;
    tokens += 1;
    const patch = i - slice.prefix.length;
    if (value > 0) entropy -= value * Math.log(value);
    if (patch < 0) mass[slice.prefix[i].startsWith("reg") ? "registers" : "cls"] += value;
    else {
      mass.patches += value;
      if (value > best.value) best = { value, index: patch };
      if (origin) far += value * distance(patch, slice.columns, origin);
    }
  }
  // A query in a window sees the keys of its window alone.
  if (tokens) tokens = record.layers[layer].visible;
  return {
    tokens,
    mass,
    total: mass.cls + mass.registers + mass.patches,
    entropy: direction === "to" && tokens ? entropy : null,
    maxEntropy: Math.log(tokens),
    distance: origin && mass.patches > 0 ? far / mass.patches : null,
    patchPixels: record.placement.width / slice.columns,
    best: best.index < 0 ? null : {
      value: best.value,
      patch: `${Math.floor(best.index / slice.columns)},${best.index % slice.columns}`,
    },
    prefix: slice.prefix.map((name, i) => [name, HALF[bits[slice.first + i]]]),
  };
}

function originOf(record, layer, direction, query) {
  const patch = parsePatch(query);
  if (!patch) return null;
  return project(record, record.layers[layer][direction], patch[0], patch[1]);
}

function distance(index, columns, [row, column]) {
  return Math.hypot(Math.floor(index / columns) - row, (index % columns) - column);
}

/** Attention of one map at a base patch; NaN where the layer has no such token. */
export function valueAt(record, bits, layer, head, direction, patch) {
  const slice = mapSlice(record, layer, head, direction);
  const [row, column] = project(record, slice, patch[0], patch[1]);
  return HALF[bits[slice.start + row * slice.columns + column]];
}

/** Values of one map, row-major over its own grid. */
export function mapValues(record, bits, layer, head, direction) {
  const slice = mapSlice(record, layer, head, direction);
  const values = new Float32Array(slice.count);
  for (let i = 0; i < slice.count; i += 1) values[i] = HALF[bits[slice.start + i]];
  return { values, rows: slice.rows, columns: slice.columns };
}

/** Mean of several maps on the base grid; coarser maps count for every patch they cover. */
export function meanValues(record, bits, heads, direction) {
  const values = new Float32Array(record.rows * record.columns);
  for (const [layer, head] of heads) {
    for (let row = 0; row < record.rows; row += 1) {
      for (let column = 0; column < record.columns; column += 1) {
        const at = row * record.columns + column;
        values[at] += valueAt(record, bits, layer, head, direction, [row, column]) / heads.length;
      }
    }
  }
  return { values, rows: record.rows, columns: record.columns };
}
