/** Where patches lie on the picture (picture pixels) and where the picture lies on the canvas. */

/** Rectangle of a patch of a grid over the model's view, in picture pixels. */
export function patchRect(record, row, column, grid = record) {
  const { top, left, height, width } = record.placement;
  const high = height / grid.rows;
  const wide = width / grid.columns;
  return { left: left + column * wide, top: top + row * high, width: wide, height: high };
}

/** [row, column] of the base patch under a picture position, or null outside the model's view. */
export function patchAt(record, x, y) {
  const { top, left, height, width } = record.placement;
  const row = Math.floor(((y - top) / height) * record.rows);
  const column = Math.floor(((x - left) / width) * record.columns);
  const inside = row >= 0 && column >= 0 && row < record.rows && column < record.columns;
  return inside ? [row, column] : null;
}

/** The rectangle that holds the picture and the model's view. */
export function wholeRect(record) {
  const { placement, picture } = record;
  const left = Math.min(0, placement.left);
  const top = Math.min(0, placement.top);
  return {
    left,
    top,
    width: Math.max(picture.width, placement.left + placement.width) - left,
    height: Math.max(picture.height, placement.top + placement.height) - top,
  };
}

/** A viewport {scale, x, y} (canvas = picture * scale + offset) that shows a rectangle whole. */
export function fitView(rect, width, height, margin) {
  const scale = Math.min((width - 2 * margin) / rect.width, (height - 2 * margin) / rect.height);
  return {
    scale,
    x: (width - rect.width * scale) / 2 - rect.left * scale,
    y: (height - rect.height * scale) / 2 - rect.top * scale,
  };
}

/** Zooms about a canvas position, which keeps its place. */
export function zoomView(view, x, y, factor, lowest, highest) {
  const scale = Math.min(highest, Math.max(lowest, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio };
}

/** Moves a viewport so that some of the rectangle always stays in sight. */
export function keepInSight(view, rect, width, height) {
  const reach = 0.25;
  const x0 = rect.left * view.scale + view.x;
  const y0 = rect.top * view.scale + view.y;
  const wide = rect.width * view.scale;
  const high = rect.height * view.scale;
  const x = Math.min(width * (1 - reach), Math.max(width * reach - wide, x0));
  const y = Math.min(height * (1 - reach), Math.max(height * reach - high, y0));
  return { scale: view.scale, x: view.x + x - x0, y: view.y + y - y0 };
}

/** A picture rectangle on the canvas. */
export function toCanvas(view, rect) {
  return {
    left: rect.left * view.scale + view.x,
    top: rect.top * view.scale + view.y,
    width: rect.width * view.scale,
    height: rect.height * view.scale,
  };
}

/** Sets the backing store of a canvas to device pixels; true when it changed. */
export function sizeCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.max(1, Math.round(width * ratio));
  const high = Math.max(1, Math.round(height * ratio));
  if (canvas.width === wide && canvas.height === high) return false;
  canvas.width = wide;
  canvas.height = high;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  return true;
}
