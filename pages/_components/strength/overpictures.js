/** The selected head over the images: a histogram of dots, and the images where it is largest. */
import { beginPlot, dotAt, niceTicks, tickText } from "../heads/plot.js";
import { number } from "../lens/scale.js";
import { emptyPlot } from "./marks.js";
import { shownBy } from "./sight.js";

const STACK_EDGE = { left: 12, right: 12, top: 6, axis: 44 };
const SHELF = { columns: 4, most: 8, side: 62, gap: 6, word: 14 };
const LOWEST_STACK = 56;

export function createOverPictures(canvas, profile, base, redraw) {
  const loaded = new Map();
  let dots = []; // x, y, image
  let shelf = []; // left, top, side, image
  let radius = 4;

  /** The metric's values, or the mean distance where it has none per image. */
  function numbersOver(state) {
    const head = profile.headIndex(state.layer, state.head);
    const single = shownBy(profile, state).metric.name === "content_agnosticism";
    const shown = shownBy(profile, single ? { ...state, metric: "mean_distance" } : state);
    const factor = profile.factorOf(head, shown.unit);
    const values = profile.images.map((_, image) => profile.valueOf(shown.table, image, head) * factor);
    return { ...shown, head, values };
  }

  /** Images by value, largest first; those without a number are left out. */
  function largestFirst(values) {
    return [...values.keys()].filter((image) => !Number.isNaN(values[image]))
      .sort((a, b) => values[b] - values[a] || a - b);
  }

  function small(image) {
    if (!loaded.has(image)) {
      const picture = new Image();
      picture.onload = redraw;
      picture.src = `${base}${profile.images[image].src}`;
      loaded.set(image, picture);
    }
    const picture = loaded.get(image);
    return picture.complete && picture.naturalWidth ? picture : null;
  }

  function framed(context, image, left, top, side, frame) {
    context.fillStyle = frame;
    context.fillRect(left - 1.5, top - 1.5, side + 3, side + 3);
    const picture = small(image);
    if (!picture) return;
    const least = Math.min(picture.naturalWidth, picture.naturalHeight);
    const [x, y] = [(picture.naturalWidth - least) / 2, (picture.naturalHeight - least) / 2];
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, x, y, least, least, left, top, side, side);
  }

  /** Places of the images with the largest values, in rows; as many as leave room for the dots. */
  function arrangeShelf(plot, order) {
    const { width, height } = plot;
    const side = Math.min(SHELF.side, Math.floor((width - 4) / SHELF.columns) - SHELF.gap);
    const line = side + SHELF.word + SHELF.gap;
    const room = height - LOWEST_STACK - STACK_EDGE.axis;
    const lines = Math.max(0, Math.min(SHELF.most / SHELF.columns, Math.floor(room / line), Math.ceil(order.length / SHELF.columns)));
    const top = height - lines * line + 2;
    shelf = order.slice(0, lines * SHELF.columns).map((image, i) => ({
      left: 4 + (i % SHELF.columns) * (side + SHELF.gap),
      top: top + Math.floor(i / SHELF.columns) * line, side, image,
    }));
    return top;
  }

  function drawShelf(context, values, state, colours) {
    context.textAlign = "center";
    for (const { left, top, side, image } of shelf) {
      const own = image === state.image;
      const frame = own ? colours.accent : image === state.seen ? colours.text : colours.line;
      framed(context, image, left, top, side, frame);
      context.fillStyle = own ? colours.text : colours.faint;
      context.fillText(number(values[image]), left + side / 2, top + side + 9);
    }
  }

  function range(values) {
    const known = values.filter((value) => !Number.isNaN(value));
    const low = Math.min(...known);
    const high = Math.max(...known);
    const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 0.5;
    return [low - room, high + room];
  }

  /** Dots of nearly equal value stand on each other. */
  function stack(order, values, x, bottom, height) {
    const slots = new Map();
    radius = Math.max(1.2, Math.min(4.5, 40 / Math.sqrt(order.length)));
    const wide = 2 * radius + 1;
    const places = order.map((image) => {
      const slot = Math.round(x(values[image]) / wide);
      const level = slots.get(slot) ?? 0;
      slots.set(slot, level + 1);
      return { slot, level, image };
    });
    const rise = Math.min(wide, (height - wide) / Math.max(1, ...slots.values()));
    return places.map(({ slot, level, image }) => ({ x: slot * wide, y: bottom - radius - 2 - level * rise, image }));
  }

  return {
    title(state) {
      const { metric, head } = numbersOver(state);
      return `${profile.labelOf(head)} by image: ${metric.title}`;
    },

    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      dots = [];
      shelf = [];
      if (!plot || !profile.images.length) return;
      const { context, width, height } = plot;
      const { values, axis } = numbersOver(state);
      const order = largestFirst(values);
      if (!order.length) {
        emptyPlot(plot, "no numbers for this head", colours);
        return;
      }
      const bottom = arrangeShelf(plot, order) - STACK_EDGE.axis;
      drawShelf(context, values, state, colours);
      const [low, high] = range(values);
      const span = width - STACK_EDGE.left - STACK_EDGE.right;
      const x = (value) => STACK_EDGE.left + ((value - low) / (high - low)) * span;
      whole(context, niceTicks(low, high, 4), x, bottom, width, colours);
      dots = stack(order, values, x, bottom, bottom - STACK_EDGE.top);
      for (const dot of dots) dotAt(context, dot.x, dot.y, radius, colours.dot);
      for (const [image, colour] of [[state.image, colours.accent], [state.seen, colours.text]]) {
        const dot = dots.find((one) => one.image === image);
        if (dot) dotAt(context, dot.x, dot.y, radius + 1.5, colour, colours.paper);
      }
      const lost = values.length - order.length;
      context.textAlign = "left";
      context.fillStyle = colours.faint;
      if (shelf.length) context.fillText(`${order.length > shelf.length ? `top ${shelf.length}, ` : ""}largest first`, 3, bottom + 30);
      context.textAlign = "right";
      context.fillText(lost ? `${axis}; ${lost} without a number` : axis, width - 4, bottom + 30);
    },

    /** The image at a position: a thumbnail, or the dot nearest to it; -1 for none. */
    hit(x, y) {
      const on = shelf.find((one) => x >= one.left && x < one.left + one.side && y >= one.top && y < one.top + one.side);
      if (on) return on.image;
      let [best, nearest] = [-1, radius + 6];
      for (const dot of dots) {
        const away = Math.hypot(dot.x - x, dot.y - y);
        if (away < nearest) [best, nearest] = [dot.image, away];
      }
      return best;
    },

    /** The image `by` places further, from the smallest to the largest value. */
    next(state, by) {
      const order = largestFirst(numbersOver(state).values).reverse();
      const place = order.indexOf(state.image);
      return order[Math.max(0, Math.min(order.length - 1, place + by))] ?? state.image;
    },

    /** Name and number of an image, for the label beside the pointer. */
    words(state, image) {
      const { metric, axis, values } = numbersOver(state);
      return [profile.images[image].name, `${metric.title} ${number(values[image])} ${axis}`];
    },
  };

  function whole(context, ticks, x, bottom, width, colours) {
    context.strokeStyle = colours.pale;
    context.beginPath();
    context.moveTo(STACK_EDGE.left, bottom + 0.5);
    context.lineTo(width - STACK_EDGE.right, bottom + 0.5);
    context.stroke();
    context.textAlign = "center";
    context.fillStyle = colours.faint;
    for (const tick of ticks) {
      context.fillRect(Math.round(x(tick)), bottom, 1, 4);
      context.fillText(tickText(tick), x(tick), bottom + 12);
    }
  }
}
