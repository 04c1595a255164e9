/** Norm of every token after every layer: rows are layers, prefix tokens first, then patches.
 *
 * On the same scale all layers share one, which is a log scale as norms grow; on their own
 * scale each layer goes from its smallest to its 99.5th percentile.
 */
import { limitsOf, number } from "../lens/scale.js";
import { beginPlot, shade } from "../heads/plot.js";
import { kindOfToken } from "./evidence.js";
import { namedLayers } from "./sinklife.js";
import { KIND_INK } from "./sinkmap.js";

const BAND_EDGE = { left: 28, top: 9, bottom: 16, right: 2 };
const PREFIX = 9; // width of a prefix token
const GAP = 5;
const KEY_WIDE = 56;

/** Smallest norm and 99.5th percentile; `max` is the largest. NaN where there is none. */
function normLimits(norms) {
  const known = norms.filter((value) => Number.isFinite(value));
  const { high, max } = limitsOf(known);
  let low = Infinity;
  for (const value of known) low = Math.min(low, value);
  return { low: known.length ? low : NaN, high, max };
}

export function createNormBand(canvas, evidence) {
  const whole = normLimits(evidence.tables.norms);
  const { low, high, max } = whole;
  const limits = evidence.layers.map((_, layer) => normLimits(evidence.rowOf("norms", layer)));
  const sheet = document.createElement("canvas");
  let place = null;
  let painted = "";

  /** Place of a norm of a layer on the colours, 0 to 1. */
  function placeOf(value, layer, scaling) {
    if (scaling === "own") return (value - limits[layer].low) / (limits[layer].high - limits[layer].low || 1);
    return Math.log(Math.max(value, 1e-12) / Math.max(low, 1e-12)) / Math.log(Math.max(high, 1e-12) / Math.max(low, 1e-12) || Math.E);
  }

  function inkOf(value, layer, scaling, table) {
    return Number.isFinite(value) ? shade(table, placeOf(value, layer, scaling), 0, 1).fill : "rgb(148, 152, 160)";
  }

  /** One column for each patch, or for as many as there are pixels: the largest of several. */
  function paint(columns, scaling, table) {
    const key = `${columns} ${scaling}`;
    if (painted === key) return;
    painted = key;
    sheet.width = columns;
    sheet.height = evidence.layers.length;
    const context = sheet.getContext("2d");
    for (let layer = 0; layer < evidence.layers.length; layer += 1) {
      const row = evidence.rowOf("norms", layer);
      for (let column = 0; column < columns; column += 1) {
        const from = Math.floor((column * evidence.patches) / columns);
        const to = Math.max(from + 1, Math.floor(((column + 1) * evidence.patches) / columns));
        let value = NaN;
        for (let patch = from; patch < to; patch += 1) {
          const own = row[evidence.ahead + patch];
          if (!(value >= own)) value = own;
        }
        context.fillStyle = inkOf(value, layer, scaling, table);
        context.fillRect(column, layer, 1, 1);
      }
    }
  }

  function xOf(token) {
    if (token < evidence.ahead) return BAND_EDGE.left + (token + 0.5) * PREFIX;
    return place.start + ((token - evidence.ahead + 0.5) / evidence.patches) * place.wide;
  }

  function marks(context, state, row, colours) {
    for (const one of evidence.massive) {
      const token = tokenOfName(evidence, one.token);
      if (token < 0) continue;
      const x = xOf(token);
      const y = BAND_EDGE.top + (one.layer + 0.5) * row;
      context.strokeStyle = colours.orange;
      context.lineWidth = 1.5;
      context.strokeRect(x - 4, y - 4, 8, 8);
    }
    if (state.pointed < 0) return;
    const x = Math.round(xOf(state.pointed)) + 0.5;
    context.strokeStyle = colours.text;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, BAND_EDGE.top - 6);
    context.lineTo(x, BAND_EDGE.top + evidence.layers.length * row + 4);
    context.stroke();
  }

  return {
    draw(state, tables, colours) {
      place = null;
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      if (Number.isNaN(low)) {
        context.fillStyle = colours.faint;
        context.textAlign = "center";
        context.fillText("this model does not give its tokens after each layer", width / 2, height / 2);
        return;
      }
      const layers = evidence.layers.length;
      const row = (height - BAND_EDGE.top - BAND_EDGE.bottom) / layers;
      const start = BAND_EDGE.left + evidence.ahead * PREFIX + (evidence.ahead ? GAP : 0);
      const wide = Math.max(1, width - BAND_EDGE.right - start);
      place = { row, start, wide };
      paint(Math.min(evidence.patches, Math.floor(wide)), state.scaling, tables.norms);
      context.imageSmoothingEnabled = false;
      context.drawImage(sheet, start, BAND_EDGE.top, wide, row * layers);
      for (let token = 0; token < evidence.ahead; token += 1) {
        const left = BAND_EDGE.left + token * PREFIX;
        for (let layer = 0; layer < layers; layer += 1) {
          const value = evidence.rowOf("norms", layer)[token];
          context.fillStyle = inkOf(value, layer, state.scaling, tables.norms);
          context.fillRect(left, BAND_EDGE.top + layer * row, PREFIX - 1, row);
        }
        context.fillStyle = colours[KIND_INK[kindOfToken(evidence, token)]];
        context.fillRect(left, BAND_EDGE.top - 4, PREFIX - 1, 3);
      }
      context.fillStyle = colours.orange;
      context.fillRect(start, BAND_EDGE.top - 4, wide, 3);
      axes(context, state, row, start, wide, tables.norms, colours);
      context.strokeStyle = colours.accent;
      context.lineWidth = 2;
      context.strokeRect(BAND_EDGE.left - 1, BAND_EDGE.top + state.layer * row, width - BAND_EDGE.left - 1, row);
      marks(context, state, row, colours);
    },

    hit(x, y) {
      const none = { layer: -1, token: -1, label: false };
      if (!place) return none;
      const layer = Math.floor((y - BAND_EDGE.top) / place.row);
      const known = layer >= 0 && layer < evidence.layers.length ? layer : -1;
      if (x < BAND_EDGE.left) return { layer: known, token: -1, label: known >= 0 };
      const ahead = Math.floor((x - BAND_EDGE.left) / PREFIX);
      if (ahead < evidence.ahead) return { layer: known, token: known < 0 ? -1 : ahead, label: false };
      const patch = Math.floor(((x - place.start) / place.wide) * evidence.patches);
      const inside = known >= 0 && patch >= 0 && patch < evidence.patches;
      return { layer: known, token: inside ? evidence.ahead + patch : -1, label: false };
    },
  };

  function axes(context, state, row, start, wide, table, colours) {
    context.textAlign = "right";
    for (const { label, layer, own } of namedLayers(evidence.layers, state.layer, 12, row)) {
      context.fillStyle = own ? colours.text : colours.faint;
      context.fillText(label, BAND_EDGE.left - 5, BAND_EDGE.top + (layer + 0.5) * row);
    }
    const below = BAND_EDGE.top + row * evidence.layers.length + 9;
    context.fillStyle = colours.faint;
    const end = legend(context, start + wide, below, state.scaling, table, colours);
    const words = "patches, row by row";
    if (start + context.measureText(words).width + 8 < end) {
      context.textAlign = "left";
      context.fillText(words, start, below);
    }
  }

  /** A small colour bar with its ends, from the right; where it begins. */
  function legend(context, right, y, scaling, table, colours) {
    const own = scaling === "own";
    const top = own ? "highest of each layer" : `${number(high)}, log scale; largest ${number(max)}`;
    context.textAlign = "right";
    context.fillText(top, right, y);
    const end = right - context.measureText(top).width - 5;
    for (let i = 0; i < KEY_WIDE; i += 1) {
      context.fillStyle = shade(table, i / (KEY_WIDE - 1), 0, 1).fill;
      context.fillRect(end - KEY_WIDE + i, y - 4, 1, 7);
    }
    context.fillStyle = colours.faint;
    const first = own ? "lowest" : number(low);
    context.fillText(first, end - KEY_WIDE - 5, y);
    return end - KEY_WIDE - 5 - context.measureText(first).width;
  }
}

/** Place of a token by its name, -1 for none. */
function tokenOfName(evidence, name) {
  const ahead = evidence.prefix.indexOf(name);
  if (ahead >= 0) return ahead;
  const [row, column] = name.split(",").map(Number);
  const known = row >= 0 && column >= 0 && row < evidence.rows && column < evidence.columns;
  return known ? evidence.ahead + row * evidence.columns + column : -1;
}
