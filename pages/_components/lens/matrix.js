/** All layers x heads in one canvas: layer 0 at the top, one small map per head. */
import { HALF, isMissing } from "./half.js";
import { mapSlice, project } from "./record.js";
import { pack } from "./scale.js";
import { sizeCanvas } from "./geometry.js";

const TOP = 18;
const RIM = 2; // the frame around a chosen map stands out of it
const WIDEST = 112;
const WRAP = 12;
export const MISSING = pack(148, 152, 160, 255);

/** Space left of the maps for L0 ... L23. */
function gutter(record) {
  return record.layers.length > 10 ? 30 : 24;
}

function gapFor(record) {
  return record.maxHeads > 8 || record.layers.length > 12 ? 2 : 3;
}

/** Maps side by side: all heads, but at most 12 where layers differ in their number of heads. */
function across(record) {
  const ragged = record.layers.some((layer) => layer.heads !== record.maxHeads);
  return ragged ? Math.min(record.maxHeads, WRAP) : record.maxHeads;
}

/** First line of every layer; a layer with more heads than fit side by side takes several. */
function linesOf(record) {
  const starts = [0];
  for (const layer of record.layers) {
    starts.push(starts.at(-1) + Math.ceil(layer.heads / across(record)));
  }
  return starts;
}

/** Largest map (width, height) in CSS pixels that lets the whole matrix fit. */
export function mapSize(record, width, height) {
  const gap = gapFor(record);
  const wide = (width - gutter(record) + gap) / across(record) - gap;
  const high = (height - TOP - RIM + gap) / linesOf(record).at(-1) - gap;
  const side = Math.max(4, Math.min(wide, high * record.aspect, WIDEST));
  return { width: side, height: side / record.aspect };
}

/** Width the matrix needs when it may be `width` x `height` at most. */
export function preferredWidth(record, width, height) {
  const size = mapSize(record, width, height);
  const gap = gapFor(record);
  return Math.ceil(gutter(record) + across(record) * (size.width + gap) - gap) + RIM;
}

