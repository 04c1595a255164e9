/** Layers x heads, coloured by the mean of the chosen metric; layer 0 at the top. */
import { TOP_RANKS } from "./atlas.js";
import { hatch, shade } from "./plot.js";
import { sizeCanvas } from "../lens/geometry.js";

const HEADER = 18;
const EDGE_RIM = 3; // the frame around a chosen cell stands out of it
const CELL = { width: 50, height: 40 };

/** Where the cells lie when they may take `width` x `height` at most. */
function cellLayout(atlas, width, height) {
  const layers = atlas.layers.length;
  const left = layers > 10 ? 32 : 26;
  const gap = atlas.maxHeads > 8 || layers > 14 ? 2 : 3;
  const wide = (width - left - EDGE_RIM + gap) / atlas.maxHeads - gap;
  const high = (height - HEADER - EDGE_RIM + gap) / layers - gap;
  return {
    left, top: HEADER, gap,
    width: Math.max(5, Math.min(CELL.width, Math.floor(wide))),
    height: Math.max(5, Math.min(CELL.height, high)),
  };
}

/** Width that the matrix takes of at most `width`; its height has no say in it. */
export function gridWidth(atlas, width) {
  const cell = cellLayout(atlas, width, 0);
  return Math.ceil(cell.left + atlas.maxHeads * (cell.width + cell.gap) - cell.gap + EDGE_RIM);
}

/** @param {HTMLCanvasElement} canvas */
export function createGrid(canvas, atlas) {
  const context = canvas.getContext("2d");
  let layout = null;

  function box(head) {
    const [line, column] = atlas.heads[head];
    const { left, top, gap, width, height } = layout;
    return { x: left + column * (width + gap), y: top + line * (height + gap), width, height };
  }

  function frame(head, colour, line) {
    const { x, y, width, height } = box(head);
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x - 1, y - 1, width + 2, height + 2);
  }

  function labels(state, colours) {
    const every = (size) => Math.max(1, Math.ceil(13 / size));
    context.font = `11px ${colours.font}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    atlas.layers.forEach((layer, line) => {
      const chosen = line === state.layer;
      if (!chosen && line % every(layout.height + layout.gap)) return;
      context.fillStyle = chosen ? colours.text : colours.faint;
      const y = layout.top + line * (layout.height + layout.gap) + layout.height / 2;
      context.fillText(layer.label, layout.left - 7, y);
    });
    context.textAlign = "center";
    const wide = context.measureText(`H${atlas.maxHeads - 1}`).width + 4;
    const step = Math.max(1, Math.ceil(wide / (layout.width + layout.gap)));
    for (let column = 0; column < atlas.maxHeads; column += 1) {
      const chosen = column === state.head;
      const near = Math.abs(column - state.head) < step;
      if (!chosen && (column % step || near)) continue;
      context.fillStyle = chosen ? colours.text : colours.faint;
      const x = layout.left + column * (layout.width + layout.gap) + layout.width / 2;
      context.fillText(`H${column}`, x, HEADER / 2 - 1);
    }
  }

  /** Rank of the most important heads; a corner where a number has no room. */
  function rankMark(place, at, ink) {
    context.fillStyle = ink;
    if (at.width < 14 || at.height < 11) {
      context.fillRect(at.x + 1.5, at.y + 1.5, 3, 3);
      return;
    }
    context.fillText(String(place + 1), at.x + at.width / 2, at.y + at.height / 2 + 0.5);
  }

  /** A corner, top right, of a head that a search has found. */
  function cornerMark(at, ink) {
    const side = Math.max(4, Math.min(9, 0.35 * at.width));
    context.fillStyle = ink;
    context.beginPath();
    context.moveTo(at.x + at.width - side, at.y);
    context.lineTo(at.x + at.width, at.y);
    context.lineTo(at.x + at.width, at.y + side);
    context.fill();
  }

  function cells(state, summary, table, colours) {
    context.font = `600 ${layout.height < 14 ? 9 : 11}px ${colours.font}`;
    for (let head = 0; head < atlas.count; head += 1) {
      const at = box(head);
      const value = summary.mean[head];
      if (Number.isNaN(value)) {
        hatch(context, at.x, at.y, at.width, at.height, colours);
        if (state.found.heads.has(head)) cornerMark(at, colours.text);
        continue;
      }
      const { fill, ink } = shade(table, value, summary.bottom, summary.top);
      context.fillStyle = fill;
      context.fillRect(at.x, at.y, at.width, at.height);
      if (state.found.heads.has(head)) cornerMark(at, ink);
      const place = summary.rank[head];
      if (place >= 0 && place < TOP_RANKS) rankMark(place, at, ink);
    }
  }

  /** A bar through a head that is to be pruned, besides its frame. */
  function crossOut(head, colours) {
    const { x, y, width, height } = box(head);
    context.lineWidth = 1.5;
    context.strokeStyle = colours.orange;
    context.beginPath();
    context.moveTo(x, y + height);
    context.lineTo(x + width, y);
    context.stroke();
    frame(head, colours.orange, 1.5);
  }

  return {
    fit(width, height) {
      layout = cellLayout(atlas, width, height);
      sizeCanvas(canvas, width, height);
    },

    draw(state, summary, table, colours) {
      const ratio = window.devicePixelRatio || 1;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, canvas.width / ratio, canvas.height / ratio);
      labels(state, colours);
      cells(state, summary, table, colours);
      for (const name of state.set) crossOut(atlas.index.get(name), colours);
      if (state.pointed >= 0) {
        frame(state.pointed, colours.paper, 4);
        frame(state.pointed, colours.text, 1.5);
      }
      const chosen = atlas.headIndex(state.layer, state.head);
      frame(chosen, colours.paper, 4);
      frame(chosen, colours.accent, 2.5);
    },

    /** Index of the head under a position, or -1. */
    hit(x, y) {
      const { left, top, gap, width, height } = layout;
      const column = Math.floor((x - left) / (width + gap));
      const line = Math.floor((y - top) / (height + gap));
      return column < 0 || line < 0 ? -1 : atlas.headIndex(line, column);
    },

    /** Where the cells end, for what stands below. */
    bottom: () => layout.top + atlas.layers.length * (layout.height + layout.gap) + EDGE_RIM,
    layout: () => layout,
  };
}
