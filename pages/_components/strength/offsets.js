/** Attention of the selected head by offset from query to key, with the centroid as an arrow. */
import { beginPlot, dotAt } from "../heads/plot.js";
import { failure } from "../lens/rows.js";
import { number } from "../lens/scale.js";
import { emptyPlot } from "./marks.js";

const OFFSET_EDGE = { left: 30, right: 12, top: 4, bottom: 32 };
const PERCENT = 0.995;
const KEPT_MAPS = 400;
const HALO = "rgba(0, 0, 0, 0.7)";
const ARROW = "#5fd3ff"; // seen on both ends of inferno

/** The upper end of the colours: the 99.5th percentile, so that one bright offset leaves the rest visible. */
function upperEnd(values) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  return sorted.length ? sorted[Math.floor(PERCENT * (sorted.length - 1))] : NaN;
}

/** Mean offset from query to key in patches, [down, right]: attention at each offset times its pairs. */
export function centroidOf(values, layer) {
  const wide = 2 * layer.columns - 1;
  let [sum, down, right] = [0, 0, 0];
  values.forEach((value, i) => {
    const dy = Math.floor(i / wide) - layer.rows + 1;
    const dx = (i % wide) - layer.columns + 1;
    const mass = value * (layer.rows - Math.abs(dy)) * (layer.columns - Math.abs(dx));
    sum += mass;
    down += mass * dy;
    right += mass * dx;
  });
  return [down / sum, right / sum];
}

