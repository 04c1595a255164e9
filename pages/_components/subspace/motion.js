/** Where points are on the way from one layout to the next. */
import { transposed, turnAll } from "./turning.js";

const MOTION_MS = 520;
const AXIS_REACH = 1.06; // of the radius that holds almost all points
const HELD_INSIDE = 0.98;

/** Radius that holds almost all points. */
function reachOf(coordinates) {
  const far = [];
  for (let i = 0; i < coordinates.length; i += 3) far.push(Math.hypot(coordinates[i], coordinates[i + 1], coordinates[i + 2]));
  far.sort((a, b) => a - b);
  return far[Math.floor(HELD_INSIDE * (far.length - 1))] || 1;
}

/** Patches, then the ends of the three axes, in units of the reach; flat ones have no depth. */
export function targetOf(layout, part, place, flat) {
  const raw = layout.coordinates(part, place);
  const reach = reachOf(raw);
  const found = new Float32Array(raw.length + 9);
  for (let i = 0; i < raw.length; i += 3) {
    found[i] = raw[i] / reach;
    found[i + 1] = -raw[i + 1] / reach; // up on the screen
    found[i + 2] = flat ? 0 : raw[i + 2] / reach;
  }
  for (let axis = 0; axis < 3; axis += 1) found[raw.length + 4 * axis] = AXIS_REACH * (axis === 1 ? -1 : 1);
  if (flat) found[raw.length + 8] = 0;
  else turnAll(found, mirrored(layout.turns[part][place]));
  return { points: found, reach };
}

/** The turn of a layout whose second coordinate points down. */
function mirrored(turn) {
  const sign = [1, -1, 1];
  return turn.map((row, i) => row.map((one, j) => one * sign[i] * sign[j]));
}

/** Turn that lays a point's own components along the screen's axes. */
export function uprightTurn(layout, part, place) {
  return transposed(mirrored(layout.turns[part][place]));
}

export function createMotion() {
  const still = window.matchMedia?.("(prefers-reduced-motion: reduce)").matches;
  let from = null;
  let to = null;
  let shown = null;
  let began = 0;

  return {
    /** Goes to another layout; at once where there is none before, or of another size. */
    go(target, now) {
      if (!shown || shown.length !== target.length || still) {
        shown = target.slice();
        to = null;
        return;
      }
      from = shown.slice();
      to = target;
      began = now;
    },
    /** Turns what is shown, so that another view of it looks the same. */
    turn(matrix) {
      if (shown) turnAll(shown, matrix);
    },
    /** Where everything is now. */
    at(now) {
      if (!to) return shown;
      const share = Math.min(1, Math.max(0, (now - began) / MOTION_MS));
      const eased = share * share * (3 - 2 * share);
      for (let i = 0; i < shown.length; i += 1) shown[i] = from[i] + (to[i] - from[i]) * eased;
      if (share >= 1) to = null;
      return shown;
    },
    moving: () => to !== null,
  };
}
