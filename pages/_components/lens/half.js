/** float16 bits to numbers. Rows arrive as float16; a table turns decoding into one look-up. */

/**
 * Value of every 16-bit pattern.
 * @returns {Float32Array} 65,536 values; infinities and NaN patterns included.
 */
function buildTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits += 1) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0x1f) table[bits] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

export const HALF = buildTable();

/** True where the pattern is a NaN: the layer has no such token. */
export function isMissing(bits) {
  return (bits & 0x7fff) > 0x7c00;
}
