/** The study as the browser holds it: metadata, values by metric, image and head, and ranks. */

export const TOP_RANKS = 10;

/** "9:3", as heads are written in the view and in the pruning set. */
export function nameOfHead([layer, head]) {
  return `${layer}:${head}`;
}

/** Numbers of a list in which null says that there is none; a missing list has none at all. */
function numbersOf(list, count) {
  return Float64Array.from({ length: count }, (_, i) => list?.[i] ?? NaN);
}

/** Head indices from the most to the least important; unmeasured heads have no place. Of a
 * signed metric the size counts, as where heads are removed. */
function ordered(mean, signed) {
  const known = [...mean.keys()].filter((head) => !Number.isNaN(mean[head]));
  const size = (head) => (signed ? Math.abs(mean[head]) : mean[head]);
  return known.sort((a, b) => size(b) - size(a) || a - b);
}

function summaryOf(meta, metric) {
  const count = meta.heads.length;
  const given = meta.summary[metric.name] ?? {};
  const mean = numbersOf(given.mean, count);
  const low = numbersOf(given.low, count);
  const high = numbersOf(given.high, count);
  const order = ordered(mean, metric.signed);
  const rank = new Int32Array(count).fill(-1);
  order.forEach((head, place) => { rank[head] = place; });
  const known = order.map((head) => mean[head]);
  const top = metric.signed ? Math.max(...known.map(Math.abs), 0) : Math.max(...known, 0);
  return { mean, low, high, order, rank, bottom: metric.signed ? -top : 0, top };
}

/**
 * @param {object} meta JSON of the study
 * @param {Float32Array} values metrics x images x heads, NaN where not measured
 * @param {Float32Array | null} probabilities images x heads, of the image's class without the head
 */
export function prepareAtlas(meta, values, probabilities) {
  const heads = meta.heads.length;
  const images = meta.images.length;
  const index = new Map(meta.heads.map((pair, i) => [nameOfHead(pair), i]));
  const first = meta.layers.map((_, layer) => meta.heads.findIndex((pair) => pair[0] === layer));
  return {
    ...meta,
    count: heads,
    values,
    probabilities,
    index,
    first,
    maxHeads: Math.max(...meta.layers.map((layer) => layer.heads)),
    summaries: meta.metrics.map((metric) => summaryOf(meta, metric)),
    metricIndex: (name) => Math.max(0, meta.metrics.findIndex((one) => one.name === name)),
    headIndex: (layer, head) => index.get(`${layer}:${head}`) ?? -1,
    labelOf: (head) => `${meta.layers[meta.heads[head][0]].label} H${meta.heads[head][1]}`,
    valueOf: (metric, image, head) => values[(metric * images + image) * heads + head],
    probabilityOf: (image, head) => (probabilities ? probabilities[image * heads + head] : NaN),
    imageOf: (sha256) => meta.images.findIndex((one) => one.sha256 === sha256),
  };
}

/** Class whose probability is followed: the label, else the prediction. */
export function classOf(image) {
  return image.label ?? image.predicted ?? "its class";
}

/** Images from the lowest to the highest value of `score`; those without one come last. */
export function orderedImages(atlas, score) {
  const scores = Float64Array.from(atlas.images, (_, image) => score(image) ?? NaN);
  const order = [...scores.keys()].sort((a, b) => {
    const lost = Number.isNaN(scores[a]) - Number.isNaN(scores[b]);
    return lost || scores[a] - scores[b] || a - b;
  });
  return { order, scores };
}

/** The `count` least important heads by a metric, as names. */
export function leastImportant(atlas, metric, count) {
  const { order } = atlas.summaries[metric];
  return order.slice(Math.max(0, order.length - count)).reverse()
    .map((head) => nameOfHead(atlas.heads[head]));
}

/** "8 images" or "5 of 8 images". */
export function imagesText(atlas) {
  const many = atlas.images_wanted === 1 ? "image" : "images";
  if (atlas.complete) return `${atlas.images_done} ${many}`;
  return `${atlas.images_done} of ${atlas.images_wanted} ${many}`;
}

export async function fetchNumbers(address, length) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw new Error(`the numbers did not arrive: the server answered ${response.status}`);
  const numbers = new Float32Array(await response.arrayBuffer());
  if (numbers.length !== length) {
    throw new Error(`an answer has ${numbers.length} numbers, expected ${length}`);
  }
  return numbers;
}

/** Fetches what belongs to the metadata and joins it. */
export async function fetchAtlas(base, meta) {
  const each = meta.images.length * meta.heads.length;
  const { values, probabilities } = meta.urls;
  const [numbers, chances] = await Promise.all([
    fetchNumbers(`${base}${values}`, meta.metrics.length * each),
    probabilities ? fetchNumbers(`${base}${probabilities}`, each) : null,
  ]);
  return prepareAtlas(meta, numbers, chances);
}
