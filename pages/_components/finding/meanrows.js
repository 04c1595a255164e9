/** Means with their intervals, a line each: a dot, and a bar from low to high. */
import { beginPlot, dotAt, hatch, niceTicks, tickText } from "../heads/plot.js";

const FOOT = 30;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} names width of the names
 */
export function createMeanRows(canvas, names) {
  let spots = [];
  let height = 16;
  let top = 2;

  function axis({ context, width, height: whole }, x, low, high, title, colours) {
    context.textAlign = "center";
    for (const tick of niceTicks(low, high, 5)) {
      const at = Math.round(x(tick)) + 0.5;
      context.strokeStyle = colours.line;
      context.beginPath();
      context.moveTo(at, top);
      context.lineTo(at, whole - FOOT);
      context.stroke();
      context.fillStyle = colours.faint;
      context.fillText(tickText(tick), at, whole - FOOT + 9);
    }
    context.fillStyle = colours.faint;
    context.fillText(title, (names + width) / 2, whole - 6);
  }

  function shorten(context, text, room) {
    if (context.measureText(text).width <= room) return text;
    let cut = text;
    while (cut.length > 3 && context.measureText(`${cut}…`).width > room) cut = cut.slice(0, -1);
    return `${cut}…`;
  }

  /** One line; hollow for a control, a square for what looks at nothing. */
  function line(context, row, y, x, width, colours) {
    const { mean, low, high } = row;
    context.textAlign = "right";
    context.fillStyle = row.pressed ? colours.accent : colours.text;
    context.fillText(shorten(context, row.title, names - 12), names - 8, y);
    if (mean === null) {
      hatch(context, names, y - 5, width - names - 8, 10, colours);
      return;
    }
    context.strokeStyle = row.ink;
    context.lineWidth = 2;
    if (low !== null) {
      context.beginPath();
      context.moveTo(x(low), y);
      context.lineTo(x(high), y);
      context.stroke();
    }
    if (row.kind === "control") {
      dotAt(context, x(mean), y, 4, colours.paper, row.ink);
    } else if (row.kind === "baseline") {
      context.fillStyle = row.ink;
      context.fillRect(x(mean) - 3.5, y - 3.5, 7, 7);
    } else dotAt(context, x(mean), y, 4, row.ink);
    context.lineWidth = 1;
  }

  return {
    /** @param {{title, ink, kind, mean, low, high, pressed}[]} rows  @param {number} pointed -1 for none */
    draw(rows, title, pointed, colours) {
      const plot = beginPlot(canvas, colours);
      spots = [];
      if (!plot || !rows.length) return;
      const { context, width, height: whole } = plot;
      height = Math.min(22, (whole - FOOT - top) / rows.length);
      const known = rows.flatMap(({ mean, low, high }) => [mean, low, high]).filter((one) => one !== null);
      const low = Math.min(0, ...known);
      const high = Math.max(...known, 0.05);
      const x = (value) => names + 6 + ((value - low) / (high - low)) * (width - names - 18);
      axis(plot, x, low, high, title, colours);
      rows.forEach((row, i) => {
        const y = top + (i + 0.5) * height;
        if (i === pointed || row.pressed) {
          context.fillStyle = i === pointed ? colours.spread : colours.band;
          context.fillRect(0, y - height / 2, width, height);
        }
        line(context, row, y, x, width, colours);
        spots.push({ name: row.name, x: row.mean === null ? names : x(row.mean), y });
      });
    },
    rowAt: (y) => {
      const row = Math.floor((y - top) / height);
      return row >= 0 && row < spots.length ? row : -1;
    },
    spots: () => spots,
  };
}
