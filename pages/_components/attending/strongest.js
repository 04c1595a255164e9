/** The ten strongest heads with their intervals and numbers. */
import { beginPlot, dotAt, niceTicks, tickText } from "../heads/plot.js";

const STRONG_EDGE = { left: 78, right: 46, top: 4, bottom: 34 };
const STRONG_LINE = 20;

/** ".837": three digits in little room. */
export function shortValue(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "none";
  return value.toFixed(3).replace(/^(-?)0\./, "$1.").replace("-", "−");
}

export function createStrongest(canvas, table) {
  let lines = [];
  let listed = [];

  function limitsOfRanking(summary, level) {
    const ends = listed.flatMap((head) => [summary.mean[head], summary.low[head], summary.high[head]]);
    const known = [...ends, level ?? 0].filter((value) => !Number.isNaN(value));
    const [low, high] = [Math.min(...known), Math.max(...known)];
    return [low, high > low ? high : low + 1];
  }

  function axis({ context, width, height }, place, ticks, title, colours) {
    const bottom = height - STRONG_EDGE.bottom;
    context.textAlign = "center";
    for (const tick of ticks) {
      const x = Math.round(place(tick)) + 0.5;
      context.strokeStyle = colours.line;
      context.beginPath();
      context.moveTo(x, STRONG_EDGE.top);
      context.lineTo(x, bottom);
      context.stroke();
      context.fillStyle = colours.faint;
      context.fillText(tickText(tick), x, bottom + 9);
    }
    context.fillText(title, (STRONG_EDGE.left + width - STRONG_EDGE.right) / 2, height - 7);
  }

  function row(context, summary, head, y, place, ink, bold, width, colours) {
    if (!Number.isNaN(summary.low[head])) {
      context.strokeStyle = bold ? ink : colours.pale;
      context.lineWidth = bold ? 3 : 1.4;
      context.beginPath();
      context.moveTo(place(summary.low[head]), y);
      context.lineTo(place(summary.high[head]), y);
      context.stroke();
      context.lineWidth = 1;
    }
    dotAt(context, place(summary.mean[head]), y, bold ? 4.5 : 3, ink, colours.paper);
    context.font = `${bold ? "600 " : ""}11px ${colours.font}`;
    context.fillStyle = bold ? ink : colours.faint;
    context.textAlign = "right";
    context.fillText(String(summary.rank[head] + 1), 16, y);
    context.fillText(shortValue(summary.mean[head]), width - 2, y);
    context.textAlign = "left";
    context.fillText(table.labelOf(head), 22, y);
  }

  return {
    draw(chosen, pointed, summary, measure, colours) {
      const plot = beginPlot(canvas, colours);
      listed = summary.strongest;
      lines = [];
      if (!plot || !listed.length) return;
      const { context, width, height } = plot;
      const level = measure.signed ? 0 : measure.chance;
      const [low, high] = limitsOfRanking(summary, level);
      const span = width - STRONG_EDGE.left - STRONG_EDGE.right;
      const place = (value) => STRONG_EDGE.left + ((value - low) / (high - low)) * span;
      const step = Math.min(STRONG_LINE, (height - STRONG_EDGE.top - STRONG_EDGE.bottom) / listed.length);
      axis(plot, place, niceTicks(low, high, span > 220 ? 5 : 3), measure.axis, colours);
      if (level !== null) {
        context.strokeStyle = colours.text;
        context.setLineDash([5, 4]);
        context.beginPath();
        context.moveTo(Math.round(place(level)) + 0.5, STRONG_EDGE.top);
        context.lineTo(Math.round(place(level)) + 0.5, height - STRONG_EDGE.bottom);
        context.stroke();
        context.setLineDash([]);
      }
      lines = listed.map((_, i) => STRONG_EDGE.top + (i + 0.5) * step);
      listed.forEach((head, i) => {
        const ink = head === chosen ? colours.accent : colours.text;
        row(context, summary, head, lines[i], place, ink, head === chosen || head === pointed, width, colours);
      });
    },
    /** The head whose line is nearest, or -1. */
    hit(y) {
      if (!lines.length || y > lines.at(-1) + STRONG_LINE / 2) return -1;
      const near = lines.reduce((best, line, i) => (Math.abs(line - y) < Math.abs(lines[best] - y) ? i : best), 0);
      return listed[near];
    },
    lines: () => lines,
  };
}
