/** Where the unit square lies on the canvas: a window {zoom, x, y} in CSS pixels. */

export const INSET = 18; // free edge around the unit square in the first view
const MOST_ZOOM = 60;
const KEPT = 0.3; // share of the box that always shows some of the square

/** The window that shows everything. */
export function wholeWindow() {
  return { zoom: 1, x: 0, y: 0 };
}

/** Size of the unit square at zoom 1. */
function sizes(box) {
  return { wide: Math.max(1, box.width - 2 * INSET), high: Math.max(1, box.height - 2 * INSET) };
}

/** How places become pixels: left + across * wide, top + down * high. */
export function projection(box, view) {
  const { wide, high } = sizes(box);
  return { left: view.x + INSET, top: view.y + INSET, wide: wide * view.zoom, high: high * view.zoom };
}

/** A pixel's place in the unit square. */
export function placeAt(box, view, x, y) {
  const { left, top, wide, high } = projection(box, view);
  return [(x - left) / wide, (y - top) / high];
}

/** Zooms about a pixel, which keeps its place. */
export function zoomWindow(box, view, x, y, factor) {
  const zoom = Math.min(MOST_ZOOM, Math.max(0.5, view.zoom * factor));
  const ratio = zoom / view.zoom;
  const at = { x: x - INSET, y: y - INSET };
  return inSight(box, { zoom, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio });
}

export function panWindow(box, view, dx, dy) {
  return inSight(box, { ...view, x: view.x + dx, y: view.y + dy });
}

function inSight(box, view) {
  const { wide, high } = sizes(box);
  const held = (at, full, room) => Math.min(room * (1 - KEPT), Math.max(room * KEPT - full, at));
  return {
    zoom: view.zoom,
    x: held(view.x, wide * view.zoom, box.width),
    y: held(view.y, high * view.zoom, box.height),
  };
}
