/** One number per head, by layer, for the row on screen: how far, how wide or how much. */
import { HALF } from "./half.js";
import { mapSlice, parsePatch, project } from "./record.js";
import { number } from "./scale.js";
import { sizeCanvas } from "./geometry.js";

const EDGE = { left: 34, right: 8, top: 22, bottom: 20 };
const SMALLEST = 96;

/** What is drawn for a query: mean distance, row entropy (no position) or the column's sum. */
function spreadKind(state) {
  if (state.direction === "from") return "received";
  return parsePatch(state.query) ? "distance" : "entropy";
}

const TITLES = {
  distance: "Mean distance in patches (prefix dropped); dots are heads",
  entropy: "Row entropy in nats; dots are heads",
  received: "Attention received from all queries; dots are heads",
};

function measure(kind, bits, slice, origin) {
  let sum = 0;
  let weighted = 0;
  const first = kind === "distance" ? slice.start : slice.first;
  const last = slice.first + slice.tokens;
  for (let i = first; i < last; i += 1) {
    const value = HALF[bits[i]];
    if (!(value > 0)) continue;
    sum += value;
    if (kind === "entropy") weighted -= value * Math.log(value);
    else if (kind === "distance") {
      const at = i - slice.start;
      const row = Math.floor(at / slice.columns);
      weighted += value * Math.hypot(row - origin[0], at - row * slice.columns - origin[1]);
    }
  }
  if (!sum) return NaN;
  if (kind === "received") return sum;
  return kind === "distance" ? weighted / sum : weighted;
}

/** Values by layer and head; NaN where the layer has no such query. */
export function spreadOf(record, state, bits) {
  const kind = spreadKind(state);
  const patch = parsePatch(state.query);
  return record.layers.map((layer, l) => {
    const origin = patch ? project(record, layer[state.direction], patch[0], patch[1]) : null;
    return Array.from({ length: layer.heads }, (_, h) =>
      measure(kind, bits, mapSlice(record, l, h, state.direction), origin));
  });
}

export function createSpread(canvas, record) {
  const context = canvas.getContext("2d");

  function axes(size, top, step, colours) {
    context.fillStyle = colours.faint;
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(size.height - EDGE.bottom - share * (size.height - EDGE.top - EDGE.bottom)) + 0.5;
      context.beginPath();
      context.moveTo(EDGE.left, y);
      context.lineTo(size.width - EDGE.right, y);
      context.stroke();
      context.fillText(number(top * share), EDGE.left - 6, y);
    }
    context.textAlign = "center";
    const every = Math.ceil(26 / step);
    record.layers.forEach((layer, l) => {
      if (l % every === 0) context.fillText(layer.label, EDGE.left + step * (l + 0.5), size.height - 8);
    });
  }

  return {
    draw(state, bits, colours) {
      const size = { width: canvas.parentElement.clientWidth, height: canvas.parentElement.clientHeight };
      canvas.hidden = size.height < SMALLEST;
      if (canvas.hidden) return;
      sizeCanvas(canvas, size.width, size.height);
      const ratio = window.devicePixelRatio || 1;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, size.width, size.height);
      context.font = `11px ${colours.font}`;
      const values = spreadOf(record, state, bits);
      const top = Math.max(...values.flat().filter((value) => !Number.isNaN(value)), 1e-6);
      const step = (size.width - EDGE.left - EDGE.right) / record.layers.length;
      axes(size, top, step, colours);
      context.textAlign = "left";
      context.fillText(TITLES[spreadKind(state)], 0, 8);
      const place = (l, value) => [
        EDGE.left + step * (l + 0.5),
        size.height - EDGE.bottom - (value / top) * (size.height - EDGE.top - EDGE.bottom),
      ];
      values.forEach((heads, l) => heads.forEach((value, h) => {
        if (Number.isNaN(value)) return;
        const chosen = l === state.layer && h === state.head;
        context.beginPath();
        context.arc(...place(l, value), chosen ? 5 : 2.6, 0, 7);
        context.fillStyle = chosen ? colours.accent : colours.dot;
        context.fill();
      }));
    },
  };
}
