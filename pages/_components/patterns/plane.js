/** The canvas of the atlas: moves the drawn scene under the pointer and marks what is chosen. */
import { sizeCanvas } from "../lens/geometry.js";
import { dotAt } from "../heads/plot.js";
import { nearestRow } from "./cloud.js";
import { headMark } from "./marks.js";
import { createScene } from "./scene.js";
import { placeAt, projection } from "./space.js";

const REST_MS = 110; // after the last movement the scene is drawn anew
const DOT_REACH = 8;
const POINT_REACH = 9;

/** @param {HTMLCanvasElement} canvas  @param {() => void} redraw asks for another frame */
export function createPlane(canvas, cloud, redraw) {
  const context = canvas.getContext("2d", { alpha: false });
  const scene = createScene(cloud);
  const box = { width: 0, height: 0 };
  let drawnFor = "";
  let resting = 0;
  let rested = true;

  const ratio = () => window.devicePixelRatio || 1;

  /** Everything but the window that the scene depends on. */
  function lookOf(state) {
    const { tint, patterns, contours, points, names, model, layer, head, theme } = state;
    return [tint, patterns, contours, points, names, names && [model, layer, head], theme, box.width, box.height, ratio()].join();
  }

  /** The scene follows at once where it must, and otherwise when the movement ends. */
  function follow(state, colours, tints) {
    const look = lookOf(state);
    const stale = look !== drawnFor;
    const moved = !scene.isFor(state.view);
    const bare = !moved && !scene.covers(state.view, box);
    if (stale || bare || (moved && rested)) {
      scene.render(state, box, ratio(), colours, tints);
      drawnFor = look;
      return;
    }
    if (moved && !resting) wait();
  }

  function wait() {
    clearTimeout(resting);
    rested = false;
    resting = setTimeout(() => { resting = 0; rested = true; redraw(); }, REST_MS);
  }

  function paintScene(state, colours) {
    const { left, top, wide, high } = scene.place(state.view);
    context.fillStyle = colours.paper;
    if (!scene.covers(state.view, box)) context.fillRect(0, 0, box.width, box.height);
    context.imageSmoothingEnabled = !scene.isFor(state.view);
    context.drawImage(scene.canvas, left, top, wide, high);
  }

  /** Points of a head: how far it moves over the plane from image to image. */
  function drawHead(head, at, colours, strong) {
    if (head < 0) return;
    const ink = strong ? colours.accent : colours.orange;
    const [u, v] = cloud.dots[head];
    const [x, y] = [at.left + u * at.wide, at.top + v * at.high];
    const rows = cloud.byHead.of(head);
    context.fillStyle = ink;
    context.strokeStyle = ink;
    context.globalAlpha = Math.max(0.06, Math.min(0.4, 8 / rows.length));
    context.beginPath();
    for (const row of rows) {
      context.moveTo(x, y);
      context.lineTo(at.left + cloud.u[row] * at.wide, at.top + cloud.v[row] * at.high);
    }
    context.stroke();
    context.globalAlpha = 1;
    const side = rows.length > 60 ? 2 : 3;
    for (const row of rows) {
      context.fillRect(at.left + cloud.u[row] * at.wide - side / 2, at.top + cloud.v[row] * at.high - side / 2, side, side);
    }
    context.lineWidth = 2;
    headMark(context, x, y, 7, cloud.heads[head][0], null, ink);
    context.lineWidth = 1;
  }

  /** A ring around one point: the selected head on the selected image, or what is pointed at. */
  function ringRow(row, at, colours, radius) {
    if (row < 0) return;
    const x = at.left + cloud.u[row] * at.wide;
    const y = at.top + cloud.v[row] * at.high;
    context.lineWidth = 2;
    dotAt(context, x, y, radius, colours.paper, colours.text);
    context.lineWidth = 1;
    dotAt(context, x, y, radius - 2.5, colours.accent, null);
  }

  function drawLasso(lasso, at, colours) {
    if (lasso.length < 2) return;
    context.beginPath();
    for (const [u, v] of lasso) context.lineTo(at.left + u * at.wide, at.top + v * at.high);
    context.closePath();
    context.fillStyle = `color-mix(in srgb, ${colours.accent} 10%, transparent)`;
    context.fill();
    context.strokeStyle = colours.accent;
    context.setLineDash([4, 3]);
    context.stroke();
    context.setLineDash([]);
  }

  return {
    box,
    mainClusters: scene.mainClusters,
    fit(width, height) {
      Object.assign(box, { width, height });
      sizeCanvas(canvas, width, height);
    },
    draw(state, colours, tints) {
      if (box.width < 40 || box.height < 40) return;
      follow(state, colours, tints);
      context.setTransform(ratio(), 0, 0, ratio(), 0, 0);
      paintScene(state, colours);
      const at = projection(box, state.view);
      const chosen = cloud.headIndex(state.model, state.layer, state.head);
      drawHead(chosen, at, colours, true);
      const pointed = state.pointedHead;
      if (pointed !== chosen) drawHead(pointed, at, colours, false);
      ringRow(cloud.rowOf(chosen, state.image), at, colours, 4.5);
      ringRow(state.pointed, at, colours, 5.5);
      drawLasso(state.lasso, at, colours);
    },
    /** Head whose dot is under a pixel, else the nearest point. */
    hit(view, x, y) {
      const at = projection(box, view);
      let head = -1;
      let least = DOT_REACH;
      cloud.dots.forEach(([u, v], i) => {
        const far = Math.hypot(at.left + u * at.wide - x, at.top + v * at.high - y);
        if (far < least) { least = far; head = i; }
      });
      if (head >= 0) return { head, row: -1 };
      const [u, v] = placeAt(box, view, x, y);
      const row = nearestRow(cloud, u, v, POINT_REACH / at.wide, POINT_REACH / at.high);
      return { head: -1, row };
    },
    /** A movement goes on: the scene waits for its end. */
    moving: wait,
    close: () => clearTimeout(resting),
  };
}
