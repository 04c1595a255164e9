/** Rotations as three rows of three numbers: a row vector times a matrix is turned. */

export const UPRIGHT = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

export function product(a, b) {
  return a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));
}

export function transposed(a) {
  return [0, 1, 2].map((i) => [a[0][i], a[1][i], a[2][i]]);
}

/** A turn about the screen's horizontal and vertical axes, in radians. */
export function turnOf(across, down) {
  const [ca, sa, cd, sd] = [Math.cos(across), Math.sin(across), Math.cos(down), Math.sin(down)];
  return product([[ca, 0, -sa], [0, 1, 0], [sa, 0, ca]], [[1, 0, 0], [0, cd, sd], [0, -sd, cd]]);
}

/** Rounding adds up while the cloud is turned: rows are made orthonormal again. */
export function squared([first, second]) {
  const unit = (v) => { const size = Math.hypot(...v) || 1; return v.map((one) => one / size); };
  const a = unit(first);
  const dot = second[0] * a[0] + second[1] * a[1] + second[2] * a[2];
  const b = unit(second.map((one, i) => one - dot * a[i]));
  return [a, b, [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]];
}

/** Turns every third-of-an-array vector in place. */
export function turnAll(vectors, matrix) {
  for (let i = 0; i < vectors.length; i += 3) {
    const [x, y, z] = [vectors[i], vectors[i + 1], vectors[i + 2]];
    for (let j = 0; j < 3; j += 1) vectors[i + j] = x * matrix[0][j] + y * matrix[1][j] + z * matrix[2][j];
  }
}
