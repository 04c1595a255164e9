/** Pictures with their masks on canvases, one a tile. */
import { failure } from "../lens/rows.js";
import { fateOf } from "./annotatedstate.js";

const GOLDEN_ANGLE = 137.508;
const FILLED = 0.5;
const FILLED_OBJECT = 0.4;

/** Colour of the instance at a position, from 1; grey for what is unlabelled. */
export function instanceInk(place) {
  if (place === 0) return [150, 150, 150];
  const hue = ((place - 1) * GOLDEN_ANGLE) % 360;
  const light = [0.55, 0.42, 0.66][Math.floor((place - 1) / 8) % 3];
  const span = 0.72 * Math.min(light, 1 - light);
  return [0, 8, 4].map((turn) => {
    const k = (turn + hue / 30) % 12;
    return Math.round(255 * (light - span * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}

function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Uint16Array(bytes.buffer);
}

function loadedPhoto(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject({ status: 0, message: "a picture did not arrive; reload the page" });
    image.src = address;
  });
}

/** Fetches a picture and what is known of its patches. */
export async function fetchTile(base, survey, row) {
  const response = await fetch(`${base}${survey.urls.tile}/${row}`);
  if (!response.ok) throw await failure(response);
  const tile = await response.json();
  tile.mask = unpacked(tile.mask);
  tile.photo = await loadedPhoto(`${base}${survey.urls.picture}/${row}`);
  tile.layers = { edges: layerOf(tile, true), fill: layerOf(tile, false) };
  return tile;
}

/** A canvas of the mask's size: edges of instances, or all their pixels. */
function layerOf(tile, edgesOnly) {
  const [high, wide] = tile.shown;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  const image = context.createImageData(wide, high);
  const inks = Array.from({ length: tile.ids.length + 1 }, (_, place) => instanceInk(place));
  for (let y = 0; y < high; y += 1) {
    for (let x = 0; x < wide; x += 1) {
      const at = y * wide + x;
      const place = tile.mask[at];
      const inner = x > 0 && y > 0 && x < wide - 1 && y < high - 1 && place === tile.mask[at - 1] && place === tile.mask[at + 1] && place === tile.mask[at - wide] && place === tile.mask[at + wide];
      if (!place || (edgesOnly && inner)) continue;
      image.data.set(inks[place], 4 * at);
      image.data[4 * at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Paints one tile. @returns how many of its patches were filled */
export function paintTile(canvas, tile, survey, state, side, colours) {
  const [high, wide] = tile.shown;
  const scale = side / Math.max(high, wide);
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(wide * scale), Math.round(high * scale)];
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.drawImage(tile.photo, 0, 0, width, height);
  const filled = state.look === "patches" ? paintKept(context, tile, survey, state, [width, height], colours) : 0;
  if (state.look === "objects") {
    context.imageSmoothingEnabled = false;
    context.globalAlpha = FILLED_OBJECT;
    context.drawImage(tile.layers.fill, 0, 0, width, height);
  }
  if (state.look !== "picture") {
    context.globalAlpha = state.look === "objects" ? 1 : 0.8;
    context.drawImage(tile.layers.edges, 0, 0, width, height);
  }
  context.globalAlpha = 1;
  return filled;
}

function paintKept(context, tile, survey, state, [width, height], colours) {
  const edge = (place, count, length) => Math.round((place / count) * length);
  let filled = 0;
  for (let patch = 0; patch < tile.most.length; patch += 1) {
    const kept = fateOf(tile, patch, state) === "yes";
    const [row, column] = [Math.floor(patch / survey.columns), patch % survey.columns];
    context.globalAlpha = kept ? FILLED : 1;
    context.fillStyle = kept ? `rgb(${instanceInk(tile.most[patch]).join(" ")})` : colours.veil;
    const [left, top] = [edge(column, survey.columns, width), edge(row, survey.rows, height)];
    context.fillRect(left, top, edge(column + 1, survey.columns, width) - left, edge(row + 1, survey.rows, height) - top);
    filled += kept ? 1 : 0;
  }
  context.globalAlpha = 1;
  return filled;
}

/** Patch and instance under a place of a tile's canvas. */
export function underPointer(canvas, tile, survey, event) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  if (x < 0 || y < 0 || x >= 1 || y >= 1) return null;
  const [high, wide] = tile.shown;
  return {
    patch: Math.floor(y * survey.rows) * survey.columns + Math.floor(x * survey.columns),
    place: tile.mask[Math.floor(y * high) * wide + Math.floor(x * wide)],
  };
}
