/** Points into pixels: typed arrays instead of a drawing command for each point. */

/** Offsets and coverage (0 to 255) of a disc's pixels. @param {number} radius in pixels */
export function discStamp(radius) {
  const reach = Math.ceil(radius);
  const stamp = [];
  for (let dy = -reach; dy <= reach; dy += 1) {
    for (let dx = -reach; dx <= reach; dx += 1) {
      const cover = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(dx, dy)));
      if (cover > 0.05) stamp.push([dx, dy, Math.round(255 * cover)]);
    }
  }
  return stamp;
}

/** The outline of a diamond: the mark of the second model. */
export function diamondStamp(radius) {
  const reach = Math.ceil(radius) + 1;
  const stamp = [];
  for (let dy = -reach; dy <= reach; dy += 1) {
    for (let dx = -reach; dx <= reach; dx += 1) {
      const cover = Math.max(0, 1 - Math.abs(Math.abs(dx) + Math.abs(dy) - reach));
      if (cover > 0.05) stamp.push([dx, dy, Math.round(255 * cover)]);
    }
  }
  return stamp;
}

/**
 * Marks points; where several meet, the one with the greater coverage stands.
 * @param {Uint32Array} pixels width x height, little-endian RGBA, changed in place
 * @param {{u: Float32Array, v: Float32Array}} cloud places in the unit square
 * @param {{left: number, top: number, wide: number, high: number}} at projection, device pixels
 * @param {Uint32Array} tints colour of each point, without opacity
 * @param {number[][]} stamp from discStamp  @param {number} opacity 0 to 1
 * @param {(Uint32Array | null)} rows which points, in which order; null for all
 */
export function splat(pixels, width, height, { u, v }, at, tints, stamp, opacity, rows = null) {
  const reach = stamp.reduce((most, [dx, dy]) => Math.max(most, Math.abs(dx), Math.abs(dy)), 0);
  const jumps = Int32Array.from(stamp, ([dx, dy]) => dy * width + dx);
  const alphas = Uint32Array.from(stamp, ([, , cover]) => Math.round(cover * opacity));
  const { left, top, wide, high } = at;
  const count = rows ? rows.length : u.length;
  for (let i = 0; i < count; i += 1) {
    const row = rows ? rows[i] : i;
    const x = Math.round(left + u[row] * wide);
    const y = Math.round(top + v[row] * high);
    if (x < reach || y < reach || x >= width - reach || y >= height - reach) continue;
    const middle = y * width + x;
    const tint = tints[row];
    for (let k = 0; k < jumps.length; k += 1) {
      const place = middle + jumps[k];
      if (pixels[place] >>> 24 < alphas[k]) pixels[place] = ((alphas[k] << 24) | tint) >>> 0;
    }
  }
}
