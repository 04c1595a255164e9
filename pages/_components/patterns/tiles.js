/** Decoded patterns as small pictures behind the points: ink on paper, darker for more attention. */

/** One canvas with the patterns of the whole grid side by side. */
export function patternSheet(cloud, ink) {
  const { rows, columns, side } = cloud.grid;
  const sheet = document.createElement("canvas");
  sheet.width = columns * side;
  sheet.height = rows * side;
  const context = sheet.getContext("2d");
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const start = (row * columns + column) * side * side;
      const image = inkImage(cloud.patterns.maps.subarray(start, start + side * side), side, ink);
      context.putImageData(image, column * side, row * side);
    }
  }
  return sheet;
}

// Lines one value wide would fade when a tile is drawn small.
const BOOST = 1.9;

/** A pattern with the ink's opacity for its value. @param {Uint8Array} values side x side */
function inkImage(values, side, [red, green, blue]) {
  const image = new ImageData(side, side);
  for (let i = 0; i < values.length; i += 1) {
    image.data.set([red, green, blue, Math.min(255, BOOST * values[i])], 4 * i);
  }
  return image;
}

/** Side of a tile in CSS pixels at a projection: most of the distance to its neighbours. */
export function tileSide(cloud, at) {
  const step = (places) => (places.length > 1 ? Math.abs(places.at(-1) - places[0]) / (places.length - 1) : 0.1);
  return 0.88 * Math.min(step(cloud.gridU) * at.wide, step(cloud.gridV) * at.high);
}

/** Draws the grid; far from all points a pattern is a guess, and is nearly left out. */
export function drawTiles(context, cloud, sheet, at, colours) {
  const { columns, side } = cloud.grid;
  const wide = tileSide(cloud, at);
  const ratio = context.getTransform().a;
  context.imageSmoothingEnabled = wide * ratio < side * 1.5;
  cloud.patterns.near.forEach((near, cell) => {
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    const left = at.left + cloud.gridU[column] * at.wide - wide / 2;
    const top = at.top + cloud.gridV[row] * at.high - wide / 2;
    context.globalAlpha = near ? 0.4 : 0.07;
    context.drawImage(sheet, column * side, row * side, side, side, left, top, wide, wide);
    context.globalAlpha = near ? 1 : 0.25;
    context.strokeStyle = colours.line;
    context.strokeRect(Math.round(left) + 0.5, Math.round(top) + 0.5, Math.round(wide) - 1, Math.round(wide) - 1);
  });
  context.globalAlpha = 1;
}