export function createOffsets(root, canvas, profile, base, table, cache, redraw, gone) {
  let placed = null; // left, top, cell, values, layer
  let wanted = "";
  let trouble = "";

  const addressOf = (layer, head) => `${base}${profile.urls.offset}?layer=${layer}&head=${head}&n=${profile.images_done}`;

  /** The map where it is here; else it is fetched and drawn when it has come. */
  function fetched(state) {
    const address = addressOf(state.layer, state.head);
    if (cache.has(address) || wanted === address) return cache.get(address);
    wanted = address;
    trouble = "";
    fetch(address, { cache: "no-store" }).then(async (response) => {
      if (!response.ok) throw await failure(response);
      const values = new Float32Array(await response.arrayBuffer());
      if (cache.size > KEPT_MAPS) cache.clear();
      cache.set(address, { values, high: upperEnd(values), image: null });
    }).catch((error) => {
      if (error.status === 410) gone();
      if (wanted === address) trouble = error.message;
    }).finally(redraw);
    return null;
  }

  /** The map as an image of one pixel for each offset. */
  function painted(map, layer) {
    if (map.image) return map.image;
    const image = new OffscreenCanvas(2 * layer.columns - 1, 2 * layer.rows - 1);
    const context = image.getContext("2d");
    const data = context.createImageData(image.width, image.height);
    const pixels = new Uint32Array(data.data.buffer);
    map.values.forEach((value, i) => {
      const place = map.high > 0 ? Math.round((255 * Math.min(value, map.high)) / map.high) : 0;
      pixels[i] = Number.isNaN(value) ? 0xffa09894 : table[place];
    });
    context.putImageData(data, 0, 0);
    map.image = image;
    return image;
  }

  /** The box gets no higher than the map needs, so that the colour bar stands right below. */
  function wishHeight(layer, wide) {
    const needed = (wide * (2 * layer.rows - 1)) / (2 * layer.columns - 1) + OFFSET_EDGE.top + OFFSET_EDGE.bottom;
    root.style.setProperty("--offset-high", `${Math.ceil(needed)}px`);
  }

  function axes(context, layer, colours) {
    const { left, top, cell } = placed;
    const [wide, high] = [(2 * layer.columns - 1) * cell, (2 * layer.rows - 1) * cell];
    context.fillStyle = colours.faint;
    context.textAlign = "center";
    const signed = (value) => (value > 0 ? `+${value}` : `${value}`.replace("-", "−"));
    for (const dx of [1 - layer.columns, 0, layer.columns - 1]) {
      context.fillText(signed(dx), left + (dx + layer.columns - 0.5) * cell, top + high + 9);
    }
    context.fillText("offset from query to key, patches", left + wide / 2, top + high + 23);
    context.textAlign = "right";
    for (const dy of [1 - layer.rows, 0, layer.rows - 1]) {
      context.fillText(signed(dy), left - 5, top + (dy + layer.rows - 0.5) * cell);
    }
  }

  function arrow(context, layer, map) {
    const { left, top, cell } = placed;
    const [down, right] = centroidOf(map.values, layer);
    if (Number.isNaN(down)) return;
    const from = [left + (layer.columns - 0.5) * cell, top + (layer.rows - 0.5) * cell];
    const to = [from[0] + right * cell, from[1] + down * cell];
    const turn = Math.atan2(to[1] - from[1], to[0] - from[0]);
    const tip = (side) => [to[0] - 7 * Math.cos(turn + side), to[1] - 7 * Math.sin(turn + side)];
    const long = Math.hypot(to[0] - from[0], to[1] - from[1]) > 6;
    for (const [colour, width] of [[HALO, 4.5], [ARROW, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      if (long) {
        context.moveTo(...tip(0.5));
        context.lineTo(...to);
        context.lineTo(...tip(-0.5));
      }
      context.stroke();
    }
    context.lineWidth = 1;
    dotAt(context, ...from, 2.4, ARROW, HALO);
  }

  return {
    title: (state) => `Attention by offset, ${profile.labelOf(profile.headIndex(state.layer, state.head))}`,

    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      placed = null;
      if (!plot) return;
      const { context, width, height } = plot;
      const layer = profile.layers[state.layer];
      if (!(layer.rows * layer.columns)) {
        emptyPlot(plot, "no patch asks in this layer", colours);
        return;
      }
      const map = fetched(state);
      if (!map || !(map.high >= 0)) {
        const words = map ? "not a number\n(overflow in half precision?)" : trouble;
        if (words) emptyPlot(plot, words, colours);
        return;
      }
      const wide = width - OFFSET_EDGE.left - OFFSET_EDGE.right;
      wishHeight(layer, wide);
      const high = height - OFFSET_EDGE.top - OFFSET_EDGE.bottom;
      const cell = Math.min(wide / (2 * layer.columns - 1), high / (2 * layer.rows - 1));
      const left = OFFSET_EDGE.left + (wide - (2 * layer.columns - 1) * cell) / 2;
      placed = { left, top: OFFSET_EDGE.top, cell, map, layer };
      context.imageSmoothingEnabled = false;
      context.drawImage(painted(map, layer), left, OFFSET_EDGE.top, (2 * layer.columns - 1) * cell, (2 * layer.rows - 1) * cell);
      axes(context, layer, colours);
      arrow(context, layer, map);
    },

    /** The upper end of the colour bar; null while there is no map. */
    high: () => placed?.map.high ?? null,

    /** "2 down, 3 left: 0.0012", or "" outside. */
    words(x, y) {
      if (!placed) return "";
      const { left, top, cell, map, layer } = placed;
      const column = Math.floor((x - left) / cell);
      const row = Math.floor((y - top) / cell);
      if (column < 0 || row < 0 || column >= 2 * layer.columns - 1 || row >= 2 * layer.rows - 1) return "";
      const [dy, dx] = [row - layer.rows + 1, column - layer.columns + 1];
      const place = `${Math.abs(dy)} ${dy < 0 ? "up" : "down"}, ${Math.abs(dx)} ${dx < 0 ? "left" : "right"}`;
      return `${dy || dx ? place : "to itself"}: ${number(map.values[row * (2 * layer.columns - 1) + column])}`;
    },

    /** Length and direction of the arrow in words; "" while there is no map. */
    arrowWords() {
      if (!placed) return "";
      const [down, right] = centroidOf(placed.map.values, placed.layer);
      const parts = [[down, "down", "up"], [right, "right", "left"]];
      const words = parts.map(([by, plus, minus]) => `${number(Math.abs(by))} ${by < 0 ? minus : plus}`);
      return words.join(", ");
    },
  };
}
