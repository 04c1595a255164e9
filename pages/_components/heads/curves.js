/** Quality against the number of heads removed, least important first, beside random order. */
import { number } from "../lens/scale.js";
import { beginPlot, dotAt, niceTicks, plate, yAxis } from "./plot.js";

const CURVES_EDGE = { left: 40, right: 12, top: 10, bottom: 34 };
const LEGEND_LINE = 15;
const SMALLEST_CHART = 160;

export function createCurves(canvas, atlas) {
  const { curves } = atlas;
  let scaleX = null;
  let at = -1; // place on the axis under the pointer

  const names = curves ? Object.keys(curves.metrics) : [];
  const titleOf = (name) => atlas.metrics.find((one) => one.name === name)?.title ?? name;

  function limitsY() {
    const all = [...Object.values(curves.metrics), curves.random?.low, curves.random?.high]
      .flat().filter((value) => value !== null && value !== undefined);
    const low = Math.min(...all);
    const high = Math.max(...all);
    const room = (high - low || 1) * 0.05;
    return [low < 0 ? low - room : Math.max(0, low - room), high + room];
  }

  function path(context, values, x, y) {
    context.beginPath();
    let open = false;
    values.forEach((value, i) => {
      if (value === null) { open = false; return; }
      if (open) context.lineTo(x(curves.removed[i]), y(value));
      else context.moveTo(x(curves.removed[i]), y(value));
      open = true;
    });
  }

  function randomBand(context, x, y, colours) {
    if (!curves.random) return;
    const { low, high, mean } = curves.random;
    context.beginPath();
    curves.removed.forEach((removed, i) => context.lineTo(x(removed), y(high[i] ?? mean[i])));
    for (let i = curves.removed.length - 1; i >= 0; i -= 1) {
      context.lineTo(x(curves.removed[i]), y(low[i] ?? mean[i]));
    }
    context.closePath();
    context.fillStyle = colours.spread;
    context.fill();
    path(context, mean, x, y);
    context.setLineDash([4, 3]);
    context.strokeStyle = colours.faint;
    context.stroke();
    context.setLineDash([]);
  }

  /** Names below the axis, in as many columns as there is room for; in a low chart the chosen
   * metric's only. */
  function legendLayout(context, width, height, state) {
    const all = legendColumns(context, width, names);
    if (height - all.lines * LEGEND_LINE >= SMALLEST_CHART) return all;
    return legendColumns(context, width, names.filter((name) => name === state.metric));
  }

  function legendColumns(context, width, shown) {
    const entries = [...shown.map((name) => [name, titleOf(name)]), ...(curves.random ? [["", "random order"]] : [])];
    const wide = Math.max(0, ...entries.map(([, text]) => context.measureText(text).width)) + 52;
    const columns = Math.max(1, Math.min(entries.length, Math.floor((width - 4) / wide)));
    return { entries, columns, wide: (width - 4) / columns, lines: Math.ceil(entries.length / columns) };
  }

  function colourOf(name, colours) {
    return colours.series[names.indexOf(name) % colours.series.length];
  }

  /** More metrics than colours: the second round is dashed. */
  function dashOf(name, colours) {
    return names.indexOf(name) < colours.series.length ? [] : [7, 2];
  }

  function legend(context, layout, top, state, colours) {
    layout.entries.forEach(([name, text], i) => {
      const left = 2 + (i % layout.columns) * layout.wide;
      const y = top + Math.floor(i / layout.columns) * LEGEND_LINE;
      const own = name ? colourOf(name, colours) : colours.faint;
      context.strokeStyle = own;
      context.lineWidth = name === state.metric ? 3 : 1.5;
      context.setLineDash(name ? dashOf(name, colours) : [4, 3]);
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(left + 14, y);
      context.stroke();
      context.setLineDash([]);
      context.textAlign = "left";
      context.fillStyle = name === state.metric ? colours.text : colours.faint;
      context.fillText(text, left + 19, y);
      const list = name ? curves.metrics[name] : curves.random.mean;
      if (at < 0) return;
      context.textAlign = "right";
      context.fillStyle = colours.text;
      context.fillText(number(list[at]), left + layout.wide - 8, y);
    });
  }

  return {
    draw(state, colours) {
      const plot = curves ? beginPlot(canvas, colours) : null;
      if (!plot) return;
      const { context, width, height } = plot;
      const layout = legendLayout(context, width, height, state);
      const bottom = height - CURVES_EDGE.bottom - layout.lines * LEGEND_LINE;
      const [low, high] = limitsY();
      const span = width - CURVES_EDGE.left - CURVES_EDGE.right;
      const last = curves.removed.at(-1) || 1;
      const x = (removed) => CURVES_EDGE.left + (removed / last) * span;
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - CURVES_EDGE.top);
      scaleX = x;
      yAxis(context, niceTicks(low, high, 5), y, CURVES_EDGE.left, width - CURVES_EDGE.right, colours);
      context.textAlign = "center";
      context.fillStyle = colours.faint;
      for (const tick of niceTicks(0, last, 5)) context.fillText(String(tick), x(tick), bottom + 9);
      const words = `heads removed of ${curves.total}`;
      const whole = `${words}, least important first`;
      const fits = context.measureText(whole).width < span + 2 * CURVES_EDGE.right;
      context.fillText(fits ? whole : words, CURVES_EDGE.left + span / 2, bottom + 24);
      randomBand(context, x, y, colours);
      // The chosen metric is drawn last, so that it lies on top.
      for (const name of [...names.filter((one) => one !== state.metric), state.metric].filter((one) => curves.metrics[one])) {
        path(context, curves.metrics[name], x, y);
        context.strokeStyle = colourOf(name, colours);
        context.lineWidth = name === state.metric ? 2.5 : 1.25;
        context.setLineDash(dashOf(name, colours));
        context.stroke();
      }
      context.setLineDash([]);
      context.lineWidth = 1;
      legend(context, layout, bottom + 46, state, colours);
      if (at >= 0) cursor(context, state, x, y, bottom, width, colours);
    },

    /** Follows the pointer; true when there is something new to draw. */
    point(x) {
      if (!curves || !scaleX) return false;
      const before = at;
      at = -1;
      if (x !== null) {
        const far = curves.removed.map((removed) => Math.abs(scaleX(removed) - x));
        at = far.indexOf(Math.min(...far));
      }
      return at !== before;
    },
  };

  function cursor(context, state, x, y, bottom, width, colours) {
    const removed = curves.removed[at];
    context.strokeStyle = colours.pale;
    context.beginPath();
    context.moveTo(x(removed), CURVES_EDGE.top);
    context.lineTo(x(removed), bottom);
    context.stroke();
    const value = curves.metrics[state.metric]?.[at];
    if (value !== null && value !== undefined) dotAt(context, x(removed), y(value), 4, colourOf(state.metric, colours), colours.paper);
    plate(context, `${removed} removed`, x(removed) + 4, CURVES_EDGE.top + 6, width, colours);
  }
}
