/** One image: what it loses, head by head in layer order; x = 0 is the unpruned model. */
import { classOf } from "./atlas.js";
import { number } from "../lens/scale.js";
import { beginPlot, dotAt, hatch, niceTicks, plate, yAxis } from "./plot.js";

const STRIP_EDGE = { left: 46, right: 10, top: 12, bottom: 34 };

/** Limits of the axis: all of 0..1 where the points use it, else what they need. */
function probabilityLimits(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (high - low > 0.45) return [0, 1];
  const room = Math.max(0.02, (high - low) * 0.12);
  return [Math.max(0, low - room), Math.min(1, high + room)];
}

export function createPerHead(canvas, atlas) {
  let step = 1;
  let left = 0;

  /** What is drawn for an image: probabilities where there is a read-out, else the metric. */
  function seriesOf(state) {
    const metric = atlas.metricIndex(state.metric);
    const image = state.image;
    const chance = atlas.probabilities !== null;
    const values = Float64Array.from({ length: atlas.count }, (_, head) => (chance
      ? atlas.probabilityOf(image, head) : atlas.valueOf(metric, image, head)));
    const unpruned = chance ? atlas.images[image].probability ?? NaN : 0;
    return { values, unpruned, chance };
  }

  function bands(plot, bottom, colours) {
    const { context } = plot;
    context.textAlign = "center";
    let last = -Infinity;
    atlas.layers.forEach((layer, l) => {
      const from = left + (atlas.first[l] + 1) * step - step / 2;
      const wide = layer.heads * step;
      if (l % 2 === 0) {
        context.fillStyle = colours.band;
        context.fillRect(from, STRIP_EDGE.top, wide, bottom - STRIP_EDGE.top);
      }
      const middle = from + wide / 2;
      if (middle - last < 24) return;
      last = middle;
      context.fillStyle = colours.faint;
      context.fillText(layer.label, middle, bottom + 9);
    });
  }

  function limitsFor(series, metric) {
    const known = [...series.values, series.unpruned].filter((value) => !Number.isNaN(value));
    if (series.chance) return probabilityLimits(known.length ? known : [0, 1]);
    const high = Math.max(...known, 0);
    const low = Math.min(...known, 0);
    const room = (high - low || 1) * 0.06;
    return [metric.signed || low < 0 ? low - room : 0, high + room];
  }

  return {
    title(state) {
      const metric = atlas.metrics[atlas.metricIndex(state.metric)];
      const image = atlas.images[state.image];
      if (!image) return "No image yet";
      return atlas.probabilities
        ? `Probability of ${classOf(image)} without each head`
        : `${metric.title} (${metric.axis}) of this image, ${atlas.preview ? "head by head" : "without each head"}`;
    },

    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      if (!plot || !atlas.images.length) return;
      const { context, width, height } = plot;
      const metric = atlas.metrics[atlas.metricIndex(state.metric)];
      const series = seriesOf(state);
      const [low, high] = limitsFor(series, metric);
      const bottom = height - STRIP_EDGE.bottom;
      step = (width - STRIP_EDGE.left - STRIP_EDGE.right) / (atlas.count + 1);
      left = STRIP_EDGE.left + step / 2;
      const x = (head) => left + (head + 1) * step;
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - STRIP_EDGE.top);
      bands(plot, bottom, colours);
      yAxis(context, niceTicks(low, high, 4), y, STRIP_EDGE.left, width - STRIP_EDGE.right, colours);
      context.textAlign = "center";
      context.fillStyle = colours.faint;
      context.fillText("heads in layer order; first: nothing pruned", STRIP_EDGE.left + (width - STRIP_EDGE.left) / 2, height - 8);
      reference(plot, series.unpruned, y, colours);
      dots(context, state, series, x, y, bottom, colours);
      stressed(plot, state, series, x, y, colours);
    },

    hit(x, y) {
      const head = Math.round((x - left) / step) - 1;
      const inside = y > STRIP_EDGE.top - 8 && y < canvas.clientHeight - STRIP_EDGE.bottom + 16;
      return inside && head >= 0 && head < atlas.count ? head : -1;
    },
  };

  function reference(plot, value, y, colours) {
    if (Number.isNaN(value)) return;
    const { context, width } = plot;
    context.strokeStyle = colours.faint;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(left, y(value));
    context.lineTo(width - STRIP_EDGE.right, y(value));
    context.stroke();
    context.setLineDash([]);
    dotAt(context, left, y(value), 4, colours.paper, colours.text);
  }

  function dots(context, state, series, x, y, bottom, colours) {
    const members = new Set(state.set.map((name) => atlas.index.get(name)));
    const radius = Math.max(1.5, Math.min(3, step * 0.42));
    series.values.forEach((value, head) => {
      if (Number.isNaN(value)) {
        hatch(context, x(head) - step / 2, bottom - 7, step, 7, colours);
        return;
      }
      dotAt(context, x(head), y(value), radius, members.has(head) ? colours.orange : colours.dot);
    });
  }

  /** The chosen head and the one under the pointer, with a line down to the axis. */
  function stressed(plot, state, series, x, y, colours) {
    const chosen = atlas.headIndex(state.layer, state.head);
    const both = state.pointed >= 0 && state.pointed !== chosen ? [chosen, state.pointed] : [chosen];
    for (const head of both) {
      const value = series.values[head];
      const colour = head === chosen ? colours.accent : colours.text;
      const { context, width, height } = plot;
      context.strokeStyle = colour;
      context.globalAlpha = 0.5;
      context.beginPath();
      context.moveTo(x(head), STRIP_EDGE.top);
      context.lineTo(x(head), height - STRIP_EDGE.bottom);
      context.stroke();
      context.globalAlpha = 1;
      if (Number.isNaN(value)) continue;
      dotAt(context, x(head), y(value), 4.5, colour, colours.paper);
      const words = `${atlas.labelOf(head)}  ${number(value)}`;
      const room = context.measureText(words).width + 14;
      const beside = x(head) + room > width ? x(head) - room : x(head) + 8;
      if (head === both.at(-1)) plate(context, words, beside, y(value), width, colours, colour);
    }
  }
}
