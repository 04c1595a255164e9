/** Heads of a result as the matrix and the lists read them. */
import { TOP_RANKS } from "../heads/atlas.js";

const NONE = [NaN, NaN, NaN];

/** Values that JSON gives as null are no numbers. */
function triple(cell) {
  return cell ? cell.map((value) => value ?? NaN) : NONE;
}

/** Where the colour scale begins and ends. */
function limitsOfMeasure(measure, known) {
  if (!known.length) return measure.signed ? [-1, 1] : [0, 1];
  if (measure.signed) {
    const most = Math.max(...known.map(Math.abs), 1e-6);
    return [-most, most];
  }
  return [Math.min(...known, measure.chance ?? 0), Math.max(...known, (measure.chance ?? 0) + 1e-6)];
}

function summaryOfMeasure(measure, pairs) {
  const cells = pairs.map(([layer, head]) => triple(measure.heads[layer][head]));
  const mean = Float64Array.from(cells, ([value]) => value);
  const order = [...mean.keys()].filter((i) => !Number.isNaN(mean[i])).sort((a, b) => mean[b] - mean[a] || a - b);
  const rank = new Int32Array(mean.length).fill(-1);
  order.forEach((head, place) => { rank[head] = place; });
  const [bottom, top] = limitsOfMeasure(measure, order.map((head) => mean[head]));
  return {
    mean, low: Float64Array.from(cells, ([, low]) => low), high: Float64Array.from(cells, ([, , high]) => high),
    order, strongest: order.slice(0, TOP_RANKS), rank, bottom, top,
    byLayer: measure.mean.map(triple), probe: measure.probe.map(triple),
  };
}

/** @param {object} meta JSON of a result */
export function prepareHeads(meta) {
  const heads = meta.heads.flatMap((count, layer) => Array.from({ length: count }, (_, head) => [layer, head]));
  const index = new Map(heads.map(([layer, head], i) => [`${layer}:${head}`, i]));
  const summaries = new Map(meta.measures.map((one) => [one.name, summaryOfMeasure(one, heads)]));
  return {
    ...meta,
    layers: meta.heads.map((count, layer) => ({ label: `L${layer}`, heads: count })),
    heads,
    index,
    count: heads.length,
    maxHeads: Math.max(1, ...meta.heads),
    headIndex: (layer, head) => index.get(`${layer}:${head}`) ?? -1,
    labelOf: (head) => `L${heads[head][0]} H${heads[head][1]}`,
    measureOf: (name) => meta.measures.find((one) => one.name === name) ?? meta.measures[0],
    summaryOf: (name) => summaries.get(name) ?? summaries.values().next().value,
    /** Where objects are not known, what comes nearest: the score in place of the truth. */
    shownMeasure(name) {
      if (meta.known || name.startsWith("score")) return name;
      return name.startsWith("truth") ? name.replace("truth", "score") : "score_within";
    },
  };
}
