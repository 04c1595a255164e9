/** Lines of equal density of many points, by marching squares on a smoothed histogram. */

const BINS = 96;
const EMPTY_EDGE = 8; // empty cells around the histogram, so that every line closes
const REACH_CELLS = 2; // of one pass of the box filter; three passes are nearly a Gaussian
export const ENCLOSED = [0.95, 0.8, 0.6, 0.4, 0.2];

function histogram(u, v) {
  const wide = BINS + 2 * EMPTY_EDGE;
  const counts = new Float32Array(wide * wide);
  for (let i = 0; i < u.length; i += 1) {
    const column = EMPTY_EDGE + Math.min(BINS - 1, Math.max(0, Math.floor(u[i] * BINS)));
    const row = EMPTY_EDGE + Math.min(BINS - 1, Math.max(0, Math.floor(v[i] * BINS)));
    counts[row * wide + column] += 1;
  }
  return counts;
}

/** Mean over a window along one axis; `step` is the distance between neighbours on it. */
function smoothAxis(from, to, wide, step, other) {
  for (let line = 0; line < wide; line += 1) {
    let sum = 0;
    for (let i = -REACH_CELLS; i < wide; i += 1) {
      const enter = i + REACH_CELLS;
      const leave = i - REACH_CELLS - 1;
      if (enter < wide) sum += from[line * other + enter * step];
      if (leave >= 0) sum -= from[line * other + leave * step];
      if (i >= 0) to[line * other + i * step] = sum / (2 * REACH_CELLS + 1);
    }
  }
}

function smoothed(counts) {
  const wide = BINS + 2 * EMPTY_EDGE;
  let values = counts;
  let spare = new Float32Array(counts.length);
  for (let pass = 0; pass < 6; pass += 1) {
    smoothAxis(values, spare, wide, pass % 2 ? wide : 1, pass % 2 ? 1 : wide);
    [values, spare] = [spare, values];
  }
  return values;
}

/** Densities above which the given shares of all points lie, lowest first. */
function levelsOf(values, shares) {
  const sorted = Float32Array.from(values).sort().reverse();
  const total = sorted.reduce((sum, value) => sum + value, 0);
  return shares.map((share) => {
    let sum = 0;
    for (const value of sorted) {
      sum += value;
      if (sum >= share * total) return value;
    }
    return 0;
  });
}

// Edges of a cell: 0 top, 1 right, 2 bottom, 3 left; which are joined, by the corners above the
// level (bits: top left 8, top right 4, bottom right 2, bottom left 1).
const JOINED = [
  [], [[3, 2]], [[2, 1]], [[3, 1]], [[0, 1]], [[3, 0], [2, 1]], [[0, 2]], [[3, 0]],
  [[3, 0]], [[0, 2]], [[0, 1], [3, 2]], [[0, 1]], [[3, 1]], [[2, 1]], [[3, 2]], [],
];

/** Segments of one level: edge -> the one or two edges that it is joined with, and its place. */
function segments(values, level) {
  const wide = BINS + 2 * EMPTY_EDGE;
  const joined = new Map();
  const places = new Map();
  const cross = (a, b) => (values[a] === values[b] ? 0.5 : (level - values[a]) / (values[b] - values[a]));
  const edge = (row, column, side) => {
    const at = row * wide + column;
    // Each edge belongs to two cells: its name is that of the point above or left of it.
    const [from, down] = [[at, 0], [at + 1, 1], [at + wide, 0], [at, 1]][side];
    const id = 2 * from + down;
    if (!places.has(id)) {
      const part = cross(from, from + (down ? wide : 1));
      const x = (from % wide) + (down ? 0 : part);
      const y = Math.floor(from / wide) + (down ? part : 0);
      places.set(id, [(x + 0.5 - EMPTY_EDGE) / BINS, (y + 0.5 - EMPTY_EDGE) / BINS]);
    }
    return id;
  };
  const link = (a, b) => joined.set(a, [...(joined.get(a) ?? []), b]);
  for (let row = 0; row < wide - 1; row += 1) {
    for (let column = 0; column < wide - 1; column += 1) {
      const at = row * wide + column;
      const kind = 8 * (values[at] > level) + 4 * (values[at + 1] > level)
        + 2 * (values[at + wide + 1] > level) + (values[at + wide] > level);
      for (const [a, b] of JOINED[kind]) {
        const [one, two] = [edge(row, column, a), edge(row, column, b)];
        link(one, two);
        link(two, one);
      }
    }
  }
  return { joined, places };
}

/** Closed lines of one level, each a list of places. */
function ringsOf(values, level) {
  const { joined, places } = segments(values, level);
  const seen = new Set();
  const rings = [];
  for (const start of joined.keys()) {
    if (seen.has(start)) continue;
    const ring = [];
    for (let at = start; at !== undefined; at = joined.get(at).find((next) => !seen.has(next))) {
      seen.add(at);
      ring.push(places.get(at));
    }
    rings.push(ring);
  }
  return rings;
}

/**
 * Lines that enclose shares of the points in the smallest area.
 * @param {Float32Array} u  @param {Float32Array} v places in the unit square
 * @returns {number[][][][]} for each of `ENCLOSED`: closed lines of places in the unit square
 */
export function densityRings(u, v) {
  const values = smoothed(histogram(u, v));
  return levelsOf(values, ENCLOSED).map((level) => ringsOf(values, level));
}
