/** One number by layer, one dot per head, with the reference of uniform attention. */
import { beginPlot, dotAt, hatch, niceTicks, plate, yAxis } from "../heads/plot.js";
import { number } from "../lens/scale.js";
import { sightOf, uniformIn } from "./profile.js";
import { shownBy } from "./sight.js";

const LAYER_EDGE = { left: 46, right: 12, top: 10, bottom: 34 };
const DOT_REACH = 13; // how far from a dot the pointer still finds it

export function createByLayer(canvas, profile) {
  let dots = []; // [x, y] of every head
  const most = Math.max(...profile.layers.map((layer) => layer.heads));

  function numbersOf(state) {
    const { metric, unit, table, axis } = shownBy(profile, state);
    const { mean, std } = profile.summaryOf(table);
    const scaled = (list) => list.map((value, head) => value * profile.factorOf(head, unit));
    const uniform = profile.layers.map((layer, l) => uniformIn(layer, metric, state.rule)
      * profile.factorOf(profile.headIndex(l, 0), unit));
    const control = profile.rangesOfControl(table, unit);
    return { metric, unit, table, axis, mean: scaled(mean), std: scaled(std), uniform, control };
  }

  /** From 0, or below it, to the largest of what is drawn. */
  function limitsOfShown(shown, own) {
    const drawn = [...shown.mean, ...shown.uniform, ...own, ...(shown.control ?? []).map((one) => one.high)];
    const known = drawn.filter((value) => !Number.isNaN(value));
    const high = Math.max(...known, 0);
    const low = Math.min(...known, 0);
    return [low < 0 ? low * 1.06 : 0, high > low ? high * 1.06 : low + 1];
  }

  function ownValues(shown, head) {
    const factor = profile.factorOf(head, shown.unit);
    return profile.images.map((_, image) => profile.valueOf(shown.table, image, head) * factor);
  }

  function layerLabels(plot, step, colours) {
    const { context, height } = plot;
    const bottom = height - LAYER_EDGE.bottom;
    const every = Math.max(1, Math.ceil(26 / step));
    profile.layers.forEach((layer, l) => {
      const left = LAYER_EDGE.left + step * l;
      if (l % 2 === 0) {
        context.fillStyle = colours.band;
        context.fillRect(left, LAYER_EDGE.top, step, bottom - LAYER_EDGE.top);
      }
      if (l % every) return;
      context.textAlign = "center";
      context.fillStyle = colours.faint;
      context.fillText(layer.label, left + step / 2, bottom + 10);
    });
    context.fillText("layer", LAYER_EDGE.left + (step * profile.layers.length) / 2, height - 8);
  }

  /** Level lines of each layer: joined where equal, dashed by `dash`. */
  function levels(context, values, step, y, dash, colour) {
    context.strokeStyle = colour;
    context.setLineDash(dash);
    context.beginPath();
    values.forEach((value, l) => {
      if (Number.isNaN(value)) return;
      const left = LAYER_EDGE.left + step * l;
      if (l === 0 || values[l - 1] !== value) context.moveTo(left, y(value));
      context.lineTo(left + step, y(value));
    });
    context.stroke();
    context.setLineDash([]);
  }

  function controlBand(context, ranges, step, y, colours) {
    context.fillStyle = colours.spread;
    ranges?.forEach(({ low, high }, l) => {
      if (Number.isNaN(low)) return;
      context.fillRect(LAYER_EDGE.left + step * l, y(high) - 1, step, Math.max(2, y(low) - y(high) + 2));
    });
  }

  /** Mean over the heads of each layer, as a line. */
  function layerMeans(context, shown, step, y, colours) {
    context.strokeStyle = colours.pale;
    context.beginPath();
    let open = false;
    profile.layers.forEach((layer, l) => {
      const first = profile.headIndex(l, 0);
      const known = [...shown.mean.slice(first, first + layer.heads)].filter((value) => !Number.isNaN(value));
      if (!known.length) { open = false; return; }
      const at = [LAYER_EDGE.left + step * (l + 0.5), y(known.reduce((sum, one) => sum + one, 0) / known.length)];
      if (open) context.lineTo(...at);
      else context.moveTo(...at);
      open = true;
    });
    context.stroke();
  }

  /** The chosen head's spread over the images: each image, the standard deviation, the image chosen. */
  function spreadOfChosen(context, state, shown, own, chosen, y, colours) {
    const [x] = dots[chosen];
    const { mean, std } = { mean: shown.mean[chosen], std: shown.std[chosen] };
    context.strokeStyle = colours.pale;
    for (const value of own) {
      if (Number.isNaN(value)) continue;
      context.beginPath();
      context.moveTo(x - 5, y(value));
      context.lineTo(x + 5, y(value));
      context.stroke();
    }
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.beginPath();
    if (!Number.isNaN(std)) {
      context.moveTo(x, y(mean - std));
      context.lineTo(x, y(mean + std));
    }
    if (!Number.isNaN(own[state.image] ?? NaN)) {
      context.moveTo(x - 8, y(own[state.image]));
      context.lineTo(x + 8, y(own[state.image]));
    }
    context.stroke();
    context.lineWidth = 1;
  }

  function colourOf(state, shown, head, colours) {
    if (shown.metric.name !== "mean_distance") return colours.dot;
    return { local: colours.local, global: colours.global }[sightOf(profile, head, state.rule)] ?? colours.dot;
  }

  function drawDots(plot, state, shown, gap, radius, y, colours) {
    const bottom = plot.height - LAYER_EDGE.bottom;
    dots.forEach(([x], head) => {
      const value = shown.mean[head];
      if (Number.isNaN(value)) {
        hatch(plot.context, x - Math.max(5, gap) / 2, bottom - 12, Math.max(5, gap), 12, colours);
        dots[head][1] = bottom - 6;
        return;
      }
      dots[head][1] = y(value);
      dotAt(plot.context, x, y(value), radius, colourOf(state, shown, head, colours));
    });
  }

  function stressDot(plot, state, shown, head, colour, colours) {
    const [x, y] = dots[head];
    const value = shown.mean[head];
    const words = Number.isNaN(value) ? `${profile.labelOf(head)}  no number` : `${profile.labelOf(head)}  ${number(value)}`;
    const room = plot.context.measureText(words).width + 22;
    plate(plot.context, words, x + room > plot.width ? x - room : x + 11, y, plot.width, colours, colour);
    if (!Number.isNaN(value)) dotAt(plot.context, x, y, 5, colour, colours.paper);
  }

  return {
    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      const shown = numbersOf(state);
      const chosen = profile.headIndex(state.layer, state.head);
      const own = ownValues(shown, chosen);
      const [low, high] = limitsOfShown(shown, own);
      const bottom = height - LAYER_EDGE.bottom;
      const step = (width - LAYER_EDGE.left - LAYER_EDGE.right) / profile.layers.length;
      const gap = Math.min(7, (0.84 * step) / most);
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - LAYER_EDGE.top);
      dots = profile.heads.map(([layer, head]) => [
        LAYER_EDGE.left + step * (layer + 0.5) + gap * (head - (profile.layers[layer].heads - 1) / 2), bottom,
      ]);
      layerLabels(plot, step, colours);
      yAxis(context, niceTicks(low, high, 5), y, LAYER_EDGE.left, width - LAYER_EDGE.right, colours);
      controlBand(context, shown.control, step, y, colours);
      levels(context, shown.uniform, step, y, [6, 4], colours.faint);
      if (shown.metric.name === "mean_distance") {
        levels(context, shown.uniform.map((value) => value / 2), step, y, [1, 3], colours.faint);
      }
      layerMeans(context, shown, step, y, colours);
      drawDots(plot, state, shown, gap, Math.max(1.8, Math.min(3.4, gap * 0.6)), y, colours);
      if (!Number.isNaN(shown.mean[chosen])) spreadOfChosen(context, state, shown, own, chosen, y, colours);
      stressDot(plot, state, shown, chosen, colours.accent, colours);
      if (state.pointed >= 0 && state.pointed !== chosen) stressDot(plot, state, shown, state.pointed, colours.text, colours);
    },

    /** The head nearest to a position, or -1. */
    hit(x, y) {
      let best = -1;
      let nearest = DOT_REACH;
      dots.forEach((dot, head) => {
        const away = Math.hypot(dot[0] - x, dot[1] - y);
        if (away < nearest) [best, nearest] = [head, away];
      });
      return best;
    },
    dots: () => dots,
  };
}
