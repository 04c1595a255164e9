/** Heads from the most to the least important, with intervals. All are in sight: the first ones
 * have a line and a name each, the rest share what is left. */
import { TOP_RANKS } from "./atlas.js";
import { beginPlot, dotAt, niceTicks, plate, tickText } from "./plot.js";

const RANK_EDGE = { right: 12, top: 4, bottom: 34 };
const NAMED = 15;

/** Middle of every line. */
function linesFor(count, height) {
  const room = height - RANK_EDGE.top - RANK_EDGE.bottom;
  const even = room / Math.max(1, count);
  if (even >= 12) return Array.from({ length: count }, (_, i) => RANK_EDGE.top + (i + 0.5) * Math.min(NAMED, even));
  const named = Math.min(TOP_RANKS, count);
  const line = Math.min(NAMED, (0.6 * room) / named);
  const rest = (room - named * line - 6) / Math.max(1, count - named);
  return Array.from({ length: count }, (_, i) => (i < named
    ? RANK_EDGE.top + (i + 0.5) * line
    : RANK_EDGE.top + named * line + 6 + (i - named + 0.5) * rest));
}

export function createRanking(canvas, atlas) {
  let lines = [];
  let named = 0;
  let shown = null;
  let gutter = 74;

  function axis(plot, place, ticks, title, colours) {
    const { context, width, height } = plot;
    const bottom = height - RANK_EDGE.bottom;
    context.textAlign = "center";
    for (const tick of ticks) {
      const x = Math.round(place(tick)) + 0.5;
      context.strokeStyle = tick === 0 ? colours.pale : colours.line;
      context.beginPath();
      context.moveTo(x, RANK_EDGE.top);
      context.lineTo(x, bottom);
      context.stroke();
      context.fillStyle = colours.faint;
      context.fillText(tickText(tick), x, bottom + 9);
    }
    const most = width - context.measureText(title).width / 2; // all of it stays inside
    context.fillText(title, Math.min((gutter + width - RANK_EDGE.right) / 2, most), height - 8);
  }

  function whisker(context, summary, head, y, place, colour, thick) {
    const low = summary.low[head];
    const high = summary.high[head];
    if (Number.isNaN(low) || Number.isNaN(high)) return;
    context.strokeStyle = colour;
    context.lineWidth = thick;
    context.beginPath();
    context.moveTo(place(low), y);
    context.lineTo(place(high), y);
    context.stroke();
    context.lineWidth = 1;
  }

  function labelLine(context, rank, y, colour, font) {
    const head = shown.order[rank];
    context.fillStyle = colour;
    context.font = font;
    context.textAlign = "right";
    context.fillText(String(rank + 1), 18, y);
    context.textAlign = "left";
    context.fillText(atlas.labelOf(head), 24, y);
  }

  /** A head that stands out, drawn over the others and named in the gutter. */
  function stress(plot, rank, place, colour, colours) {
    if (rank < 0) return;
    const { context, width } = plot;
    const head = shown.order[rank];
    const y = lines[rank];
    whisker(context, shown, head, y, place, colour, 3);
    dotAt(context, place(shown.mean[head]), y, 4.5, colour, colours.paper);
    if (rank >= named) plate(context, `${rank + 1}  ${atlas.labelOf(head)}`, 0, y, width, colours, colour);
    else labelLine(context, rank, y, colour, `600 11px ${colours.font}`);
  }

  return {
    draw(state, summary, metric, colours) {
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      shown = summary;
      lines = linesFor(summary.order.length, height);
      named = lines.length > 1 && lines[lines.length - 1] - lines[lines.length - 2] >= 11
        ? lines.length : Math.min(TOP_RANKS, lines.length);
      const known = (list) => [...list].filter((value) => !Number.isNaN(value));
      const low = Math.min(0, ...known(summary.low), ...known(summary.mean));
      const most = Math.max(...known(summary.high), ...known(summary.mean), low);
      const high = most > low ? most : low + 1;
      const names = atlas.heads.map((_, head) => atlas.labelOf(head));
      gutter = 36 + context.measureText(names.reduce((a, b) => (b.length > a.length ? b : a), "")).width;
      const span = width - gutter - RANK_EDGE.right;
      const place = (value) => gutter + ((value - low) / (high - low)) * span;
      axis(plot, place, niceTicks(low, high, span > 150 ? 4 : 3), metric.axis, colours);
      const font = `11px ${colours.font}`;
      const dense = lines.length > 200;
      const members = new Set(state.set.map((name) => atlas.index.get(name)));
      const chosen = atlas.headIndex(state.layer, state.head);
      summary.order.forEach((head, rank) => {
        const y = lines[rank];
        const lead = rank < named;
        const colour = members.has(head) ? colours.orange : lead ? colours.text : colours.dot;
        whisker(context, summary, head, y, place, lead || !dense ? colours.pale : colours.spread, 1);
        dotAt(context, place(summary.mean[head]), y, lead ? 3 : dense ? 1.4 : 2, colour);
        if (lead && head !== chosen && head !== state.pointed) labelLine(context, rank, y, colours.faint, font);
      });
      stress(plot, summary.rank[chosen], place, colours.accent, colours);
      if (state.pointed >= 0 && state.pointed !== chosen) stress(plot, summary.rank[state.pointed], place, colours.text, colours);
    },

    /** Index of the head whose line is nearest, or -1 outside. */
    hit(_x, y) {
      if (!shown || !lines.length || y > lines[lines.length - 1] + 8) return -1;
      let best = 0;
      lines.forEach((line, rank) => { if (Math.abs(line - y) < Math.abs(lines[best] - y)) best = rank; });
      return shown.order[best];
    },
  };
}
