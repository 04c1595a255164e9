/** The picture with its patch grid, and one map laid over it. Two canvases: the lower one
 * changes with the viewport only, so a hover repaints nothing but the upper one. */
import {
  fitView, keepInSight, patchRect, sizeCanvas, toCanvas, wholeRect, zoomView,
} from "./geometry.js";
import { pack } from "./scale.js";
import { MISSING } from "./matrix.js";
import { parsePatch } from "./record.js";

const MARGIN = 1;
const HIGHEST = 60;

/** Opacity of a value on the picture: faint below a quarter of the scale, full above it. */
export function alphaOf(place, opacity) {
  return opacity * Math.min(1, place * 4);
}

/** @param {HTMLCanvasElement} lower picture and grid  @param {HTMLCanvasElement} upper overlay */
export function createStage(lower, upper) {
  const below = lower.getContext("2d");
  const above = upper.getContext("2d");
  const sheet = document.createElement("canvas");
  const sheetContext = sheet.getContext("2d", { willReadFrequently: true });
  let record = null;
  let picture = null;
  let size = { width: 1, height: 1 };
  let view = { scale: 1, x: 0, y: 0 };
  let home = view;
  let whole = false;

  function fitHome() {
    const rect = whole ? wholeRect(record) : record.placement;
    home = fitView(rect, size.width, size.height, MARGIN);
  }

  function scaled(context, canvas) {
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.width / ratio, canvas.height / ratio);
  }

  /** Dims what the model did not see: everything outside its view. */
  function dimOutside(seen, colours) {
    below.save();
    below.fillStyle = colours.veil;
    below.beginPath();
    below.rect(0, 0, size.width, size.height);
    below.rect(seen.left, seen.top, seen.width, seen.height);
    below.fill("evenodd");
    below.restore();
    below.strokeStyle = colours.faint;
    below.lineWidth = 1;
    below.strokeRect(seen.left, seen.top, seen.width, seen.height);
  }

  function lines(seen) {
    const wide = seen.width / record.columns;
    const high = seen.height / record.rows;
    below.beginPath();
    for (let column = 1; column < record.columns; column += 1) {
      const x = Math.round(seen.left + column * wide) + 0.5;
      below.moveTo(x, seen.top);
      below.lineTo(x, seen.top + seen.height);
    }
    for (let row = 1; row < record.rows; row += 1) {
      const y = Math.round(seen.top + row * high) + 0.5;
      below.moveTo(seen.left, y);
      below.lineTo(seen.left + seen.width, y);
    }
    // Fine grids get fainter lines, so that the picture stays in front.
    below.strokeStyle = `rgba(255, 255, 255, ${Math.min(0.3, wide / 90)})`;
    below.lineWidth = 1;
    below.stroke();
  }

  function sheetOf(map, palette, opacity) {
    sheet.width = map.columns;
    sheet.height = map.rows;
    const image = sheetContext.createImageData(map.columns, map.rows);
    const pixels = new Uint32Array(image.data.buffer);
    const alpha = Math.round(255 * opacity);
    if (map.colours) {
      for (let i = 0; i < pixels.length; i += 1) {
        const at = 3 * i;
        pixels[i] = pack(map.colours[at], map.colours[at + 1], map.colours[at + 2], alpha);
      }
    } else {
      const span = map.high - map.low;
      for (let i = 0; i < pixels.length; i += 1) {
        const value = map.values[i];
        if (Number.isNaN(value)) {
          pixels[i] = ((MISSING & 0xffffff) | (alpha << 24)) >>> 0;
          continue;
        }
        const place = span > 0 ? Math.min(1, Math.max(0, (value - map.low) / span)) : 0;
        const own = map.solid ? opacity : alphaOf(place, opacity);
        const colour = palette[Math.round(place * 255)] & 0xffffff;
        pixels[i] = (colour | (Math.round(255 * own) << 24)) >>> 0;
      }
    }
    sheetContext.putImageData(image, 0, 0);
  }

  function frame(rect, colour, line) {
    const at = toCanvas(view, rect);
    above.lineWidth = line + 2;
    above.strokeStyle = "rgba(255, 255, 255, .85)";
    above.strokeRect(at.left, at.top, at.width, at.height);
    above.lineWidth = line;
    above.strokeStyle = colour;
    above.strokeRect(at.left, at.top, at.width, at.height);
  }

  return {
    fit(next, width, height) {
      const other = record !== next;
      record = next;
      const atHome = other || (view.scale === home.scale && view.x === home.x && view.y === home.y);
      size = { width, height };
      sizeCanvas(lower, width, height);
      sizeCanvas(upper, width, height);
      fitHome();
      if (atHome) view = home;
    },

    setPicture(image) {
      picture = image;
    },

    /** Picture, veil and grid; needed only when the viewport or the theme changed. */
    drawGround(state, colours) {
      scaled(below, lower);
      const place = toCanvas(view, {
        left: 0, top: 0, width: record.picture.width, height: record.picture.height,
      });
      const seen = toCanvas(view, record.placement);
      // Padding is what the model saw beyond the picture's edge: a mid grey.
      below.fillStyle = "rgb(128, 128, 128)";
      if (record.placement.top < 0 || record.placement.left < 0) {
        below.fillRect(seen.left, seen.top, seen.width, seen.height);
      }
      if (picture) {
        below.imageSmoothingEnabled = view.scale * (record.picture.width / picture.width) < 3;
        below.imageSmoothingQuality = "high";
        below.drawImage(picture, place.left, place.top, place.width, place.height);
      }
      dimOutside(seen, colours);
      if (state.grid) lines(seen);
    },

    /** The overlay, the query patch and the patch under the cursor. */
    draw(state, colours, map, palette) {
      scaled(above, upper);
      if (map) {
        const seen = toCanvas(view, record.placement);
        sheetOf(map, palette, state.opacity);
        above.imageSmoothingEnabled = false;
        above.drawImage(sheet, seen.left, seen.top, seen.width, seen.height);
      }
      const patch = parsePatch(state.query);
      if (patch) frame(patchRect(record, patch[0], patch[1]), colours.accent, state.pinned ? 2.5 : 1.5);
      const cursor = state.cursor;
      const elsewhere = cursor && (!patch || cursor[0] !== patch[0] || cursor[1] !== patch[1]);
      if (elsewhere) {
        const at = toCanvas(view, patchRect(record, cursor[0], cursor[1]));
        above.lineWidth = 1;
        above.strokeStyle = "#ffffff";
        above.strokeRect(at.left, at.top, at.width, at.height);
      }
    },

    /** Canvas position -> picture position. */
    toPicture: (x, y) => [(x - view.x) / view.scale, (y - view.y) / view.scale],

    zoom(x, y, factor) {
      const lowest = Math.min(home.scale, fitView(wholeRect(record), size.width, size.height, 0).scale);
      view = zoomView(view, x, y, factor, lowest * 0.8, home.scale * HIGHEST);
      view = keepInSight(view, wholeRect(record), size.width, size.height);
    },

    pan(dx, dy) {
      view = { ...view, x: view.x + dx, y: view.y + dy };
      view = keepInSight(view, wholeRect(record), size.width, size.height);
    },

    /** Back to the model's view or the whole picture. */
    reset(showWhole) {
      whole = showWhole;
      fitHome();
      view = home;
    },

    atHome: () => view.scale === home.scale && view.x === home.x && view.y === home.y,
    size: () => size,
    zoomed: () => view.scale / home.scale,
  };
}
