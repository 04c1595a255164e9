/** Mouse, pen and touch on the picture and on the matrix. */
import { patchAt } from "./geometry.js";

const CLICK_REACH = 5;

function position(event, element) {
  const frame = element.getBoundingClientRect();
  return [event.clientX - frame.left, event.clientY - frame.top];
}

/**
 * On the picture: a mouse hovers, drags to pan and clicks to pin; one finger moves the query and
 * pins it when lifted after a tap, two fingers zoom and pan.
 * @param {{hover, pin, pan, zoom, leave}} act what the lens does
 */
export function listenToStage(element, stage, record, act, signal) {
  const down = new Map();
  let moved = 0;
  let spread = 0;

  const on = (name, handler, options = {}) => element.addEventListener(name, handler, { signal, ...options });

  function patchUnder(event) {
    const [x, y] = stage.toPicture(...position(event, element));
    return patchAt(record(), x, y);
  }

  function pinch(event) {
    const [first, second] = [...down.values()];
    const now = Math.hypot(first.x - second.x, first.y - second.y);
    const frame = element.getBoundingClientRect();
    const middle = [(first.x + second.x) / 2 - frame.left, (first.y + second.y) / 2 - frame.top];
    if (spread) act.zoom(...middle, now / spread);
    spread = now;
    event.preventDefault();
  }

  on("pointerdown", (event) => {
    if (event.button > 0) return;
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 1) moved = 0;
    spread = 0;
  });

  // Chromium sends pointermove once a frame; the raw event comes up to a frame earlier, so that
  // a row is on its way, or painted, when the frame begins. Where it is unknown nothing is lost.
  on("pointerrawupdate", (event) => {
    if (!down.size) act.hover(patchUnder(event), event.timeStamp);
  });

  on("pointermove", (event) => {
    const held = down.get(event.pointerId);
    if (!held) {
      act.hover(patchUnder(event), event.timeStamp);
      return;
    }
    const dx = event.clientX - held.x;
    const dy = event.clientY - held.y;
    moved += Math.hypot(dx, dy);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 2) pinch(event);
    else if (event.pointerType === "touch") act.hover(patchUnder(event), event.timeStamp);
    else if (moved > CLICK_REACH) act.pan(dx, dy);
  });

  function lift(event) {
    const held = down.delete(event.pointerId);
    if (!held || event.type === "pointercancel") return;
    if (moved <= CLICK_REACH && down.size === 0) act.pin(patchUnder(event));
  }
  on("pointerup", lift);
  on("pointercancel", lift);
  on("pointerleave", () => { if (!down.size) act.leave(); });
  on("wheel", (event) => {
    event.preventDefault();
    act.zoom(...position(event, element), Math.exp(-event.deltaY * 0.0015));
  }, { passive: false });
}

/** On the matrix: hover reads a value, click chooses the head, shift-click takes it into the mean. */
export function listenToMatrix(canvas, matrix, act, signal) {
  const hit = (event) => matrix.hit(...position(event, canvas));
  canvas.addEventListener("pointermove", (event) => act.point(hit(event)), { signal });
  canvas.addEventListener("pointerleave", () => act.point(null), { signal });
  canvas.addEventListener("click", (event) => {
    const found = hit(event);
    if (found) act.choose(found.layer, found.head, event.shiftKey || event.ctrlKey || event.metaKey);
  }, { signal });
}
