/** From attention to colour: upper limits by percentile, then one look-up per value. */
import { HALF, isMissing } from "./half.js";
import { mapSlice } from "./record.js";

export const PERCENTILE = 99.5;
export const SCALE_WORDS = { map: "this map", layer: "this layer", all: "all maps" };

// Non-negative float16 patterns sort like the numbers they stand for, so a histogram of
// patterns gives exact percentiles without sorting 100,000 numbers on every hover.
const bins = new Uint32Array(0x7c01);

/**
 * The percentile (linear between ranks, as NumPy's default) and the maximum over slices.
 * Negative values count as 0, missing ones not at all.
 */
export function limits(bits, slices) {
  let count = 0;
  let top = 0;
  for (const { start, count: length } of slices) {
    for (let i = start, end = start + length; i < end; i += 1) {
      let pattern = bits[i];
      if (isMissing(pattern)) continue;
      if (pattern & 0x8000) pattern = 0;
      bins[pattern] += 1;
      if (pattern > top) top = pattern;
      count += 1;
    }
  }
  if (!count) return { high: NaN, max: NaN };
  const rank = (PERCENTILE / 100) * (count - 1);
  const below = ranked(top, count - 1 - Math.floor(rank));
  const above = ranked(top, count - 1 - Math.ceil(rank));
  empty(bits, slices);
  return { high: below + (above - below) * (rank % 1), max: HALF[top] };
}

/** Empties the bins that were used: far fewer than there are. */
function empty(bits, slices) {
  for (const { start, count: length } of slices) {
    for (let i = start, end = start + length; i < end; i += 1) {
      if (!isMissing(bits[i])) bins[bits[i] & 0x8000 ? 0 : bits[i]] = 0;
    }
  }
}

/** The value with `larger` values at or above it, read from the top of the histogram. */
function ranked(top, larger) {
  let left = larger;
  for (let pattern = top; pattern > 0; pattern -= 1) {
    left -= bins[pattern];
    if (left < 0) return HALF[pattern];
  }
  return 0;
}

/**
 * Upper limit of every map under a scale.
 * @param {"map"|"layer"|"all"} mode what shares one limit
 * @returns {{high: number, max: number}[][]} by layer and head
 */
export function allLimits(record, bits, direction, mode) {
  const slices = record.layers.map((layer, l) =>
    Array.from({ length: layer.heads }, (_, h) => mapSlice(record, l, h, direction)),
  );
  if (mode === "map") return slices.map((heads) => heads.map((slice) => limits(bits, [slice])));
  const shared = mode === "all" ? limits(bits, slices.flat()) : null;
  return slices.map((heads) => {
    const one = shared ?? limits(bits, heads);
    return heads.map(() => one);
  });
}

/** The limit of an array of numbers, for the mean of several heads. */
export function limitsOf(values) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  if (!sorted.length) return { high: NaN, max: NaN };
  const rank = (PERCENTILE / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(rank)];
  const above = sorted[Math.ceil(rank)];
  return { high: below + (above - below) * (rank % 1), max: sorted[sorted.length - 1] };
}

/** 256 packed pixels (little-endian RGBA) from the 768 bytes of a colour table in base64. */
export function decodePalette(text) {
  const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const packed = new Uint32Array(256);
  for (let i = 0; i < 256; i += 1) packed[i] = pack(raw[3 * i], raw[3 * i + 1], raw[3 * i + 2], 255);
  return packed;
}

export function pack(red, green, blue, alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** "rgb(...)" of a packed pixel. */
export function cssColour(packed) {
  return `rgb(${packed & 255}, ${(packed >> 8) & 255}, ${(packed >> 16) & 255})`;
}

/** A number in three significant digits, short enough for a table. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "none";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return value.toFixed(0);
  if (size >= 100) return value.toFixed(1);
  if (size < 0.00095) return value.toExponential(1).replace("e-", "e−");
  return value.toPrecision(3);
}
