/** Curves of probes and controls by point, baselines as lines, the chosen probe with its interval. */
import { beginPlot, dotAt, niceTicks, yAxis } from "../heads/plot.js";
import { titleOfRow } from "./rowwords.js";

const EDGE = { left: 44, right: 12, top: 8, bottom: 34 };
const CURVE_REACH = 10;

/** A colour for every row: probes take the series in turn, controls are pale, baselines grey. */
export function rowColours(fits, colours) {
  let number = 0;
  return new Map(fits.rows.map(({ name, kind }) => {
    if (kind === "control") return [name, colours.pale];
    if (kind === "baseline") return [name, colours.faint];
    number += 1;
    return [name, number === 1 ? colours.orange : colours.series[(number - 2) % colours.series.length]];
  }));
}

export function createProbeCurve(canvas, fits) {
  let drawn = [];
  let scaleX = null;

  function known(measure) {
    return fits.rows.filter(({ curves }) => curves[measure].some(([value]) => value !== null));
  }

  function limitsOfRows(rows, state) {
    const values = rows.flatMap(({ name, curves }) => curves[state.measure].flatMap((one) => (name === state.probe ? one : [one[0]])));
    const numbers = values.filter((value) => value !== null);
    const chance = fits.measures.find((one) => one.name === state.measure)?.chance;
    if (chance !== null && chance !== undefined) numbers.push(chance);
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    const room = Math.max(0.02, (high - low) * 0.06);
    return [low - room, Math.min(1, high + room)];
  }

  function xAxis(plot, x, state, colours) {
    const { context, width, height } = plot;
    const bottom = height - EDGE.bottom;
    const step = (width - EDGE.left - EDGE.right) / Math.max(1, fits.points - 1);
    const every = Math.max(1, Math.ceil(20 / step));
    context.textAlign = "center";
    for (let point = 0; point < fits.points; point += every) {
      context.fillStyle = point === state.point ? colours.accent : colours.faint;
      context.fillText(String(point), x(point), bottom + 10);
    }
    context.fillStyle = colours.faint;
    context.fillText("point: 0 the embedding, l after l layers", (EDGE.left + width - EDGE.right) / 2, height - 7);
    context.strokeStyle = colours.accent;
    context.globalAlpha = 0.5;
    context.beginPath();
    context.moveTo(Math.round(x(state.point)) + 0.5, EDGE.top);
    context.lineTo(Math.round(x(state.point)) + 0.5, bottom);
    context.stroke();
    context.globalAlpha = 1;
  }

  function band(context, curve, x, y, ink) {
    const ends = curve.map(([, low, high], point) => [point, low, high]).filter(([, low]) => low !== null);
    if (ends.length < 2) return;
    context.globalAlpha = 0.16;
    context.fillStyle = ink;
    context.beginPath();
    ends.forEach(([point, low]) => context.lineTo(x(point), y(low)));
    ends.reverse().forEach(([point, , high]) => context.lineTo(x(point), y(high)));
    context.fill();
    context.globalAlpha = 1;
  }

  function line(context, row, curve, x, y, ink, wide) {
    context.strokeStyle = ink;
    context.lineWidth = wide;
    context.setLineDash(row.kind === "baseline" ? [5, 4] : []);
    context.beginPath();
    let pen = false;
    curve.forEach(([value], point) => {
      if (value === null) { pen = false; return; }
      if (pen) context.lineTo(x(point), y(value));
      else context.moveTo(x(point), y(value));
      pen = true;
      drawn.push({ name: row.name, point, x: x(point), y: y(value) });
    });
    context.stroke();
    context.setLineDash([]);
    context.lineWidth = 1;
    if (row.kind !== "baseline") return;
    context.textAlign = "left";
    context.fillStyle = ink;
    context.fillText(titleOfRow(row.name, row.kind).replace(/:.*/, ""), x(0) + 4, y(curve[0][0]) - 7);
  }

  return {
    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      const rows = known(state.measure);
      if (!plot || !rows.length) return;
      const { context, width, height } = plot;
      const [low, high] = limitsOfRows(rows, state);
      const bottom = height - EDGE.bottom;
      const x = (point) => EDGE.left + (point / Math.max(1, fits.points - 1)) * (width - EDGE.left - EDGE.right);
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - EDGE.top);
      const inks = rowColours(fits, colours);
      scaleX = x;
      drawn = [];
      yAxis(context, niceTicks(low, high, 5), y, EDGE.left, width - EDGE.right, colours);
      xAxis(plot, x, state, colours);
      const strong = state.pointedRow || state.probe;
      for (const row of rows) if (row.name === strong) band(context, row.curves[state.measure], x, y, inks.get(row.name));
      for (const row of rows) line(context, row, row.curves[state.measure], x, y, inks.get(row.name), row.name === strong ? 2.6 : 1.3);
      const at = state.pointedPoint >= 0 ? state.pointedPoint : state.point;
      for (const dot of drawn) if (dot.point === at) dotAt(context, dot.x, dot.y, dot.name === strong ? 4 : 2.4, inks.get(dot.name), colours.paper);
    },
    /** The point and row nearest to a position. */
    hit(x, y) {
      if (!scaleX) return { point: -1, row: "" };
      const point = [...Array(fits.points).keys()].reduce((best, one) => (Math.abs(scaleX(one) - x) < Math.abs(scaleX(best) - x) ? one : best), 0);
      const near = drawn.filter((dot) => dot.point === point).sort((a, b) => Math.abs(a.y - y) - Math.abs(b.y - y))[0];
      return { point, row: near && Math.abs(near.y - y) < CURVE_REACH ? near.name : "" };
    },
    dots: () => drawn,
  };
}
