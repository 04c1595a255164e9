/** A measure by layer: the largest head, the mean over heads, and the probe on the layer's input. */
import { beginPlot, dotAt, niceTicks, yAxis } from "../heads/plot.js";

const LAYER_EDGE = { left: 44, right: 12, top: 20, bottom: 32 };

/** The largest head of each layer with its place among all heads. */
function largestOf(table, summary) {
  return table.layers.map((_, layer) => {
    const own = summary.order.find((head) => table.heads[head][0] === layer);
    return own === undefined ? { value: NaN, head: -1 } : { value: summary.mean[own], head: own };
  });
}

export function createLayerCurve(canvas, table) {
  let placeX = null;
  let best = [];
  let drawn = [];

  function seriesOf(summary, colours) {
    best = largestOf(table, summary);
    return [
      { name: "largest head", ink: colours.orange, curve: best.map(({ value }) => [value, NaN, NaN]) },
      { name: "mean over heads", ink: colours.faint, curve: summary.byLayer },
      { name: `${table.row} probe`, ink: colours.accent, curve: summary.probe },
    ].filter(({ curve }) => curve.some(([value]) => !Number.isNaN(value)));
  }

  function limitsOfSeries(series, level) {
    const all = series.flatMap(({ curve }) => curve.flat()).filter((value) => !Number.isNaN(value));
    if (level !== null) all.push(level);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const room = Math.max(0.01, (high - low) * 0.06);
    return [low - room, Math.min(1, high) + room * (high < 1)];
  }

  function legend(context, series) {
    let left = LAYER_EDGE.left;
    context.textAlign = "left";
    for (const { name, ink } of series) {
      context.fillStyle = ink;
      context.fillRect(left, 7, 14, 3);
      context.fillText(name, left + 19, 9);
      left += 34 + context.measureText(name).width;
    }
  }

  function spread(context, curve, x, y, ink) {
    const ends = curve.map(([, low, high], layer) => [layer, low, high]).filter(([, low]) => !Number.isNaN(low));
    if (ends.length < 2) return;
    context.globalAlpha = 0.15;
    context.fillStyle = ink;
    context.beginPath();
    ends.forEach(([layer, low]) => context.lineTo(x(layer), y(low)));
    ends.reverse().forEach(([layer, , high]) => context.lineTo(x(layer), y(high)));
    context.fill();
    context.globalAlpha = 1;
  }

  function stroke(context, { name, ink, curve }, x, y) {
    context.strokeStyle = ink;
    context.lineWidth = 1.8;
    context.beginPath();
    let pen = false;
    curve.forEach(([value], layer) => {
      if (Number.isNaN(value)) { pen = false; return; }
      if (pen) context.lineTo(x(layer), y(value));
      else context.moveTo(x(layer), y(value));
      pen = true;
      drawn.push({ name, layer, value, x: x(layer), y: y(value), ink });
    });
    context.stroke();
    context.lineWidth = 1;
  }

  function xLabels(plot, x, at, colours) {
    const { context, width, height } = plot;
    const bottom = height - LAYER_EDGE.bottom;
    const every = Math.max(1, Math.ceil((22 * table.layers.length) / (width - LAYER_EDGE.left)));
    context.textAlign = "center";
    table.layers.forEach(({ label }, layer) => {
      if (layer % every && layer !== at) return;
      if (layer !== at && Math.abs(layer - at) < every) return;
      context.fillStyle = layer === at ? colours.text : colours.faint;
      context.fillText(label, x(layer), bottom + 10);
    });
    context.fillStyle = colours.faint;
    context.fillText("layer", (LAYER_EDGE.left + width - LAYER_EDGE.right) / 2, height - 6);
    context.strokeStyle = colours.pale;
    context.beginPath();
    context.moveTo(Math.round(x(at)) + 0.5, LAYER_EDGE.top);
    context.lineTo(Math.round(x(at)) + 0.5, bottom);
    context.stroke();
  }

  return {
    draw(at, summary, measure, colours) {
      const plot = beginPlot(canvas, colours);
      drawn = [];
      if (!plot || !summary.order.length) return;
      const { context, width, height } = plot;
      const series = seriesOf(summary, colours);
      const level = measure.signed ? 0 : measure.chance;
      const [low, high] = limitsOfSeries(series, level);
      const bottom = height - LAYER_EDGE.bottom;
      const last = Math.max(1, table.layers.length - 1);
      const x = (layer) => LAYER_EDGE.left + (layer / last) * (width - LAYER_EDGE.left - LAYER_EDGE.right);
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - LAYER_EDGE.top);
      placeX = x;
      yAxis(context, niceTicks(low, high, 4), y, LAYER_EDGE.left, width - LAYER_EDGE.right, colours);
      xLabels(plot, x, at, colours);
      if (level !== null) {
        context.strokeStyle = colours.text;
        context.setLineDash([5, 4]);
        context.beginPath();
        context.moveTo(LAYER_EDGE.left, Math.round(y(level)) + 0.5);
        context.lineTo(width - LAYER_EDGE.right, Math.round(y(level)) + 0.5);
        context.stroke();
        context.setLineDash([]);
      }
      for (const { curve, ink } of series) spread(context, curve, x, y, ink);
      for (const one of series) stroke(context, one, x, y);
      for (const dot of drawn) dotAt(context, dot.x, dot.y, dot.layer === at ? 4 : 2.2, dot.ink, colours.paper);
      legend(context, series);
    },
    /** The largest head of the layer nearest to a position, or -1. */
    hit(x) {
      if (!placeX || !best.length) return -1;
      const near = best.reduce((found, _, layer) => (Math.abs(placeX(layer) - x) < Math.abs(placeX(found) - x) ? layer : found), 0);
      return best[near].head;
    },
    dots: () => drawn,
  };
}
