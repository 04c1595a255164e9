/** What stays when the picture is shifted: attention by layer, the prediction by shift. */
import { number } from "../lens/scale.js";
import { beginPlot, dotAt, niceTicks, plate, yAxis } from "../heads/plot.js";
import { axisRoom } from "./faithful.js";
import { namedLayers, widthOfLabels } from "./sinklife.js";

const SHIFT_EDGE = { right: 4, top: 8, bottom: 31, between: 22 };
const SHARE = 0.58; // of the width for the layers

/** "1 down", "4 right", "8 down 8 right". */
export function shiftWords([down, right]) {
  return [down ? `${down} down` : "", right ? `${right} right` : ""].filter(Boolean).join(" ");
}

export function createShiftLines(canvas, evidence) {
  const { shift } = evidence;
  let place = null;

  function lowest() {
    const known = [...(shift?.agreement ?? []).flat(), ...(shift?.cosine ?? [])].filter((value) => value !== null);
    const low = Math.min(1, ...known);
    return low < 0 ? Math.max(-1, low) : Math.min(0.9, Math.max(0, Math.floor((low - 0.04) * 10) / 10));
  }

  function meanOfLayer(layer) {
    const known = shift.agreement.map((one) => one[layer]).filter((value) => value !== null);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  }

  function line(context, values, x, y, ink, wide) {
    context.strokeStyle = ink;
    context.lineWidth = wide;
    context.beginPath();
    let open = false;
    values.forEach((value, layer) => {
      if (value === null) { open = false; return; }
      if (open) context.lineTo(x(layer), y(value));
      else context.moveTo(x(layer), y(value));
      open = true;
    });
    context.stroke();
  }

  function attention(context, state, y, bottom, left, right, colours) {
    const step = (right - left) / evidence.layers.length;
    const x = (layer) => left + (layer + 0.5) * step;
    context.textAlign = "center";
    const room = widthOfLabels(context, evidence.layers);
    for (const { label, layer, own } of namedLayers(evidence.layers, state.layer, room, step)) {
      context.fillStyle = own ? colours.text : colours.faint;
      context.fillText(label, x(layer), bottom + 9);
    }
    context.fillStyle = colours.faint;
    context.fillText("attention by layer (cosine)", (left + right) / 2, bottom + 23);
    shift.agreement.forEach((values, i) => { if (i !== state.shift) line(context, values, x, y, colours.pale, 1); });
    line(context, evidence.layers.map((_, layer) => meanOfLayer(layer)), x, y, colours.text, 2);
    if (state.shift >= 0) line(context, shift.agreement[state.shift], x, y, colours.orange, 2);
    const mean = meanOfLayer(state.layer);
    if (mean !== null) dotAt(context, x(state.layer), y(mean), 4, colours.accent, colours.paper);
    return { left, step };
  }

  function prediction(context, state, y, bottom, left, right, colours) {
    const step = (right - left) / shift.shifts.length;
    const x = (i) => left + (i + 0.5) * step;
    shift.cosine.forEach((value, i) => {
      if (value === null) return;
      const other = shift.same_class && !shift.same_class[i];
      const ink = i === state.shift ? colours.orange : colours.text;
      context.lineWidth = 1.5;
      dotAt(context, x(i), y(value), 4, other ? colours.paper : ink, ink);
    });
    context.fillStyle = colours.faint;
    context.textAlign = "center";
    const names = shift.shifts.map(([down, across]) => `${down},${across}`);
    for (const { label, layer: i } of namedLayers(names, state.shift, widthOfLabels(context, names) + 2, step)) {
      context.fillText(label, x(i), bottom + 9);
    }
    context.fillText("prediction by shift", (left + right) / 2, bottom + 23);
    return { left, step };
  }

  return {
    draw(state, colours) {
      place = null;
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      if (!shift) {
        context.fillStyle = colours.faint;
        context.textAlign = "center";
        context.fillText("not measured: see the notes", width / 2, height / 2);
        return;
      }
      const bottom = height - SHIFT_EDGE.bottom;
      const low = lowest();
      const y = (value) => bottom - ((value - low) / (1 - low)) * (bottom - SHIFT_EDGE.top);
      const ticks = niceTicks(low, 1, Math.max(2, Math.min(5, Math.floor((bottom - 8) / 24))));
      const left = axisRoom(context, ticks);
      const middle = left + (width - left) * SHARE;
      const right = width - SHIFT_EDGE.right;
      yAxis(context, ticks, y, left, right, colours);
      const layers = attention(context, state, y, bottom, left, middle, colours);
      const shifts = prediction(context, state, y, bottom, middle + SHIFT_EDGE.between, right, colours);
      place = { layers, shifts, middle };
      if (state.shift >= 0) {
        const kept = shift.same_class ? `, ${shift.same_class[state.shift] ? "same" : "other"} class` : "";
        const words = `${shiftWords(shift.shifts[state.shift])}: ${number(shift.cosine[state.shift])}${kept}`;
        plate(context, words, shifts.left + state.shift * shifts.step - 70, bottom - 12, width, colours);
      }
    },

    /** {layer, shift, label} under a position; -1 for none. */
    hit(x, y) {
      if (!place) return { layer: -1, shift: -1, label: false };
      const layer = Math.floor((x - place.layers.left) / place.layers.step);
      const known = x < place.middle && layer >= 0 && layer < evidence.layers.length ? layer : -1;
      const found = Math.floor((x - place.shifts.left) / place.shifts.step);
      const inside = x >= place.shifts.left && found < shift.shifts.length;
      const below = canvas.clientHeight - SHIFT_EDGE.bottom;
      return { layer: known, shift: inside ? found : -1, label: known >= 0 && y > below };
    },
  };
}
