/** The atlas as the browser holds it: points in a unit square, an index for the pointer, heads. */

const ROOM = 0.05; // empty edge around the points, as a share of their extent
const TAIL = 0.005; // share of the points on each side that may lie far away
const BEYOND = 0.2; // how far they are followed, as a share of the others' extent
const INDEX_CELLS = 160; // of the pointer's index, along each side

/** Arrays of a binary answer, in the order in which the server writes them. */
function readPoints(buffer, n) {
  let at = 0;
  const next = (Kind) => {
    const found = new Kind(buffer, at, n);
    at += found.byteLength;
    return found;
  };
  const points = { x: next(Float32Array), y: next(Float32Array), error: next(Float32Array), image: next(Int32Array) };
  const small = { model: next(Int16Array), layer: next(Int16Array), head: next(Int16Array), cluster: next(Int16Array) };
  return { ...points, ...small, heldOut: next(Uint8Array) };
}

function readPatterns(bytes, { rows, columns, side, cls_side: clsSide }, clusters) {
  const cells = rows * columns;
  const parts = [cells * side * side, cells * clsSide * clsSide, cells, clusters * side * side];
  let at = 0;
  const [maps, cls, near, means] = parts.map((length) => bytes.subarray(at, (at += length)));
  return { maps, cls, near, means };
}

/** Lowest and highest place of an axis: far outliers lie beyond, and are reached by moving. */
function extent(values, grid) {
  const sorted = Float32Array.from(values).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const span = at(1 - TAIL) - at(TAIL);
  const low = Math.min(Math.max(sorted[0], at(TAIL) - BEYOND * span), ...grid);
  const high = Math.max(Math.min(sorted.at(-1), at(1 - TAIL) + BEYOND * span), ...grid);
  if (!(high > low)) return [low - 1, low + 1];
  const room = (high - low) * ROOM;
  return [low - room, high + room];
}

/** Rows in order of a small whole number, and where each number's rows start. */
function grouped(keys, count) {
  const start = new Uint32Array(count + 1);
  for (let i = 0; i < keys.length; i += 1) start[keys[i] + 1] += 1;
  for (let k = 0; k < count; k += 1) start[k + 1] += start[k];
  const next = start.slice();
  const rows = new Uint32Array(keys.length);
  for (let i = 0; i < keys.length; i += 1) rows[next[keys[i]]++] = i;
  return { rows, of: (key) => rows.subarray(start[key], start[key + 1]) };
}

/** Median place of each cluster's points; NaN where it has none. */
function middlesOf(u, v, cluster, count) {
  const members = grouped(cluster, count);
  const median = (values) => (values.length ? values.sort()[values.length >> 1] : NaN);
  return Array.from({ length: count }, (_, k) => {
    const rows = Array.from(members.of(k));
    return [u, v].map((places) => median(Float32Array.from(rows, (row) => places[row])));
  });
}

function cellsOf(u, v) {
  const keys = new Uint32Array(u.length);
  const cell = (place) => Math.min(INDEX_CELLS - 1, Math.max(0, Math.floor(place * INDEX_CELLS)));
  for (let i = 0; i < u.length; i += 1) keys[i] = cell(v[i]) * INDEX_CELLS + cell(u[i]);
  return keys;
}

/** "model:layer:head" */
function headKey(model, layer, head) {
  return `${model}:${layer}:${head}`;
}

/**
 * @param {object} meta JSON of the study
 * @param {ArrayBuffer} buffer the points  @param {Uint8Array} bytes decoded patterns
 */
