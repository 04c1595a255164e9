/** Outlines of the objects of a mask, as one path in pixels of the model's input. */

/** Runs of edges along one line, joined: [start, end) of each. */
function runsOf(length, isEdge) {
  const runs = [];
  for (let i = 0; i < length; i += 1) {
    if (!isEdge(i)) continue;
    const start = i;
    while (i < length && isEdge(i)) i += 1;
    runs.push([start, i]);
  }
  return runs;
}

/** @param {Int32Array} mask height x width, equal numbers are one object */
export function outlineOf(mask, height, width) {
  const path = new Path2D();
  for (let y = 1; y < height; y += 1) {
    const row = y * width;
    for (const [start, end] of runsOf(width, (x) => mask[row + x] !== mask[row - width + x])) {
      path.moveTo(start, y);
      path.lineTo(end, y);
    }
  }
  for (let x = 1; x < width; x += 1) {
    for (const [start, end] of runsOf(height, (y) => mask[y * width + x] !== mask[y * width + x - 1])) {
      path.moveTo(x, start);
      path.lineTo(x, end);
    }
  }
  return path;
}

/** Draws a path of the model's input into a rectangle of the canvas: white on black, seen on any colour. */
export function strokeOutline(context, path, [height, width], place) {
  const scale = place.width / width;
  context.save();
  context.translate(place.left, place.top);
  context.scale(scale, place.height / height);
  for (const [wide, ink] of [[3, "rgba(0, 0, 0, .6)"], [1.3, "rgba(255, 255, 255, .95)"]]) {
    context.lineWidth = wide / scale;
    context.strokeStyle = ink;
    context.stroke(path);
  }
  context.restore();
}
