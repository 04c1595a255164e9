/** The life of every sink across layers: rows are tokens, columns layers. */
import { number } from "../lens/scale.js";
import { beginPlot, dotAt, shade } from "../heads/plot.js";
import { kindOfToken, nameOfToken, sinksOf } from "./evidence.js";
import { hatchSink, linearPlace } from "./ground.js";
import { KIND_INK, receivedShown } from "./sinkmap.js";

const LIFE_EDGE = { left: 50, top: 17, bottom: 3, right: 2 };
const ROW_MOST = 20;
const ROW_LEAST = 11;

/** Layers that are named: as many as have room without touching, the chosen one among them. */
export function namedLayers(labels, chosen, room, step) {
  const every = Math.max(1, Math.ceil(room / step));
  return labels.map((label, layer) => ({ label, layer, own: layer === chosen }))
    .filter(({ layer, own }) => own || (layer % every === 0 && (chosen < 0 || Math.abs(layer - chosen) >= every)));
}

/** Width of the longest name of a layer, with a gap. */
export function widthOfLabels(context, labels) {
  return Math.max(...labels.map((label) => context.measureText(label).width)) + 5;
}

export function createSinkLife(canvas, evidence, scale) {
  let place = null;

  function head(context, state, step, colours) {
    context.textAlign = "center";
    const room = widthOfLabels(context, evidence.layers);
    for (const { label, layer, own } of namedLayers(evidence.layers, state.layer, room, step)) {
      context.fillStyle = own ? colours.text : colours.faint;
      const last = canvas.clientWidth - context.measureText(label).width / 2;
      context.fillText(label, Math.min(last, LIFE_EDGE.left + (layer + 0.5) * step), 7);
    }
  }

  function empty(context, width, height, state, colours) {
    context.fillStyle = colours.faint;
    context.textAlign = "center";
    context.fillText("no token receives more than", width / 2, height / 2 - 8);
    context.fillText(`${number(state.threshold)} × uniform in any layer`, width / 2, height / 2 + 8);
  }

  return {
    draw(state, changed, tables, colours) {
      place = null;
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      const sinks = sinksOf(evidence, state.threshold);
      const step = (width - LIFE_EDGE.left - LIFE_EDGE.right) / evidence.layers.length;
      head(context, state, step, colours);
      if (!sinks.length) {
        place = { step, rows: [], row: 1 };
        empty(context, width, height, state, colours);
        return;
      }
      const room = height - LIFE_EDGE.top - LIFE_EDGE.bottom;
      const fits = Math.max(1, Math.floor(room / ROW_LEAST));
      const rest = sinks.length > fits ? sinks.length - (fits - 1) : 0;
      const rows = rest ? sinks.slice(0, fits - 1) : sinks;
      const row = Math.min(ROW_MOST, Math.floor((room - (rest ? ROW_LEAST : 0)) / rows.length));
      place = { step, rows, row };
      const signed = state.shown === "change" && Boolean(changed);
      const table = signed ? tables.signed : tables.maps;
      const shown = evidence.layers.map((_, layer) => receivedShown(evidence, changed, state, layer));
      let reach = 1e-9;
      if (signed) for (const { token } of rows) for (const values of shown) reach = Math.max(reach, Math.abs(values[token]) || 0);
      const placeOf = signed ? linearPlace(-reach, reach) : scale.place;
      rows.forEach(({ token }, i) => {
        const top = LIFE_EDGE.top + i * row;
        const pointed = token === state.pointed;
        dotAt(context, 5, top + row / 2, 3, colours[KIND_INK[kindOfToken(evidence, token)]], null);
        context.textAlign = "left";
        context.fillStyle = pointed ? colours.text : colours.faint;
        context.fillText(nameOfToken(evidence, token), 12, top + row / 2);
        for (let layer = 0; layer < evidence.layers.length; layer += 1) {
          const value = shown[layer][token];
          const left = LIFE_EDGE.left + layer * step;
          const box = [left + 0.5, top + 0.5, step - 1, row - 1];
          context.fillStyle = Number.isFinite(value) ? shade(table, placeOf(value), 0, 1).fill : colours.missing;
          context.fillRect(...box);
          if (evidence.rowOf("received", layer)[token] > state.threshold) hatchSink(context, ...box);
        }
        if (!pointed) return;
        context.strokeStyle = colours.text;
        context.lineWidth = 1.5;
        context.strokeRect(LIFE_EDGE.left, top, evidence.layers.length * step, row);
      });
      if (rest) {
        context.fillStyle = colours.faint;
        context.textAlign = "left";
        context.fillText(`and ${rest} more with less`, 0, LIFE_EDGE.top + rows.length * row + 7);
      }
      context.strokeStyle = colours.accent;
      context.lineWidth = 2;
      context.strokeRect(LIFE_EDGE.left + state.layer * step, LIFE_EDGE.top - 0.5, step, rows.length * row + 1);
    },

    /** {layer, token, label}: what lies under a position; -1 for none. `label` is a layer's name. */
    hit(x, y) {
      const none = { layer: -1, token: -1, label: false };
      if (!place) return none;
      const layer = Math.floor((x - LIFE_EDGE.left) / place.step);
      const known = layer >= 0 && layer < evidence.layers.length;
      const line = Math.floor((y - LIFE_EDGE.top) / place.row);
      const token = line >= 0 ? place.rows[line]?.token ?? -1 : -1;
      return { layer: known ? layer : -1, token, label: known && y < LIFE_EDGE.top };
    },
  };
}
