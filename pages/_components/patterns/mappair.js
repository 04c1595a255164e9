/** One head's map beside its reconstruction, fetched for one point at a time. */
import { decodePalette } from "../lens/scale.js";
import { failure } from "../lens/rows.js";

const HELD_MAPS = 600;
const STILL_MS = 60; // the pointer rests this long before a map is asked for

/**
 * @param {string} address of the route  @param {Map} cache kept across studies
 * @param {() => void} onMap a wished map is here  @param {(error) => void} onError
 */
export function createMaps(address, id, cache, onMap, onError) {
  let wish = -1;
  let flying = false;
  let timer = 0;
  let closed = false;

  async function pump() {
    if (closed || flying || wish < 0 || cache.has(`${id}:${wish}`)) return;
    const row = wish;
    flying = true;
    try {
      const response = await fetch(`${address}?row=${row}`);
      if (!response.ok) throw await failure(response);
      cache.set(`${id}:${row}`, new Uint8Array(await response.arrayBuffer()));
      while (cache.size > HELD_MAPS) cache.delete(cache.keys().next().value);
      if (!closed) onMap(row);
    } catch (error) {
      if (!closed && wish === row) { wish = -1; onError(error); }
    } finally {
      flying = false;
    }
    pump();
  }

  return {
    /** The map of a point if it is here; otherwise asks for it once the pointer rests. */
    want(row) {
      const held = cache.get(`${id}:${row}`) ?? null;
      if (row !== wish) {
        wish = row;
        clearTimeout(timer);
        if (!held) timer = setTimeout(pump, STILL_MS);
      }
      return held;
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** The four parts of an answer: map and cls row, real and reconstructed. */
export function mapParts(bytes, { side, cls_side: clsSide }) {
  const lengths = [side * side, clsSide * clsSide, side * side, clsSide * clsSide];
  let at = 0;
  return lengths.map((length) => bytes.subarray(at, (at += length)));
}

/** Paints values 0 to 255 into a canvas of their own size; the style sheet scales it up. */
export function paintMap(canvas, values, side, palette) {
  if (canvas.width !== side || canvas.height !== side) { canvas.width = side; canvas.height = side; }
  const image = new ImageData(side, side);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i += 1) pixels[i] = palette[values[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A colour table as packed pixels. @param {string} text base64 from Python */
export function mapPalette(text) {
  return decodePalette(text);
}
