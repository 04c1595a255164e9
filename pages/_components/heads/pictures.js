/** All images in order: by the probability of their class, or by what the chosen head does to them. */
import { classOf, orderedImages } from "./atlas.js";
import { beginPlot, dotAt, niceTicks, yAxis } from "./plot.js";

const SHOTS_EDGE = { left: 40, right: 8, top: 10, bottom: 20 };
const THUMB = { most: 14, side: 32, gap: 6 };

export function createPictures(canvas, atlas, base, redraw) {
  const thumbs = new Map();
  const chance = atlas.probabilities !== null;
  let held = { key: "", order: [], scores: [], place: [] };
  let step = 1;

  /** Order and scores; found anew only when what they depend on has changed. */
  function arranged(state, head) {
    const key = chance ? "p" : `${state.metric}:${head}`;
    if (held.key === key) return held;
    const metric = atlas.metricIndex(state.metric);
    const score = chance
      ? (image) => atlas.images[image].probability
      : (image) => atlas.valueOf(metric, image, head);
    const found = orderedImages(atlas, score);
    const place = new Int32Array(found.order.length);
    found.order.forEach((image, i) => { place[image] = i; });
    held = { key, ...found, place };
    return held;
  }

  /** A small image, fetched once; the chart is drawn again when it has come. */
  function thumb(image) {
    if (!thumbs.has(image)) {
      const picture = new Image();
      picture.onload = redraw;
      picture.src = `${base}${atlas.images[image].src}`;
      thumbs.set(image, picture);
    }
    const picture = thumbs.get(image);
    return picture.complete && picture.naturalWidth ? picture : null;
  }

  function range(state, head, scores) {
    const known = [...scores].filter((value) => !Number.isNaN(value));
    if (chance) return [0, 1];
    const low = Math.min(0, ...known);
    const high = Math.max(...known, low);
    return [low, high > low ? high + 0.05 * (high - low) : low + 1];
  }

  function drawThumb(context, image, x, y, side, frame) {
    const picture = thumb(image);
    context.fillStyle = frame;
    context.fillRect(x - side / 2 - 1.5, y - side / 2 - 1.5, side + 3, side + 3);
    if (!picture) return;
    const least = Math.min(picture.naturalWidth, picture.naturalHeight);
    context.imageSmoothingQuality = "high";
    context.drawImage(
      picture, (picture.naturalWidth - least) / 2, (picture.naturalHeight - least) / 2, least, least,
      x - side / 2, y - side / 2, side, side,
    );
  }

  /** From the unpruned probability to the one without the head. */
  function stems(context, head, found, x, y, colours) {
    const radius = step > 6 ? 2.4 : step > 1 ? 1.4 : 0.9;
    const line = step > 3 ? colours.pale : colours.spread;
    context.lineWidth = Math.min(1, 1.5 * step); // thousands of lines must not add up to a block
    found.order.forEach((image, i) => {
      const without = atlas.probabilityOf(image, head);
      if (Number.isNaN(without)) return;
      context.strokeStyle = line;
      context.beginPath();
      context.moveTo(x(i), y(found.scores[image]));
      context.lineTo(x(i), y(without));
      context.stroke();
      dotAt(context, x(i), y(without), radius, colours.orange);
    });
    context.lineWidth = 1;
  }

  function points(context, state, found, x, y, colours) {
    found.order.forEach((image, i) => {
      const score = found.scores[image];
      if (!Number.isNaN(score)) dotAt(context, x(i), y(score), step > 6 ? 3 : step > 1 ? 1.7 : 1.1, colours.dot);
    });
    for (const [image, colour] of [[state.image, colours.accent], [state.seen, colours.text]]) {
      if (image >= 0 && !Number.isNaN(found.scores[image])) {
        dotAt(context, x(found.place[image]), y(found.scores[image]), 5, colour, colours.paper);
      }
    }
  }

  /** Thumbnails below the axis, where there are few images. */
  function shelf(plot, state, found, x, colours) {
    const side = Math.min(THUMB.side, step - 5);
    found.order.forEach((image, i) => {
      const frame = image === state.image ? colours.accent : image === state.seen ? colours.text : colours.line;
      drawThumb(plot.context, image, x(i), plot.height - side / 2 - 3, side, frame);
    });
  }

  return {
    title(state, head) {
      const metric = atlas.metrics[atlas.metricIndex(state.metric)];
      return chance
        ? `Images by P; orange: without ${atlas.labelOf(head)}`
        : `Images by ${metric.title} ${atlas.preview ? "of" : "without"} ${atlas.labelOf(head)}`;
    },

    draw(state, head, colours) {
      const plot = beginPlot(canvas, colours);
      if (!plot || !atlas.images.length) return;
      const { context, width, height } = plot;
      const found = arranged(state, head);
      const [low, high] = range(state, head, found.scores);
      step = (width - SHOTS_EDGE.left - SHOTS_EDGE.right) / found.order.length;
      const few = found.order.length <= THUMB.most;
      const bottom = height - (few ? Math.min(THUMB.side, step - 5) + 2 * THUMB.gap : SHOTS_EDGE.bottom);
      const x = (i) => SHOTS_EDGE.left + (i + 0.5) * step;
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - SHOTS_EDGE.top);
      yAxis(context, niceTicks(low, high, 4), y, SHOTS_EDGE.left, width - SHOTS_EDGE.right, colours);
      if (few) shelf(plot, state, found, x, colours);
      else {
        context.textAlign = "center";
        context.fillStyle = colours.faint;
        context.fillText(`${atlas.images.length} images in this order`, (SHOTS_EDGE.left + width) / 2, height - 8);
      }
      if (chance) stems(context, head, found, x, y, colours);
      points(context, state, found, x, y, colours);
    },

    /** Index of the image under a position, or -1. */
    hit(x, y) {
      const i = Math.floor((x - SHOTS_EDGE.left) / step);
      const inside = y > 0 && y < canvas.clientHeight;
      return inside && i >= 0 && i < held.order.length ? held.order[i] : -1;
    },

    /** The image `by` places further in this order. */
    next(image, by) {
      const place = (held.place[image] ?? 0) + by;
      return held.order[Math.max(0, Math.min(held.order.length - 1, place))] ?? image;
    },

    /** Name, class and number of an image, for the label beside the pointer. */
    words(state, image, format) {
      const one = atlas.images[image];
      const head = atlas.headIndex(state.layer, state.head);
      const metric = atlas.metrics[atlas.metricIndex(state.metric)];
      const effect = `${metric.title} ${atlas.preview ? "of" : "without"} ${atlas.labelOf(head)}: ${format(atlas.valueOf(atlas.metricIndex(state.metric), image, head))}`;
      if (!chance) return [one.name, effect];
      const change = `P(${classOf(one)}) ${format(one.probability)} → ${format(atlas.probabilityOf(image, head))}`;
      return [one.name, change, effect];
    },
  };
}
