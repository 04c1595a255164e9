/** Patches as points in two or three components, turned by hand, on one canvas. */
import { beginPlot, dotAt, niceTicks, plate, tickText, yAxis } from "../heads/plot.js";
import { createMotion, targetOf } from "./motion.js";
import { turnInUse } from "./subspacestate.js";

const ROOM = 0.86; // of half the smaller side that the cloud fills at zoom 1
const NEARNESS = 0.24; // how much nearer things look larger
const HIT_PX = 11;
const FLAT_EDGE = { left: 48, bottom: 34, top: 8, right: 8 };

export function createPointCloud(canvas, layout) {
  const motion = createMotion();
  const count = layout.patches;
  let dots = new Float32Array(3 * (count + 3)); // x, y on the canvas and depth
  let reach = 1;
  let frame = null;

  /** Where a direction lies: right, down, and at the viewer. */
  function project(vectors, turn, state) {
    const { middle, size } = frame;
    for (let i = 0; i < vectors.length; i += 3) {
      const [x, y, z] = [vectors[i], vectors[i + 1], vectors[i + 2]];
      const depth = x * turn[0][2] + y * turn[1][2] + z * turn[2][2];
      const scale = state.flat ? size : size / Math.max(0.3, 1 - NEARNESS * depth);
      dots[i] = middle[0] + (x * turn[0][0] + y * turn[1][0] + z * turn[2][0]) * scale;
      dots[i + 1] = middle[1] + (x * turn[0][1] + y * turn[1][1] + z * turn[2][1]) * scale;
      dots[i + 2] = depth;
    }
  }

  function frameOf(width, height, state) {
    const edge = state.flat ? FLAT_EDGE : { left: 0, bottom: 0, top: 0, right: 0 };
    const wide = width - edge.left - edge.right;
    const high = height - edge.top - edge.bottom;
    return {
      width, height, edge, wide, high,
      middle: [edge.left + wide / 2 + state.pan[0], edge.top + high / 2 + state.pan[1]],
      size: (Math.min(wide, high) / 2) * ROOM * state.zoom,
    };
  }

  function shareText(state, axis) {
    const share = layout.explained[layout.partAt(state.part)][layout.placeOf(state.point)][axis] ?? 0;
    return `PC${axis + 1} ${(100 * share).toFixed(share < 0.095 ? 1 : 0)} %`;
  }

  function drawAxes(context, state, colours) {
    for (let axis = 0; axis < 3; axis += 1) {
      const at = 3 * (count + axis);
      const [x, y] = [dots[at], dots[at + 1]];
      const [ox, oy] = frame.middle;
      context.strokeStyle = colours.line;
      context.lineWidth = 1.2;
      context.beginPath();
      context.moveTo(2 * ox - x, 2 * oy - y);
      context.lineTo(x, y);
      context.stroke();
      context.lineWidth = 1;
      const left = x + (x < ox ? -62 : 4);
      plate(context, shareText(state, axis), left, Math.max(9, Math.min(frame.height - 9, y)), frame.width, colours, colours.faint);
    }
  }

  /** Numbers along the edges of a flat layout, in the units of the part. */
  function drawTicks(context, state, colours) {
    const { edge, middle, size, width, height } = frame;
    const right = width - edge.right;
    const bottom = height - edge.bottom;
    const unit = size / reach;
    const low = (bottom - middle[1]) / -unit;
    const high = (edge.top - middle[1]) / -unit;
    yAxis(context, niceTicks(Math.min(low, high), Math.max(low, high), 6), (value) => middle[1] - value * unit, edge.left, right, colours);
    context.textAlign = "center";
    for (const tick of niceTicks((edge.left - middle[0]) / unit, (right - middle[0]) / unit, 7)) {
      const x = Math.round(middle[0] + tick * unit) + 0.5;
      context.strokeStyle = colours.line;
      context.beginPath();
      context.moveTo(x, edge.top);
      context.lineTo(x, bottom);
      context.stroke();
      context.fillStyle = colours.faint;
      context.fillText(tickText(tick), x, bottom + 10);
    }
    context.fillText(`${shareText(state, 0)} of the variance`, (edge.left + right) / 2, height - 7);
    context.save();
    context.translate(9, (edge.top + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(`${shareText(state, 1)} of the variance`, 0, 0);
    context.restore();
  }

  function radiusOf(depth, state) {
    const base = count > 900 ? 2.4 : count > 400 ? 3.2 : 4.4;
    return base * state.zoom ** 0.35 * (state.flat ? 1 : 1 / Math.max(0.4, 1 - NEARNESS * depth));
  }

  function drawDots(context, state, colours, inks) {
    const order = Array.from({ length: count }, (_, i) => i);
    // Patches of no object are the ground: the others lie over them.
    const ground = (patch) => inks[patch] === layout.noInk;
    order.sort((a, b) => (state.flat ? ground(b) - ground(a) : dots[3 * a + 2] - dots[3 * b + 2]));
    for (const patch of order) {
      const depth = dots[3 * patch + 2];
      const [x, y] = [dots[3 * patch], dots[3 * patch + 1]];
      const shade = state.flat ? 0.9 : Math.max(0.35, Math.min(1, 0.74 + 0.28 * depth));
      context.globalAlpha = ground(patch) ? shade * 0.5 : shade;
      dotAt(context, x, y, radiusOf(depth, state), inks[patch], colours.paper);
    }
    context.globalAlpha = 1;
  }

  function ring(context, patch, state, ink, colours) {
    if (patch < 0) return;
    const [x, y, depth] = dots.subarray(3 * patch, 3 * patch + 3);
    const radius = radiusOf(depth, state) + 3;
    context.lineWidth = 4;
    dotAt(context, x, y, radius, null, colours.paper);
    context.lineWidth = 2;
    dotAt(context, x, y, radius, null, ink);
    context.lineWidth = 1;
  }

  return {
    /** Goes to the layout that the state names. */
    go(state, now) {
      const target = targetOf(layout, layout.partAt(state.part), layout.placeOf(state.point), state.flat);
      reach = target.reach;
      motion.go(target.points, now);
    },
    turn: (matrix) => motion.turn(matrix),
    moving: () => motion.moving(),
    draw(state, now, colours) {
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context } = plot;
      frame = frameOf(plot.width, plot.height, state);
      const shown = motion.at(now);
      if (dots.length !== shown.length) dots = new Float32Array(shown.length);
      project(shown, turnInUse(state), state);
      if (state.flat) {
        drawTicks(context, state, colours);
        context.save();
        context.beginPath();
        context.rect(frame.edge.left, frame.edge.top, frame.wide, frame.high);
        context.clip();
      } else drawAxes(context, state, colours);
      drawDots(context, state, colours, layout.inksOf(state.tint));
      ring(context, state.pinned, state, colours.orange, colours);
      ring(context, state.pointed, state, colours.text, colours);
      if (state.flat) context.restore();
    },
    /** The patch whose point is nearest to a position, the foremost of near ones; or -1. */
    hit(x, y) {
      let best = -1;
      let least = HIT_PX;
      for (let patch = 0; patch < count; patch += 1) {
        const far = Math.hypot(dots[3 * patch] - x, dots[3 * patch + 1] - y) - 0.8 * dots[3 * patch + 2];
        if (far < least) { least = far; best = patch; }
      }
      return best;
    },
    dots: () => Array.from({ length: count }, (_, patch) => [dots[3 * patch], dots[3 * patch + 1]]),
    middle: () => frame?.middle ?? [0, 0],
  };
}
