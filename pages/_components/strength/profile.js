/** The profile as the browser holds it: metadata, numbers by table, image and head. */
import { fetchNumbers, nameOfHead } from "../heads/atlas.js";

export const AGNOSTICISM = "content_agnosticism";
const LENGTHS = ["pixels", "uniform"];

function asNumbers(list, count) {
  return Float64Array.from({ length: count }, (_, i) => list?.[i] ?? NaN);
}

function summaryIn(meta, table) {
  const given = meta.summary[table] ?? {};
  const read = (name) => asNumbers(given[name], meta.heads.length);
  return { mean: read("mean"), std: read("std"), low: read("low"), high: read("high"), n: read("n") };
}

/** Slices of the blob by name; each is images x heads x `width`. */
function tablesIn(meta, numbers) {
  const found = new Map();
  let from = 0;
  for (const { name, shape } of meta.tables) {
    const length = shape.reduce((product, one) => product * one, 1);
    const width = shape.slice(2).reduce((product, one) => product * one, 1);
    found.set(name, { values: numbers.subarray(from, from + length), width });
    from += length;
  }
  return found;
}

/** How many floats the blob has. */
function lengthOf(meta) {
  return meta.tables.reduce((sum, { shape }) => sum + shape.reduce((product, one) => product * one, 1), 0);
}

/** Name of the table of a metric under a cls rule; the rule counts only where there are two. */
export function tableOf(metric, rule) {
  return metric.ruled ? `${metric.name}:${rule}` : metric.name;
}

/** The unit that a metric is shown in: the one asked for, else its own. */
export function unitOf(metric, unit) {
  return metric.units.includes(unit) ? unit : metric.units[0];
}

/** What turns a layer's numbers into a unit. */
export function unitFactor(layer, unit) {
  if (!LENGTHS.includes(unit)) return 1;
  if (unit === "uniform") return layer.uniform > 0 ? 1 / layer.uniform : NaN;
  return (layer.patch_px[0] + layer.patch_px[1]) / 2;
}

/** Smallest and largest head of each layer, by its mean; NaN where there is none. */
function rangesOf(meta, table, unit) {
  const { mean } = summaryIn(meta, table);
  const ranges = meta.layers.map(() => ({ low: NaN, high: NaN }));
  meta.heads.forEach(([layer], head) => {
    const value = mean[head] * unitFactor(meta.layers[layer], unit);
    if (Number.isNaN(value)) return;
    const { low, high } = ranges[layer];
    const first = Number.isNaN(low);
    ranges[layer] = first ? { low: value, high: value } : { low: Math.min(low, value), high: Math.max(high, value) };
  });
  return ranges;
}

/**
 * @param {object} meta JSON of the profile
 * @param {Float32Array} numbers the blob of its tables
 * @param {object | null} control JSON of the profile with random weights
 */
export function prepareProfile(meta, numbers, control) {
  const tables = tablesIn(meta, numbers);
  const heads = meta.heads.length;
  const index = new Map(meta.heads.map((pair, i) => [nameOfHead(pair), i]));
  const summaries = new Map(Object.keys(meta.summary).map((name) => [name, summaryIn(meta, name)]));
  const fits = control !== null && control.layers.length === meta.layers.length;

  /** The `width` numbers of a head on an image. */
  function row(name, image, head) {
    const { values, width } = tables.get(name);
    const from = (image * heads + head) * width;
    return values.subarray(from, from + width);
  }

  /** Mean and standard deviation over the images, entry by entry. */
  function rowsOver(name, head, count) {
    const rows = meta.images.map((_, image) => row(name, image, head));
    return Array.from({ length: count }, (_, i) => {
      const known = rows.map((one) => one[i]).filter((value) => !Number.isNaN(value));
      const mean = known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : NaN;
      const square = known.reduce((sum, one) => sum + (one - mean) ** 2, 0);
      return { mean, std: known.length > 1 ? Math.sqrt(square / (known.length - 1)) : NaN };
    });
  }

  return {
    ...meta,
    count: heads,
    index,
    control: fits ? control : null,
    summaryOf: (table) => summaries.get(table),
    metricOf: (name) => meta.metrics.find((one) => one.name === name) ?? meta.metrics[0],
    headIndex: (layer, head) => index.get(`${layer}:${head}`) ?? -1,
    labelOf: (head) => `${meta.layers[meta.heads[head][0]].label} H${meta.heads[head][1]}`,
    layerOf: (head) => meta.layers[meta.heads[head][0]],
    factorOf: (head, unit) => unitFactor(meta.layers[meta.heads[head][0]], unit),
    valueOf: (table, image, head) => (tables.has(table) ? row(table, image, head)[0] : NaN),
    row,
    rowsOver,
    imageOf: (sha256) => meta.images.findIndex((one) => one.sha256 === sha256),
    rangesOfControl: (table, unit) => (fits ? rangesOf(control, table, unit) : null),
  };
}

/** Hops of a layer: 0 to the longer side of its grid - 1. */
export function hopsOf(layer) {
  return Math.max(layer.rows, layer.columns);
}

/** Pairs of patches at each hop, over the number of patches: mass x N of uniform attention. */
export function pairsByHop(layer) {
  const within = (side, hop) => {
    let sum = 0;
    for (let step = -Math.min(hop, side - 1); step <= Math.min(hop, side - 1); step += 1) sum += side - Math.abs(step);
    return sum;
  };
  const upTo = (hop) => (hop < 0 ? 0 : within(layer.rows, hop) * within(layer.columns, hop));
  return Array.from({ length: hopsOf(layer) }, (_, hop) => (upTo(hop) - upTo(hop - 1)) / (layer.rows * layer.columns));
}

/** Whether every patch of a layer can attend to every patch of the same grid. */
export function seesAll(layer) {
  return layer.windows === 1 && layer.same_grid;
}

/** What uniform attention gives a layer, in the metric's own unit; NaN where that is not known. */
export function uniformIn(layer, metric, rule) {
  const patches = layer.rows * layer.columns;
  if (!patches) return NaN;
  if (metric.name === "mean_distance") return layer.uniform ?? NaN;
  if (!seesAll(layer)) return NaN;
  if (metric.name === "hop_entropy") return Math.log(hopsOf(layer));
  if (metric.name === "row_entropy" && rule === "renormalised") return Math.log(patches);
  return NaN;
}

/** Why a head has no number. */
export function whyMissing(profile, metric, head) {
  const layer = profile.layerOf(head);
  if (!(layer.rows * layer.columns)) return "no patch asks in this layer";
  if (metric.name === AGNOSTICISM && profile.images.length < 2) return "needs two images";
  if (metric.name === "cls_mass") return "no cls token, or no number";
  return "not a number (overflow in half precision?)";
}

/** "local" below half of the distance under uniform attention, else "global"; "" without one. */
export function sightOf(profile, head, rule) {
  const { mean } = profile.summaryOf(`mean_distance:${rule}`);
  const { uniform } = profile.layerOf(head);
  if (!(uniform > 0) || Number.isNaN(mean[head])) return "";
  return mean[head] < uniform / 2 ? "local" : "global";
}

/** Fetches what belongs to the metadata and joins it. */
export async function fetchProfile(base, meta, control) {
  const numbers = await fetchNumbers(`${base}${meta.urls.tables}`, lengthOf(meta));
  return prepareProfile(meta, numbers, control);
}
