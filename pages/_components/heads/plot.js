/** What the charts share: colours, axes, hatching. */
import { cssColour, decodePalette, pack } from "../lens/scale.js";
import { sizeCanvas } from "../lens/geometry.js";
import { themeColours } from "../lens/theme.js";

// Blue through near-white to red: for signed values around 0 only.
const AROUND_ZERO = [[31, 78, 156], [122, 163, 213], [246, 246, 244], [224, 146, 122], [163, 39, 43]];

function divergingTable() {
  const table = new Uint32Array(256);
  const last = AROUND_ZERO.length - 1;
  for (let i = 0; i < 256; i += 1) {
    const place = (i / 255) * last;
    const from = Math.min(last - 1, Math.floor(place));
    const mixed = [0, 1, 2].map((channel) => {
      const low = AROUND_ZERO[from][channel];
      return Math.round(low + (AROUND_ZERO[from + 1][channel] - low) * (place - from));
    });
    table[i] = pack(...mixed, 255);
  }
  return table;
}

const DIVERGING = divergingTable();

/** Colour tables by kind. @param {Record<string, string>} texts base64 from Python */
export function colourTables(texts) {
  return { plain: decodePalette(texts.viridis), signed: DIVERGING };
}

/** Packed colour of a value between `low` and `high` of a table. */
function packedAt(table, value, low, high) {
  const place = high > low ? (value - low) / (high - low) : 0;
  return table[Math.max(0, Math.min(255, Math.round(place * 255)))];
}

/** The colour of a value, and one that can be read on it. */
export function shade(table, value, low, high) {
  const packed = packedAt(table, value, low, high);
  const light = 0.299 * (packed & 255) + 0.587 * ((packed >> 8) & 255) + 0.114 * ((packed >> 16) & 255);
  return { fill: cssColour(packed), ink: light > 128 ? "#14171a" : "#ffffff" };
}

/** Colours of the theme for the canvases of this page. */
export function plotColours(root) {
  const style = getComputedStyle(root);
  const read = (name) => style.getPropertyValue(name).trim();
  const listed = read("--st-chart-categorical-colors").split(/,(?![^(]*\))/).map((one) => one.trim()).filter(Boolean);
  const named = ["--accent", "--orange", "--green", "--st-red-color", "--faint"].map(read).filter(Boolean);
  const ink = read("--ink") || "#1d2126";
  return {
    ...themeColours(root),
    paper: read("--paper") || "#fbfbf9",
    series: listed.length ? listed : named,
    missing: read("--missing") || "rgb(148, 152, 160)",
    band: `color-mix(in srgb, ${ink} 4%, transparent)`,
    spread: `color-mix(in srgb, ${ink} 13%, transparent)`,
    pale: `color-mix(in srgb, ${ink} 32%, transparent)`,
  };
}

/** Fits a canvas to the box around it and clears it; null where there is no room. */
export function beginPlot(canvas, colours) {
  const width = canvas.parentElement.clientWidth;
  const height = canvas.parentElement.clientHeight;
  if (width < 60 || height < 50) return null;
  sizeCanvas(canvas, width, height);
  const context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `11px ${colours.font}`;
  context.textBaseline = "middle";
  context.lineWidth = 1;
  return { context, width, height };
}

/** Round steps that cover low..high in about `count` parts. */
export function niceTicks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / count;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * size).find((one) => one >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(i * step);
  return ticks;
}

/** A tick's number without needless digits. */
export function tickText(value) {
  const round = Number(value.toPrecision(6));
  const text = Math.abs(round) > 0 && Math.abs(round) < 0.001 ? round.toExponential() : String(round);
  return text.replace("-", "−").replace("e-", "e−");
}

/** Grey with diagonal lines: there is no number here. */
export function hatch(context, left, top, width, height, colours) {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.globalAlpha = 0.28;
  context.fillStyle = colours.missing;
  context.fillRect(left, top, width, height);
  context.globalAlpha = 0.9;
  context.strokeStyle = colours.missing;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = left - height; x < left + width; x += 5) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}

/** Horizontal grid lines with numbers to their left. */
export function yAxis(context, ticks, place, left, right, colours) {
  context.textAlign = "right";
  for (const tick of ticks) {
    const y = Math.round(place(tick)) + 0.5;
    context.strokeStyle = colours.line;
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(right, y);
    context.stroke();
    context.fillStyle = colours.faint;
    context.fillText(tickText(tick), left - 6, y);
  }
}

export function dotAt(context, x, y, radius, fill, ring) {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  if (fill) {
    context.fillStyle = fill;
    context.fill();
  }
  if (ring) {
    context.strokeStyle = ring;
    context.stroke();
  }
}

/** A word on a plate of paper, kept within 0..width. */
export function plate(context, text, x, y, width, colours, ink = colours.text) {
  const wide = context.measureText(text).width;
  const left = Math.max(0, Math.min(width - wide - 6, x));
  context.fillStyle = colours.paper;
  context.globalAlpha = 0.88;
  context.fillRect(left, y - 8, wide + 6, 16);
  context.globalAlpha = 1;
  context.fillStyle = ink;
  context.textAlign = "left";
  context.fillText(text, left + 3, y);
}

/** Position of a pointer event on an element, in CSS pixels. */
export function pointerOn(event, element) {
  const frame = element.getBoundingClientRect();
  return [event.clientX - frame.left, event.clientY - frame.top];
}
