/** Deletion and insertion: the score while patches go, or come back, in the order of a map. */
import { number } from "../lens/scale.js";
import { beginPlot, dotAt, niceTicks, plate, tickText, yAxis } from "../heads/plot.js";

const FAITH_EDGE = { right: 6, top: 7, bottom: 30 };
const LEFT_LEAST = 22;
const CURVE_NAMES = ["deletion", "insertion"];

/** Colour of a curve: purple going down, red coming up; neither means a kind of token. */
export function curveColours(colours) {
  const [, , , purple, red] = colours.series;
  return { deletion: red ?? colours.text, insertion: purple ?? colours.accent };
}

function limitsOfScore(evidence) {
  const lists = evidence.maps.flatMap((one) => [one.deletion, one.insertion]);
  for (const name of CURVE_NAMES) {
    const random = evidence.random[name];
    if (random) lists.push(random.low, random.high);
  }
  const known = lists.flat().filter((value) => value !== null);
  if (!known.length) return [0, 1];
  const low = Math.min(0, ...known);
  const high = Math.max(...known);
  return [low, high > low ? high + (high - low) * 0.03 : low + 1];
}

/** Room for the numbers of an axis, in pixels. */
export function axisRoom(context, ticks) {
  return Math.max(LEFT_LEAST, ...ticks.map((tick) => context.measureText(tickText(tick)).width + 9));
}

function trace(context, xs, values, x, y) {
  context.beginPath();
  let open = false;
  values.forEach((value, i) => {
    if (value === null) { open = false; return; }
    if (open) context.lineTo(x(xs[i]), y(value));
    else context.moveTo(x(xs[i]), y(value));
    open = true;
  });
}

function randomBand(context, fractions, random, x, y, colours) {
  if (!random || random.low.some((value) => value === null)) return;
  context.beginPath();
  fractions.forEach((share, i) => context.lineTo(x(share), y(random.high[i])));
  for (let i = fractions.length - 1; i >= 0; i -= 1) context.lineTo(x(fractions[i]), y(random.low[i]));
  context.closePath();
  context.fillStyle = colours.spread;
  context.fill();
  trace(context, fractions, random.mean, x, y);
  context.setLineDash([3, 3]);
  context.strokeStyle = colours.faint;
  context.lineWidth = 1;
  context.stroke();
  context.setLineDash([]);
}

/** @param {HTMLCanvasElement} canvas  @param {object} evidence  @param {string} name of the map */
export function createFaithful(canvas, evidence, name) {
  const [low, high] = limitsOfScore(evidence);
  const own = evidence.byName.get(name);
  let scaleX = null;

  function cursor(context, at, x, y, bottom, width, colours, inks) {
    const share = evidence.fractions[at];
    context.strokeStyle = colours.pale;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x(share), FAITH_EDGE.top);
    context.lineTo(x(share), bottom);
    context.stroke();
    for (const curve of CURVE_NAMES) {
      const value = own[curve][at];
      if (value === null) continue;
      dotAt(context, x(share), y(value), 3, inks[curve], colours.paper);
      const up = y(value) < (bottom + FAITH_EDGE.top) / 2 ? 12 : -12;
      plate(context, number(value), x(share) + 5, y(value) + up, width, colours, inks[curve]);
    }
  }

  return {
    /** @param {string} why there are no curves to show; empty where there are */
    draw(state, colours, why) {
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      scaleX = null;
      if (!own || why) {
        context.fillStyle = colours.faint;
        context.textAlign = "center";
        context.fillText(why, width / 2, height / 2);
        return;
      }
      const bottom = height - FAITH_EDGE.bottom;
      const ticks = niceTicks(low, high, Math.max(2, Math.floor((bottom - 7) / 26)));
      const left = axisRoom(context, ticks);
      const span = width - left - FAITH_EDGE.right;
      const x = (share) => left + share * span;
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - FAITH_EDGE.top);
      scaleX = x;
      const inks = curveColours(colours);
      yAxis(context, ticks, y, left, width - FAITH_EDGE.right, colours);
      context.fillStyle = colours.faint;
      for (const [share, align] of [[0, "left"], [0.5, "center"], [1, "right"]]) {
        context.textAlign = align;
        context.fillText(`${share * 100} %`, x(share), bottom + 9);
      }
      context.textAlign = "center";
      context.fillText("patches changed", x(0.5), bottom + 22);
      for (const curve of CURVE_NAMES) randomBand(context, evidence.fractions, evidence.random[curve], x, y, colours);
      for (const curve of CURVE_NAMES) {
        trace(context, evidence.fractions, own[curve], x, y);
        context.strokeStyle = inks[curve];
        context.lineWidth = 1.75;
        context.stroke();
      }
      if (state.at >= 0) cursor(context, state.at, x, y, bottom, width, colours, inks);
    },

    /** Point of the curves nearest to a place on the canvas, -1 for none. */
    pointAt(x) {
      if (!scaleX) return -1;
      const far = evidence.fractions.map((share) => Math.abs(scaleX(share) - x));
      return far.indexOf(Math.min(...far));
    },
  };
}
