/** Mouse, pen and touch on the plane: hover, zoom, pan, click, and a line around points. */
import { pointerOn } from "../heads/plot.js";
import { panWindow, placeAt, zoomWindow } from "./space.js";

const CLICK_PX = 4; // a press that moves less is a click
const LASSO_STEP = 5; // px between corners of the line
const WHEEL_RATE = 0.0016;

/** @param {{state, set, deeds, plane, box: HTMLElement}} board */
export function listenToPlane(canvas, board, signal) {
  const { state, set, deeds, plane } = board;
  const on = (name, handler, more = {}) => canvas.addEventListener(name, handler, { signal, ...more });
  let press = null;

  function point(event, x, y) {
    const { head, row } = plane.hit(state().view, x, y);
    if (head !== state().pointedHead || row !== state().pointed) {
      set({ pointedHead: head, pointed: row, at: event.timeStamp });
    }
  }

  on("pointerdown", (event) => {
    if (event.button !== 0) return;
    const [x, y] = pointerOn(event, canvas);
    press = { x, y, lastX: x, lastY: y, moved: false, lasso: event.shiftKey };
    canvas.setPointerCapture(event.pointerId);
    if (press.lasso) set({ lasso: [placeAt(plane.box, state().view, x, y)], inside: [] });
  });

  on("pointermove", (event) => {
    const [x, y] = pointerOn(event, canvas);
    if (!press) { point(event, x, y); return; }
    if (!press.moved && Math.hypot(x - press.x, y - press.y) < CLICK_PX) return;
    press.moved = true;
    if (press.lasso) {
      if (Math.hypot(x - press.lastX, y - press.lastY) < LASSO_STEP) return;
      set({ lasso: [...state().lasso, placeAt(plane.box, state().view, x, y)], at: event.timeStamp });
    } else {
      board.box.classList.add("panning");
      set({ view: panWindow(plane.box, state().view, x - press.lastX, y - press.lastY), pointed: -1, pointedHead: -1, at: event.timeStamp });
    }
    press.lastX = x;
    press.lastY = y;
  });

  function release(event) {
    if (!press) return;
    const done = press;
    press = null;
    board.box.classList.remove("panning");
    if (event.type === "pointercancel") return;
    if (done.lasso) deeds.closeLasso();
    else if (!done.moved) {
      const { head, row } = plane.hit(state().view, ...pointerOn(event, canvas));
      deeds.choose(head, row);
    }
  }
  on("pointerup", release);
  on("pointercancel", release);
  on("pointerleave", () => { if (!press) set({ pointed: -1, pointedHead: -1 }); });

  on("dblclick", (event) => {
    const { head, row } = plane.hit(state().view, ...pointerOn(event, canvas));
    if (head >= 0 || row >= 0) deeds.open();
  });

  on("wheel", (event) => {
    event.preventDefault();
    const [x, y] = pointerOn(event, canvas);
    const lines = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * WHEEL_RATE);
    plane.moving();
    set({ view: zoomWindow(plane.box, state().view, x, y, factor), at: event.timeStamp });
  }, { passive: false });
}
