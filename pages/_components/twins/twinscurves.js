/** Curves by point: how far copies' patches are apart, and what the probe says of pairs. */
import { beginPlot, dotAt, niceTicks, yAxis } from "../heads/plot.js";

const EDGE = { left: 44, right: 12, top: 8, bottom: 34 };

/** The lines of the upper chart: a variant each. */
export function differenceLines(canvas, measure, colours) {
  const inks = [colours.orange, colours.accent];
  return canvas.variants.map((name, variant) => ({
    name, variant, ink: inks[variant], dash: variant ? [5, 4] : [], values: canvas.curves?.[measure][variant] ?? [],
  })).filter(({ values }) => values.some((value) => value !== null));
}

/** The lines of the lower chart: a kind of pair each, dashed without position embedding. */
export function chanceLines(canvas, colours) {
  const inks = [colours.series[3], colours.series[2], colours.series[0]].map((ink) => ink ?? colours.accent);
  return Object.entries(canvas.chances).flatMap(([kind, name], place) => canvas.variants.map((_, variant) => ({
    name, kind, variant, ink: inks[place], dash: variant ? [5, 4] : [], values: canvas.curves?.[kind][variant] ?? [],
  }))).filter(({ values }) => values.some((value) => value !== null));
}

export function createTwinsCurves(canvas, points) {
  let scaleX = null;
  let drawn = [];

  function xAxis({ context, width, height }, x, point, colours) {
    const bottom = height - EDGE.bottom;
    const step = (width - EDGE.left - EDGE.right) / Math.max(1, points - 1);
    const every = Math.max(1, Math.ceil(20 / step));
    context.textAlign = "center";
    for (let at = 0; at < points; at += every) {
      context.fillStyle = at === point ? colours.accent : colours.faint;
      context.fillText(String(at), x(at), bottom + 10);
    }
    context.fillStyle = colours.faint;
    context.fillText("point: 0 the embedding, l after l layers", (EDGE.left + width - EDGE.right) / 2, height - 7);
    context.strokeStyle = colours.accent;
    context.globalAlpha = 0.5;
    context.beginPath();
    context.moveTo(Math.round(x(point)) + 0.5, EDGE.top);
    context.lineTo(Math.round(x(point)) + 0.5, bottom);
    context.stroke();
    context.globalAlpha = 1;
  }

  function line(context, { values, ink, dash, name, variant }, x, y) {
    context.strokeStyle = ink;
    context.lineWidth = 1.8;
    context.setLineDash(dash);
    context.beginPath();
    let pen = false;
    values.forEach((value, point) => {
      if (value === null) { pen = false; return; }
      if (pen) context.lineTo(x(point), y(value));
      else context.moveTo(x(point), y(value));
      pen = true;
      drawn.push({ name, variant, point, x: x(point), y: y(value), ink });
    });
    context.stroke();
    context.setLineDash([]);
    context.lineWidth = 1;
  }

  return {
    /** @param {object[]} lines  @param {number | null} top of the axis; null for that of the values */
    draw(lines, top, state, old, colours) {
      const plot = beginPlot(canvas, colours);
      drawn = [];
      if (!plot || !lines.length) return;
      const { context, width, height } = plot;
      const highest = Math.max(...lines.flatMap(({ values }) => values.map((value) => value ?? 0)), 0);
      const high = top ?? (highest > 0 ? highest * 1.06 : 1);
      const bottom = height - EDGE.bottom;
      const x = (point) => EDGE.left + (point / Math.max(1, points - 1)) * (width - EDGE.left - EDGE.right);
      const y = (value) => bottom - (value / high) * (bottom - EDGE.top);
      scaleX = x;
      yAxis(context, niceTicks(0, high, 4), y, EDGE.left, width - EDGE.right, colours);
      xAxis(plot, x, state.point, colours);
      context.globalAlpha = old ? 0.4 : 1;
      for (const one of lines) line(context, one, x, y);
      const at = state.pointedPoint >= 0 ? state.pointedPoint : state.point;
      for (const dot of drawn) if (dot.point === at) dotAt(context, dot.x, dot.y, 3.2, dot.ink, colours.paper);
      context.globalAlpha = 1;
    },
    pointAt(x) {
      if (!scaleX) return -1;
      return [...Array(points).keys()].reduce((best, one) => (Math.abs(scaleX(one) - x) < Math.abs(scaleX(best) - x) ? one : best), 0);
    },
    dots: () => drawn.map(({ name, variant, point, x, y }) => ({ name, variant, point, x, y })),
  };
}

/** A table beside a chart: a row for each kind, a column for each variant, values at a point. */
export function createLegend(box, columns) {
  let rows = new Map();
  let shape = "";
  const cell = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });

  function build(lines) {
    const names = [...new Set(lines.map(({ name }) => name))];
    const head = [cell("span"), cell("span"), ...columns.map((title) => cell("small", title))];
    rows = new Map(names.map((name) => [name, { swatch: cell("i"), values: columns.map(() => cell("b")) }]));
    box.replaceChildren(...head, ...names.flatMap((name) => [rows.get(name).swatch, cell("span", name), ...rows.get(name).values]));
  }

  return {
    update(lines, point, columnOf, words) {
      const now = lines.map(({ name, variant }) => `${name} ${variant}`).join();
      if (now !== shape) build(lines);
      shape = now;
      for (const one of lines) {
        const row = rows.get(one.name);
        row.swatch.style.setProperty("--row", one.ink);
        row.swatch.classList.toggle("dashed", columns.length === 1 && one.variant === 1);
        row.values[columnOf(one)].textContent = words(one.values[point]);
      }
    },
  };
}