/** @param {HTMLCanvasElement} canvas where the matrix is drawn */
export function createMatrix(canvas) {
  const context = canvas.getContext("2d");
  const sheet = document.createElement("canvas");
  const sheetContext = sheet.getContext("2d", { willReadFrequently: true });
  let record = null;
  let image = null;
  let pixels = null;
  let places = [];
  let layout = null;

  /** One sheet holds every map of every head: x by head, y by layer. */
  function allocate(direction) {
    const wide = Math.max(...record.layers.map((layer) => layer.heads * layer[direction].columns));
    const high = record.layers.reduce((sum, layer) => sum + layer[direction].rows, 0);
    if (sheet.width !== wide || sheet.height !== high || !image) {
      sheet.width = wide;
      sheet.height = high;
      image = sheetContext.createImageData(wide, high);
      pixels = new Uint32Array(image.data.buffer);
    }
    places = [];
    let y = 0;
    for (const layer of record.layers) {
      places.push(y);
      y += layer[direction].rows;
    }
  }

  function paintMap(bits, slice, x, y, limit, palette) {
    const factor = limit.high > 0 ? 255 / limit.high : 0;
    let from = slice.start;
    for (let row = 0; row < slice.rows; row += 1) {
      let to = (y + row) * sheet.width + x;
      for (let column = 0; column < slice.columns; column += 1, from += 1, to += 1) {
        const pattern = bits[from];
        if (isMissing(pattern)) {
          pixels[to] = MISSING;
          continue;
        }
        const place = HALF[pattern] * factor + 0.5;
        pixels[to] = palette[place >= 255 ? 255 : place < 0 ? 0 : place | 0];
      }
    }
  }

  function box(layer, head) {
    const { left, width, height, gap, columns, lines } = layout;
    const line = lines[layer] + Math.floor(head / columns);
    const place = head % columns;
    return { left: left + place * (width + gap), top: TOP + line * (height + gap), width, height };
  }

  function outline(rect, colour, line, grow) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(
      rect.left - grow, rect.top - grow, rect.width + 2 * grow, rect.height + 2 * grow,
    );
  }

  function labels(state, colours) {
    context.font = `11px ${colours.font}`;
    context.textBaseline = "middle";
    const every = (size) => Math.max(1, Math.ceil(15 / size));
    context.textAlign = "right";
    record.layers.forEach((entry, layer) => {
      const chosen = layer === state.layer;
      if (layer % every(layout.height) && !chosen) return;
      context.fillStyle = chosen ? colours.text : colours.faint;
      const rect = box(layer, 0);
      context.fillText(entry.label, layout.left - 6, rect.top + rect.height / 2);
      for (let head = layout.columns; head < entry.heads; head += layout.columns) {
        const next = box(layer, head);
        context.fillText(`+${head}`, layout.left - 6, next.top + next.height / 2);
      }
    });
    context.textAlign = "center";
    const step = every(layout.width * 0.6);
    const place = state.head % layout.columns;
    for (let head = 0; head < layout.columns; head += 1) {
      const chosen = head === place;
      const near = Math.abs(head - place) < step;
      if (!chosen && (head % step || near)) continue;
      context.fillStyle = chosen ? colours.text : colours.faint;
      const rect = box(0, head);
      context.fillText(`H${head}`, rect.left + rect.width / 2, TOP / 2);
    }
  }

  /** A head that is off is crossed out: its map is what it would attend to. */
  function cross(rect, colours) {
    context.strokeStyle = colours.text;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(rect.left, rect.top);
    context.lineTo(rect.left + rect.width, rect.top + rect.height);
    context.moveTo(rect.left + rect.width, rect.top);
    context.lineTo(rect.left, rect.top + rect.height);
    context.stroke();
  }

  function markers(state, colours) {
    for (const [layer, head] of record.off?.heads ?? []) {
      const rect = box(layer, head);
      context.fillStyle = colours.veil;
      context.fillRect(rect.left, rect.top, rect.width, rect.height);
      cross(rect, colours);
    }
    for (const name of state.chosen) {
      const [layer, head] = name.split(":").map(Number);
      if (layer < record.layers.length && head < record.layers[layer].heads) {
        outline(box(layer, head), colours.orange, 2, 1);
      }
    }
    const pointed = state.pointed;
    if (pointed) outline(box(pointed.layer, pointed.head), colours.text, 1, 1);
    outline(box(state.layer, state.head), colours.accent, 2, 1);
    if (state.cursor) mark(state.layer, state.head, state.cursor, colours, state.direction);
  }

  /** A small frame at the patch under the cursor, in the map of the chosen head. */
  function mark(layer, head, cursor, colours, direction) {
    const rect = box(layer, head);
    const grid = record.layers[layer][direction];
    const [row, column] = project(record, grid, cursor[0], cursor[1]);
    const wide = rect.width / grid.columns;
    const high = rect.height / grid.rows;
    const at = {
      left: rect.left + column * wide, top: rect.top + row * high, width: wide, height: high,
    };
    outline(at, "#ffffff", 1, 1.5);
  }

  return {
    /** Takes a record and the space it may use; returns the layout for tests and hit-testing. */
    fit(next, width, height) {
      record = next;
      const size = mapSize(record, width, height);
      layout = {
        left: gutter(record), top: TOP, gap: gapFor(record), ...size,
        columns: across(record), lines: linesOf(record),
      };
      sizeCanvas(canvas, width, height);
      return layout;
    },

    /** Colours the sheet from one row. */
    colour(bits, direction, limits, palette) {
      allocate(direction);
      record.layers.forEach((layer, l) => {
        for (let head = 0; head < layer.heads; head += 1) {
          const slice = mapSlice(record, l, head, direction);
          paintMap(bits, slice, head * slice.columns, places[l], limits[l][head], palette);
        }
      });
      sheetContext.putImageData(image, 0, 0);
    },

    /** Draws labels, maps and frames. */
    draw(state, colours) {
      const ratio = window.devicePixelRatio || 1;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, canvas.width / ratio, canvas.height / ratio);
      labels(state, colours);
      if (!image) return;
      context.imageSmoothingEnabled = false;
      record.layers.forEach((layer, l) => {
        const grid = layer[state.direction];
        for (let head = 0; head < layer.heads; head += 1) {
          const rect = box(l, head);
          context.drawImage(
            sheet, head * grid.columns, places[l], grid.columns, grid.rows,
            rect.left, rect.top, rect.width, rect.height,
          );
        }
      });
      markers(state, colours);
    },

    /** Which map, and which base patch in it, lies under a canvas position. */
    hit(x, y) {
      const { left, width, height, gap, columns, lines } = layout;
      const place = Math.floor((x - left) / (width + gap));
      const line = Math.floor((y - TOP) / (height + gap));
      if (place < 0 || place >= columns || line < 0 || line >= lines.at(-1)) return null;
      const layer = lines.findLastIndex((first) => first <= line);
      const head = (line - lines[layer]) * columns + place;
      if (head >= record.layers[layer].heads) return null;
      const rect = box(layer, head);
      const row = Math.floor(((y - rect.top) / height) * record.rows);
      const column = Math.floor(((x - rect.left) / width) * record.columns);
      const inside = row < record.rows && column < record.columns;
      return { layer, head, patch: inside ? [row, column] : null };
    },

    layout: () => layout,
    forget: () => { image = null; },
  };
}
