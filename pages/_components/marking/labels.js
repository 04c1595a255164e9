/** The drawing: one number a pixel, 0 for nothing, with a memory of what was before. */

const MOST_STEPS = 24;

/** Label under each pixel's middle, in another size. */
export function resized(from, [fromHigh, fromWide], [high, wide]) {
  const to = new Uint8Array(high * wide);
  for (let y = 0; y < high; y += 1) {
    const row = Math.floor(((y + 0.5) * fromHigh) / high) * fromWide;
    for (let x = 0; x < wide; x += 1) to[y * wide + x] = from[row + Math.floor(((x + 0.5) * fromWide) / wide)];
  }
  return to;
}

export function createLabels(height, width, first) {
  let pixels = first ?? new Uint8Array(height * width);
  const before = [];
  const undone = [];

  /** Remembers the drawing as it is: called once before a stroke. */
  function remember() {
    before.push(pixels.slice());
    if (before.length > MOST_STEPS) before.shift();
    undone.length = 0;
  }

  /** A round brush along a line, in pixels of the drawing. */
  function brush([x0, y0], [x1, y1], radius, label) {
    const [low, high] = [Math.max(0, Math.floor(Math.min(y0, y1) - radius)), Math.min(height - 1, Math.ceil(Math.max(y0, y1) + radius))];
    const [left, right] = [Math.max(0, Math.floor(Math.min(x0, x1) - radius)), Math.min(width - 1, Math.ceil(Math.max(x0, x1) + radius))];
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    for (let y = low; y <= high; y += 1) {
      for (let x = left; x <= right; x += 1) {
        const t = length ? Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / length)) : 0;
        const [ox, oy] = [x - x0 - t * dx, y - y0 - t * dy];
        if (ox * ox + oy * oy <= radius * radius) pixels[y * width + x] = label;
      }
    }
  }

  /** Everything inside a closed line: the canvas fills it, half-covered pixels count. */
  function fill(points, label) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x + 0.5, y + 0.5));
    context.closePath();
    context.fill();
    const { data } = context.getImageData(0, 0, width, height);
    for (let i = 0; i < pixels.length; i += 1) if (data[4 * i + 3] > 127) pixels[i] = label;
  }

  function step(from, to) {
    if (!from.length) return false;
    to.push(pixels);
    pixels = from.pop();
    return true;
  }

  return {
    height,
    width,
    get pixels() { return pixels; },
    remember,
    brush,
    fill,
    clear() { remember(); pixels = new Uint8Array(height * width); },
    remove(label) { remember(); pixels = pixels.map((one) => (one === label ? 0 : one)); },
    undo: () => step(before, undone),
    redo: () => step(undone, before),
    get canUndo() { return before.length > 0; },
    get canRedo() { return undone.length > 0; },
  };
}

/** Patches that each object owns: the most frequent label of a patch, with at least this share.
 *  `frame` is where the model's input lies on the drawing, [top, left, bottom, right]. */
export function ownedPatches(labels, frame, rows, columns, purity) {
  const [top, left, bottom, right] = frame;
  const counts = new Uint32Array(rows * columns * 256);
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(labels.height, bottom); y += 1) {
    const row = Math.floor(((y + 0.5 - top) * rows) / (bottom - top));
    if (row < 0 || row >= rows) continue;
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(labels.width, right); x += 1) {
      const column = Math.floor(((x + 0.5 - left) * columns) / (right - left));
      if (column >= 0 && column < columns) counts[(row * columns + column) * 256 + labels.pixels[y * labels.width + x]] += 1;
    }
  }
  const owned = new Map();
  for (let patch = 0; patch < rows * columns; patch += 1) {
    const one = counts.subarray(patch * 256, patch * 256 + 256);
    let [best, all] = [0, 0];
    one.forEach((count, label) => { all += count; if (count > one[best]) best = label; });
    if (best && one[best] >= purity * all) owned.set(best, (owned.get(best) ?? 0) + 1);
  }
  return owned;
}
