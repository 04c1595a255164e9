/** Where copies lie: the layout as text, and places that keep copies whole and apart. */

/** A layout as one word of an address, as Python writes it. */
export function textOfLayout({ object, share, ground, seed, snapped, side, places }) {
  const listed = places.map(([row, column]) => `${row}.${column}`).join("_");
  return [object, share, ground, seed, snapped ? "grid" : "free", side, listed].join("~");
}

/** The layout of such a word. */
export function layoutOfText(text) {
  const [object, share, ground, seed, way, side, listed] = text.split("~");
  const places = listed ? listed.split("_").map((one) => one.split(".").map(Number)) : [];
  return { object, share: Number(share), ground, seed: Number(seed), snapped: way === "grid", side: Number(side), places };
}

/**
 * Rules of places on a canvas.
 * @param {{input: number[], patch: number[], box: number[]}} canvas sizes in pixels, rows first
 */
export function rulesOfPlaces({ input, patch, box }) {
  const stepOf = (snapped) => (snapped ? patch : [1, 1]);

  /** The nearest corner on the grid of steps where a copy is whole. */
  function inside(at, snapped) {
    return stepOf(snapped).map((step, axis) => {
      const last = Math.floor(Math.max(0, input[axis] - box[axis]) / step);
      return step * Math.max(0, Math.min(last, Math.floor(at[axis] / step + 0.5)));
    });
  }

  /** Whether a copy at `at` shares a step with one of the others: a pixel, or on the grid a patch. */
  function collides(at, others, snapped) {
    const step = stepOf(snapped);
    const span = (place) => step.map((one, axis) => Math.floor(place[axis] / one));
    const length = step.map((one, axis) => Math.ceil(box[axis] / one));
    const own = span(at);
    return others.some((other) => span(other).every((start, axis) => own[axis] < start + length[axis] && start < own[axis] + length[axis]));
  }

  /** The free place nearest to `near`, or null. Off the grid, places lie otherwise on the patches. */
  function room(others, snapped, near) {
    let best = null;
    const shift = snapped ? [0, 0] : patch.map((side, axis) => Math.floor((side * (axis + 1 + others.length)) / 5) % side);
    for (let row = 0; row * patch[0] + box[0] <= input[0]; row += 1) {
      for (let column = 0; column * patch[1] + box[1] <= input[1]; column += 1) {
        const at = inside([row * patch[0] + shift[0], column * patch[1] + shift[1]], snapped);
        if (collides(at, others, snapped)) continue;
        const far = (at[0] - near[0]) ** 2 + (at[1] - near[1]) ** 2;
        if (!best || far < best.far) best = { at, far };
      }
    }
    return best?.at ?? null;
  }

  /** All places brought to the grid, or left as they are off it; what finds no room is left out. */
  function settled(places, snapped) {
    const kept = [];
    for (const place of places) {
      const at = inside(place, snapped);
      const free = collides(at, kept, snapped) ? room(kept, snapped, place) : at;
      if (free) kept.push(free);
    }
    return kept;
  }

  return { inside, collides, room, settled };
}

/** The copy whose box holds a position in pixels, the last laid first; -1 for none. */
export function copyAt(places, box, [row, column]) {
  for (let i = places.length - 1; i >= 0; i -= 1) {
    const [top, left] = places[i];
    if (row >= top && row < top + box[0] && column >= left && column < left + box[1]) return i;
  }
  return -1;
}
