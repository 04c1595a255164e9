/** Eigenvalues of the probe's matrix by size, with what a random matrix would have. */
import { beginPlot, niceTicks, plate, yAxis } from "../heads/plot.js";

const BARS_EDGE = { left: 44, right: 10, top: 8, bottom: 32 };

export function createSpectrumBars(canvas, layout) {
  let scale = null;

  function ranksOf(place) {
    // Far beyond what holds 90 % there is nothing to see.
    const most = Math.max(...layout.dimensions, ...(layout.random_dimensions[0] ? [layout.random_dimensions[0]] : []));
    return Math.min(layout.spectra[place].length, Math.max(16, Math.ceil(1.35 * most)));
  }

  function limitsAt(values, random) {
    const sizes = random.flatMap(([mean, , high]) => (mean === null ? [] : [high]));
    const low = Math.min(0, ...values);
    const high = Math.max(0, ...values, ...sizes);
    return [low < 0 ? Math.min(low, ...sizes.map((one) => -one)) : 0, high || 1];
  }

  function drawRandom(context, random, x, y, wide, sign, colours) {
    const known = random.filter(([mean]) => mean !== null);
    if (!known.length) return;
    context.fillStyle = colours.spread;
    context.beginPath();
    known.forEach(([, low], i) => context.lineTo(x(i) + wide / 2, y(sign * low)));
    for (let i = known.length - 1; i >= 0; i -= 1) context.lineTo(x(i) + wide / 2, y(sign * known[i][2]));
    context.fill();
    context.strokeStyle = colours.faint;
    context.setLineDash([4, 3]);
    context.beginPath();
    known.forEach(([mean], i) => context.lineTo(x(i) + wide / 2, y(sign * mean)));
    context.stroke();
    context.setLineDash([]);
  }

  function drawMark(context, rank, text, x, top, bottom, ink, dash, row, width, colours) {
    const at = Math.round(x(rank)) + 0.5;
    context.strokeStyle = ink;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(at, top);
    context.lineTo(at, bottom);
    context.stroke();
    context.setLineDash([]);
    plate(context, text, at + 3, top + 8 + 16 * row, width, colours, ink);
  }

  function drawRanks(context, count, x, wide, plot, colours) {
    context.textAlign = "center";
    context.fillStyle = colours.faint;
    const every = Math.max(1, Math.ceil(count / Math.max(4, Math.floor((plot.width - 60) / 34))));
    for (let i = 0; i < count; i += every) context.fillText(String(i + 1), x(i) + wide / 2, plot.height - BARS_EDGE.bottom + 9);
    const left = layout.ranks > count ? `, the first ${count} of ${layout.ranks}` : "";
    context.fillText(`rank by size${left}`, (BARS_EDGE.left + plot.width - BARS_EDGE.right) / 2, plot.height - 7);
  }

  return {
    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      scale = null;
      if (!plot || !layout.ranks) return;
      const place = layout.placeOf(state.point);
      const count = ranksOf(place);
      const values = layout.spectra[place].slice(0, count);
      const random = layout.random[place].slice(0, count);
      const [low, high] = limitsAt(values, random);
      const bottom = plot.height - BARS_EDGE.bottom;
      const step = (plot.width - BARS_EDGE.left - BARS_EDGE.right) / count;
      const wide = Math.max(1, step * 0.78);
      const x = (rank) => BARS_EDGE.left + rank * step;
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - BARS_EDGE.top);
      const { context } = plot;
      scale = { count, step };
      yAxis(context, niceTicks(low, high, 4), y, BARS_EDGE.left, plot.width - BARS_EDGE.right, colours);
      values.forEach((value, i) => {
        context.fillStyle = value < 0 ? colours.accent : colours.orange;
        context.globalAlpha = i === state.pointedRank ? 1 : 0.82;
        context.fillRect(x(i), Math.min(y(0), y(value)), wide, Math.max(1, Math.abs(y(value) - y(0))));
      });
      context.globalAlpha = 1;
      drawRandom(context, random, x, y, wide, 1, colours);
      if (low < 0) drawRandom(context, random, x, y, wide, -1, colours);
      drawRanks(context, count, x, wide, plot, colours);
      const needed = layout.dimensions[place];
      drawMark(context, Math.min(needed, count), `${needed} hold 90 %`, x, BARS_EDGE.top, bottom, colours.text, [], 0, plot.width, colours);
      const [mean] = layout.random_dimensions;
      if (mean !== null) drawMark(context, Math.min(mean, count), `random: ${mean.toFixed(0)}`, x, BARS_EDGE.top, bottom, colours.faint, [4, 3], 1, plot.width, colours);
    },
    /** Rank under a position, from 0, or -1. */
    rankAt(px) {
      if (!scale) return -1;
      const rank = Math.floor((px - BARS_EDGE.left) / scale.step);
      return rank >= 0 && rank < scale.count ? rank : -1;
    },
  };
}
