/** A picture as a probe reads it: numbers of every patch, of which any row is one product. */
import { HALF } from "../lens/half.js";
import { failure } from "../lens/rows.js";

async function bytesOf(address) {
  const response = await fetch(address);
  if (!response.ok) throw await failure(response);
  return response.arrayBuffer();
}

/** Float16 patterns to numbers, once: rows are then plain products. */
function decodeHalves(bits) {
  const found = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i += 1) found[i] = HALF[bits[i]];
  return found;
}

/**
 * @param {object} meta JSON of a picture and its probe
 * @param {ArrayBuffer} buffer own, signs and z, one after the other
 * @param {Int32Array | null} mask instance of every pixel of the model's input
 */
export function prepareReading(meta, buffer, mask) {
  const points = meta.points.length;
  const patches = meta.rows * meta.columns;
  const { width } = meta;
  const own = new Float32Array(buffer, 0, points * patches);
  const signs = new Float32Array(buffer, own.byteLength, points * width);
  const bits = new Uint16Array(buffer, own.byteLength + signs.byteLength);
  if (bits.length !== points * patches * width) {
    throw { status: 0, message: `an answer has ${bits.length} values, expected ${points * patches * width}` };
  }
  const z = decodeHalves(bits);
  const signed = new Float32Array(width);
  let held = { query: -1, rows: [] };

  /** P(same object) of one patch with every patch at a point (by its place in `meta.points`). */
  function rowAt(place, query) {
    const base = place * patches;
    const found = new Float32Array(patches);
    const asked = (base + query) * width;
    for (let k = 0; k < width; k += 1) signed[k] = signs[place * width + k] * z[asked + k];
    const shift = own[base + query] + meta.bias[place];
    for (let patch = 0; patch < patches; patch += 1) {
      const start = (base + patch) * width;
      let sum = 0;
      for (let k = 0; k < width; k += 1) sum += signed[k] * z[start + k];
      // Of the kind `pointwise` the sum is the chance itself.
      found[patch] = meta.kind === "pointwise" ? sum : 1 / (1 + Math.exp(-(sum + own[base + patch] + shift)));
    }
    return found;
  }

  return {
    ...meta,
    patches,
    mask,
    /** Rows of a patch at all points; the last asked for is kept. */
    rowsOf(query) {
      if (held.query !== query) held = { query, rows: meta.points.map((_, place) => rowAt(place, query)) };
      return held.rows;
    },
    placeOf: (point) => Math.max(0, meta.points.indexOf(point)),
    nearest(point) {
      return meta.points.reduce((best, one) => (Math.abs(one - point) < Math.abs(best - point) ? one : best), meta.points[0]);
    },
    /** Whether two patches lie in one object: true, false, or null where that is not known. */
    sameObject(a, b) {
      if (!meta.objects || meta.objects[a] < 0 || meta.objects[b] < 0) return null;
      return meta.objects[a] === meta.objects[b];
    },
  };
}

/** Fetches a picture, its numbers and its mask. */
export async function fetchReading(base, token) {
  const response = await fetch(`${base}/atlas/bound/${token}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  const meta = await response.json();
  const [buffer, mask] = await Promise.all([
    bytesOf(`${base}${meta.urls.reads}`),
    meta.urls.mask ? bytesOf(`${base}${meta.urls.mask}`) : null,
  ]);
  return prepareReading(meta, buffer, mask && new Int32Array(mask));
}

/** Fetches the curves of a result. */
export async function fetchFits(base, token) {
  const response = await fetch(`${base}/atlas/binding/${token}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** AUC of a row against the truth over patches in objects, without the patch itself; NaN without both kinds. */
export function aucOfRow(reading, row, query) {
  const scored = [];
  for (let patch = 0; patch < reading.patches; patch += 1) {
    const same = patch === query ? null : reading.sameObject(query, patch);
    if (same !== null) scored.push([row[patch], same]);
  }
  scored.sort((a, b) => a[0] - b[0]);
  const hits = scored.filter(([, same]) => same).length;
  let ranks = 0;
  for (let i = 0; i < scored.length;) {
    let end = i;
    while (end < scored.length && scored[end][0] === scored[i][0]) end += 1;
    for (let j = i; j < end; j += 1) if (scored[j][1]) ranks += (i + end + 1) / 2; // ties share a rank
    i = end;
  }
  const others = scored.length - hits;
  return hits && others ? (ranks - (hits * (hits + 1)) / 2) / (hits * others) : NaN;
}
