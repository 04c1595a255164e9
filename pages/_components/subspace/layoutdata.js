/** A layout as the browser holds it: places of patches by part and point, and their colours. */
import { failure } from "../lens/rows.js";

const DIMENSIONS = 3;

/**
 * @param {object} meta JSON of the layout
 * @param {ArrayBuffer} buffer places (parts, points, patches, 3), then colours (tints, patches, 3)
 * @param {Int32Array | null} mask instance of every pixel of the model's input
 */
export function prepareLayout(meta, buffer, mask) {
  const patches = meta.rows * meta.columns;
  const points = meta.points.length;
  const size = patches * DIMENSIONS;
  const count = meta.parts.length * points * size;
  const expected = 4 * count + meta.tints.length * size;
  if (buffer.byteLength !== expected) {
    throw { status: 0, message: `an answer has ${buffer.byteLength} bytes, expected ${expected}` };
  }
  const places = new Float32Array(buffer, 0, count);
  const colours = new Uint8Array(buffer, 4 * count);
  const inks = meta.tints.map((_, tint) => Array.from({ length: patches }, (_, patch) => {
    const at = (tint * patches + patch) * DIMENSIONS;
    return `rgb(${colours[at]}, ${colours[at + 1]}, ${colours[at + 2]})`;
  }));
  const none = `rgb(${meta.none.join(", ")})`;
  return {
    ...meta,
    patches,
    mask,
    noInk: none,
    marked: Boolean(meta.objects?.some((one) => one > 0)),
    last: meta.points.at(-1),
    placeOf: (point) => Math.max(0, meta.points.indexOf(point)),
    nearest(point) {
      return meta.points.reduce((best, one) => (Math.abs(one - point) < Math.abs(best - point) ? one : best), meta.points[0]);
    },
    partAt: (name) => Math.max(0, meta.parts.findIndex((one) => one.name === name)),
    partOf: (name) => meta.parts[Math.max(0, meta.parts.findIndex((one) => one.name === name))],
    /** Coordinates of all patches, three each. */
    coordinates(part, place) {
      const start = (part * points + place) * size;
      return places.subarray(start, start + size);
    },
    inksOf: (tint) => inks[Math.max(0, meta.tints.indexOf(tint))],
    objectOf: (patch) => (meta.objects ? meta.objects[patch] : 0),
  };
}

async function bytesAt(address) {
  const response = await fetch(address);
  if (!response.ok) throw await failure(response);
  return response.arrayBuffer();
}

/** Fetches a layout, its places and its mask. */
export async function fetchLayout(base, token) {
  const response = await fetch(`${base}/atlas/subspace/${token}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  const meta = await response.json();
  const [buffer, mask] = await Promise.all([
    bytesAt(`${base}${meta.urls.places}`),
    meta.urls.mask ? bytesAt(`${base}${meta.urls.mask}`) : null,
  ]);
  return prepareLayout(meta, buffer, mask && new Int32Array(mask));
}
