/** A chart of the sweep: what is left of a measure the more of a part is changed. */
import { beginPlot, dotAt, niceTicks, plate, yAxis } from "../heads/plot.js";

const REMOVING_EDGE = { left: 48, right: 14, top: 8, bottom: 34 };
const AXIS_WORDS = {
  shuffle: "ratio of shuffled patches",
  inject: "alpha: 1 unchanged, 0 all patches at the mean",
};

export function createRemovingCurve(canvas, edit) {
  let drawn = [];
  let amounts = [];
  let scale = null;

  function xAxis({ context, width, height }, x, colours) {
    context.textAlign = "center";
    context.fillStyle = colours.faint;
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) context.fillText(String(tick), x(tick), height - REMOVING_EDGE.bottom + 11);
    context.fillText(AXIS_WORDS[edit], (REMOVING_EDGE.left + width - REMOVING_EDGE.right) / 2, height - 7);
  }

  function band(context, { dots, ink }, x, y) {
    const known = dots.filter(({ low }) => low !== null);
    if (known.length < 2) return;
    context.globalAlpha = 0.1;
    context.fillStyle = ink;
    context.beginPath();
    for (const { amount, high } of known) context.lineTo(x(amount), y(high));
    for (const { amount, low } of [...known].reverse()) context.lineTo(x(amount), y(low));
    context.fill();
    context.globalAlpha = 1;
  }

  /** Parts stand side by side at an amount, so that no interval hides another. */
  function line(context, { name, dots, ink }, shift, x, y, paper, strong) {
    context.strokeStyle = ink;
    context.lineWidth = strong ? 2.4 : 1.6;
    context.beginPath();
    for (const { amount, value } of dots) context.lineTo(x(amount), y(value));
    context.stroke();
    context.lineWidth = 1;
    for (const { amount, value, low, high } of dots) {
      const at = x(amount) + shift;
      if (low !== null && high !== low) {
        context.beginPath();
        context.moveTo(at, y(low));
        context.lineTo(at, y(high));
        context.stroke();
      }
      dotAt(context, at, y(value), strong ? 3.6 : 2.8, ink, paper);
      drawn.push({ name, edit, amount, value, x: at, y: y(value) });
    }
  }

  function baseline(context, clean, y, width, colours) {
    if (clean === null) return;
    const at = Math.round(y(clean)) + 0.5;
    context.strokeStyle = colours.text;
    context.globalAlpha = 0.75;
    context.setLineDash([5, 4]);
    context.beginPath();
    context.moveTo(REMOVING_EDGE.left, at);
    context.lineTo(width - REMOVING_EDGE.right, at);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  function mark(context, amount, x, bottom, colours, strong) {
    context.strokeStyle = colours.accent;
    context.globalAlpha = strong ? 0.55 : 0.3;
    context.beginPath();
    context.moveTo(Math.round(x(amount)) + 0.5, REMOVING_EDGE.top);
    context.lineTo(Math.round(x(amount)) + 0.5, bottom);
    context.stroke();
    context.globalAlpha = 1;
  }

  return {
    /** @param {object[]} lines of `linesOf`  @param {number[]} range of the vertical axis */
    draw(lines, range, clean, state, word, colours) {
      const plot = beginPlot(canvas, colours);
      drawn = [];
      if (!plot) return;
      const { context, width, height } = plot;
      const bottom = height - REMOVING_EDGE.bottom;
      const part = (amount) => (edit === "inject" ? 1 - amount : amount);
      const x = (amount) => REMOVING_EDGE.left + part(amount) * (width - REMOVING_EDGE.left - REMOVING_EDGE.right);
      const y = (value) => bottom - ((value - range[0]) / (range[1] - range[0])) * (bottom - REMOVING_EDGE.top);
      scale = { x, left: REMOVING_EDGE.left - 14, right: width };
      amounts = [...new Set(lines.flatMap(({ dots }) => dots.map(({ amount }) => amount)))];
      yAxis(context, niceTicks(...range, Math.max(2, Math.floor(height / 45))), y, REMOVING_EDGE.left, width - REMOVING_EDGE.right, colours);
      xAxis(plot, x, colours);
      if (state.step?.edit === edit) mark(context, state.step.amount, x, bottom, colours, true);
      else if (state.edit === edit) mark(context, state.amount, x, bottom, colours, false);
      for (const one of lines) band(context, one, x, y);
      baseline(context, clean, y, width, colours);
      const order = [...lines].sort((a, b) => (a.name === state.part) - (b.name === state.part));
      for (const one of order) line(context, one, 3 * (lines.indexOf(one) - (lines.length - 1) / 2), x, y, colours.paper, one.name === state.part);
      if (word) plate(context, word, REMOVING_EDGE.left + 12, (REMOVING_EDGE.top + bottom) / 2, width, colours, colours.faint);
    },
    /** The measured amount nearest to a position; null off the chart, or where there is none. */
    amountAt(x) {
      if (!scale || !amounts.length || x < scale.left || x > scale.right) return null;
      return amounts.reduce((best, one) => (Math.abs(scale.x(one) - x) < Math.abs(scale.x(best) - x) ? one : best));
    },
    /** The part whose dot lies close to a position, or null. */
    partAt(x, y) {
      const near = drawn.map((dot) => ({ ...dot, far: Math.hypot(dot.x - x, dot.y - y) })).sort((a, b) => a.far - b.far)[0];
      return near && near.far < 12 ? near.name : null;
    },
    dots: () => drawn,
  };
}
