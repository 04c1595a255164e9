/** Small curves by point of the residual stream; a click chooses the point. */
import { beginPlot, dotAt, niceTicks, yAxis } from "../heads/plot.js";

const LINES_EDGE = { left: 36, right: 10, top: 8, bottom: 32 };

/** @param {number[]} points */
export function createPointLines(canvas, points) {
  let across = null;

  function drawPoints(plot, x, state, colours) {
    const { context, width, height } = plot;
    const bottom = height - LINES_EDGE.bottom;
    const step = (width - LINES_EDGE.left - LINES_EDGE.right) / Math.max(1, points.length - 1);
    const every = Math.max(1, Math.ceil(18 / step));
    context.textAlign = "center";
    points.forEach((point, i) => {
      if (i % every) return;
      context.fillStyle = point === state.point ? colours.accent : colours.faint;
      context.fillText(String(point), x(i), bottom + 9);
    });
    context.fillStyle = colours.faint;
    context.fillText("point", (LINES_EDGE.left + width - LINES_EDGE.right) / 2, height - 7);
    const at = Math.round(x(Math.max(0, points.indexOf(state.point)))) + 0.5;
    context.strokeStyle = colours.accent;
    context.globalAlpha = 0.5;
    context.beginPath();
    context.moveTo(at, LINES_EDGE.top);
    context.lineTo(at, bottom);
    context.stroke();
    context.globalAlpha = 1;
  }

  return {
    /** @param {{values: (number|null)[], ink: string, dash?: number[], strong?: boolean}[]} lines
     *  @param {number[]} limits lowest and highest value, at least */
    draw(lines, limits, state, colours) {
      const plot = beginPlot(canvas, colours);
      across = null;
      const known = lines.flatMap((line) => line.values.filter((value) => value !== null));
      if (!plot || !known.length) return;
      const { context, width, height } = plot;
      const low = Math.min(limits[0], ...known);
      const high = Math.max(limits[1], ...known);
      const bottom = height - LINES_EDGE.bottom;
      const x = (i) => LINES_EDGE.left + (i / Math.max(1, points.length - 1)) * (width - LINES_EDGE.left - LINES_EDGE.right);
      const y = (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - LINES_EDGE.top);
      across = x;
      yAxis(context, niceTicks(low, high, 4), y, LINES_EDGE.left, width - LINES_EDGE.right, colours);
      drawPoints(plot, x, state, colours);
      for (const { values, ink, dash, strong } of lines) {
        context.strokeStyle = ink;
        context.lineWidth = strong ? 2.4 : 1.4;
        context.setLineDash(dash ?? []);
        context.beginPath();
        values.forEach((value, i) => { if (value !== null) context.lineTo(x(i), y(value)); });
        context.stroke();
        context.setLineDash([]);
        context.lineWidth = 1;
        const at = points.indexOf(state.pointedPoint >= 0 ? state.pointedPoint : state.point);
        if (!dash && values[at] !== null && values[at] !== undefined) dotAt(context, x(at), y(values[at]), strong ? 3.6 : 2.6, ink, colours.paper);
      }
    },
    /** The point nearest to a position, or -1. */
    pointAt(px) {
      if (!across) return -1;
      return points.reduce((best, one, i) => (Math.abs(across(i) - px) < Math.abs(across(points.indexOf(best)) - px) ? one : best), points[0]);
    },
  };
}
