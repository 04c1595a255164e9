/** Mouse, pen and touch on the canvas and the curves of the view of copies. */
import { pointerOn } from "../heads/plot.js";
import { copyAt } from "./twinsplaces.js";

const STILL = 4; // pixels that a click may move

/**
 * @param {(name: string) => HTMLElement} part
 * @param {{board, charts: object[], canvas, rules}} parts of the instrument
 * @param {{state, set, ask}} desk
 */
export function listenToTwins(part, { board, charts, canvas, rules }, { state, set, ask }, signal) {
  const on = (element, name, handler) => element.addEventListener(name, handler, { signal });
  const map = part("map");
  let down = null; // where a press began, and on which copy

  /** Tells what changed under the pointer; the same again paints nothing. */
  function point(changes) {
    const now = state();
    if (Object.keys(changes).some((name) => changes[name] !== now[name])) set(changes);
  }

  on(map, "pointerdown", (event) => {
    if (event.button) return;
    const place = pointerOn(event, map);
    const pixel = board.pixelAt(...place);
    down = { place, pixel, copy: copyAt(state().layout.places, canvas.box, pixel), id: event.pointerId };
    if (down.copy >= 0) map.setPointerCapture(event.pointerId);
  });

  function dragTo(event) {
    const { layout, drag } = state();
    const pixel = board.pixelAt(...pointerOn(event, map));
    const start = drag?.from ?? layout.places[down.copy];
    const at = rules.inside(start.map((one, axis) => one + pixel[axis] - down.pixel[axis]), layout.snapped);
    const others = layout.places.filter((_, copy) => copy !== down.copy);
    const fits = !rules.collides(at, others, layout.snapped);
    const places = layout.places.map((place, copy) => (copy === down.copy && fits ? at : place));
    set({ layout: { ...layout, places }, selected: down.copy, drag: { from: start, at, fits }, pointed: -1, said: "" });
  }

  on(map, "pointermove", (event) => {
    const [x, y] = pointerOn(event, map);
    if (down && down.copy >= 0) {
      const far = Math.hypot(x - down.place[0], y - down.place[1]);
      if (state().drag || far > STILL) dragTo(event);
      return;
    }
    const over = copyAt(state().layout.places, canvas.box, board.pixelAt(x, y)) >= 0;
    map.style.cursor = over ? "grab" : "crosshair";
    point({ pointed: board.patchAt(x, y) });
  });
  on(map, "pointerup", (event) => {
    if (!down) return;
    const patch = board.patchAt(...pointerOn(event, map));
    if (state().drag) set({ drag: null, said: state().drag.fits ? "" : "Another copy is there." });
    else if (patch >= 0) ask(patch, down.copy);
    down = null;
  });
  on(map, "pointercancel", () => {
    down = null;
    if (state().drag) set({ drag: null });
  });
  on(map, "pointerleave", () => { if (!down) point({ pointed: -1 }); });

  for (const { chart, element } of charts) {
    const pointOf = (event) => chart.pointAt(pointerOn(event, element)[0]);
    on(element, "pointermove", (event) => point({ pointedPoint: pointOf(event) }));
    on(element, "click", (event) => { if (pointOf(event) >= 0) set({ point: pointOf(event) }); });
    on(element, "pointerleave", () => point({ pointedPoint: -1 }));
  }
}