export function prepareCloud(meta, buffer, bytes) {
  const n = meta.count;
  const points = readPoints(buffer, n);
  const [left, right] = extent(points.x, meta.grid.x);
  const [bottom, top] = extent(points.y, meta.grid.y);
  const acrossOf = (x) => (x - left) / (right - left);
  const downOf = (y) => (top - y) / (top - bottom);
  const u = Float32Array.from(points.x, acrossOf);
  const v = Float32Array.from(points.y, downOf);
  const named = new Map(meta.heads.map((one, i) => [headKey(...one), i]));
  const headOf = new Uint32Array(n);
  for (let i = 0; i < n; i += 1) {
    headOf[i] = named.get(headKey(points.model[i], points.layer[i], points.head[i]));
  }
  // A head none of whose maps is finite has no place.
  const dots = meta.head_positions.map(([x, y]) => [acrossOf(x ?? NaN), downOf(y ?? NaN)]);
  const byHead = grouped(headOf, meta.heads.length);
  const index = grouped(cellsOf(u, v), INDEX_CELLS * INDEX_CELLS);
  const several = meta.models.length > 1;
  return {
    ...meta, ...points, count: n, u, v, headOf, dots, byHead, index,
    bounds: { left, right, bottom, top },
    middles: middlesOf(u, v, points.cluster, meta.clusters.length),
    gridU: meta.grid.x.map(acrossOf),
    gridV: meta.grid.y.map(downOf),
    patterns: readPatterns(bytes, meta.grid, meta.clusters.length),
    layers: 1 + meta.heads.reduce((most, one) => Math.max(most, one[1]), 0),
    headIndex: (model, layer, head) => named.get(headKey(model, layer, head)) ?? -1,
    labelOf(head) {
      const [model, layer, own] = meta.heads[head];
      return `L${layer} H${own}${several && model ? " ′" : ""}`;
    },
    imageOf: (sha256) => meta.images.findIndex((one) => one.sha256 === sha256),
    rowOf: (head, image) => byHead.of(head).find((row) => points.image[row] === image) ?? -1,
  };
}

/** The point nearest to a place of the unit square, within an ellipse of radii ru and rv; or -1. */
export function nearestRow(cloud, u, v, ru, rv) {
  const cell = (place) => Math.min(INDEX_CELLS - 1, Math.max(0, Math.floor(place * INDEX_CELLS)));
  let best = -1;
  let least = 1;
  for (let row = cell(v - rv); row <= cell(v + rv); row += 1) {
    for (let column = cell(u - ru); column <= cell(u + ru); column += 1) {
      for (const point of cloud.index.of(row * INDEX_CELLS + column)) {
        const far = ((cloud.u[point] - u) / ru) ** 2 + ((cloud.v[point] - v) / rv) ** 2;
        if (far < least) { least = far; best = point; }
      }
    }
  }
  return best;
}

/** How many heads lie mostly in each cluster, by model: counts[model][cluster]. */
export function headsByCluster(cloud) {
  const counts = cloud.models.map(() => cloud.clusters.map(() => []));
  cloud.heads.forEach(([model], head) => {
    const cluster = mainCluster(cloud, head);
    if (cluster >= 0) counts[model][cluster].push(head);
  });
  return counts;
}

/** The cluster that most of a head's points lie in; -1 where it has none. */
export function mainCluster(cloud, head) {
  const seen = new Map();
  for (const row of cloud.byHead.of(head)) seen.set(cloud.cluster[row], (seen.get(cloud.cluster[row]) ?? 0) + 1);
  let best = -1;
  for (const [cluster, count] of seen) if (best < 0 || count > seen.get(best)) best = cluster;
  return best;
}

async function fetchBuffer(address, length) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw new Error(`the points did not arrive: the server answered ${response.status}`);
  const buffer = await response.arrayBuffer();
  if (buffer.byteLength !== length) throw new Error(`an answer has ${buffer.byteLength} bytes, expected ${length}`);
  return buffer;
}

/** Fetches what belongs to the metadata and joins it. */
export async function fetchCloud(base, meta) {
  const [points, patterns] = await Promise.all([
    fetchBuffer(`${base}${meta.urls.points}`, meta.bytes.points),
    fetchBuffer(`${base}${meta.urls.decoded}`, meta.bytes.decoded),
  ]);
  return prepareCloud(meta, points, new Uint8Array(patterns));
}
