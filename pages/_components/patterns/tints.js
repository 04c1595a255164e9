/** Colours of points and heads: layers on one ramp, clusters and models in separate colours. */
import { pack } from "../lens/scale.js";

export const TINTS = ["layer", "cluster", "model"];

/** "#aabbcc" of a theme's list as numbers. */
function channels(text) {
  const hex = text.replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** A list of colours in a CSS variable. */
function listed(style, name, otherwise) {
  const found = style.getPropertyValue(name).match(/#[0-9a-f]{6}/gi);
  return (found?.length ? found : otherwise).map(channels);
}

/** Reads the ramp of layers and the separate colours from the theme. */
export function themeTints(root) {
  const style = getComputedStyle(root);
  return {
    ramp: listed(style, "--st-chart-sequential-colors", ["#440154", "#21918c", "#bddf26"]),
    series: listed(style, "--st-chart-categorical-colors", ["#2a6ab0", "#c8701d", "#2f8a57"]),
  };
}

function onRamp(ramp, share) {
  const place = share * (ramp.length - 1);
  const from = Math.min(ramp.length - 2, Math.floor(place));
  return ramp[from].map((low, c) => Math.round(low + (ramp[from + 1][c] - low) * (place - from)));
}

/** Red, green and blue of one value under a colouring. */
export function tintOf(tints, cloud, kind, value) {
  if (kind === "layer") return onRamp(tints.ramp, cloud.layers > 1 ? value / (cloud.layers - 1) : 0);
  const { series } = tints;
  const [red, green, blue] = series[value % series.length];
  // More clusters than colours: the second round is mixed with grey.
  const mix = 0.45 * Math.min(2, Math.floor(value / series.length)) ** 0.7;
  return [red, green, blue].map((one) => Math.round(one + (140 - one) * mix));
}

export function cssTint([red, green, blue], opacity = 1) {
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

/** Colour of every point, packed without opacity. */
export function pointTints(tints, cloud, kind) {
  const values = cloud[kind];
  const table = new Map();
  const found = new Uint32Array(cloud.count);
  for (let i = 0; i < cloud.count; i += 1) {
    let packed = table.get(values[i]);
    if (packed === undefined) {
      packed = pack(...tintOf(tints, cloud, kind, values[i]), 0);
      table.set(values[i], packed);
    }
    found[i] = packed;
  }
  return found;
}
