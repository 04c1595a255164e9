/** Mouse, pen and touch on the map, the strip and the curves. */
import { pointerOn } from "../heads/plot.js";

/**
 * @param {(name: string) => HTMLElement} part
 * @param {{big, strip, curve}} charts null where there is nothing to show
 * @param {{state, set}} desk
 */
export function listenToBinding(part, { big, strip, curve }, { state, set }, signal) {
  const on = (element, name, handler) => element.addEventListener(name, handler, { signal });

  /** Tells what changed under the pointer; the same again paints nothing. */
  function point(changes) {
    const now = state();
    if (Object.keys(changes).some((name) => changes[name] !== now[name])) set(changes);
  }

  if (big) {
    const canvas = part("map");
    const patchOf = (event) => big.patchAt(...pointerOn(event, canvas));
    on(canvas, "pointermove", (event) => {
      const patch = patchOf(event);
      if (patch < 0) return;
      if (state().pinned) point({ pointed: patch });
      else point({ query: patch, pointed: -1 });
    });
    on(canvas, "click", (event) => {
      const patch = patchOf(event);
      if (patch < 0) return;
      const { pinned, query } = state();
      if (pinned && patch === query) set({ pinned: false, pointed: -1 });
      else set({ query: patch, pinned: true, pointed: -1 });
    });
    on(canvas, "pointerleave", () => point({ pointed: -1 }));
  }

  if (strip) {
    const canvas = part("strip");
    const pointOf = (event) => strip.pointAt(...pointerOn(event, canvas));
    on(canvas, "pointermove", (event) => point({ pointedPoint: pointOf(event) }));
    on(canvas, "click", (event) => { if (pointOf(event) >= 0) set({ point: pointOf(event) }); });
    on(canvas, "pointerleave", () => point({ pointedPoint: -1 }));
  }

  if (curve) {
    const canvas = part("curves");
    const hit = (event) => curve.hit(...pointerOn(event, canvas));
    on(canvas, "pointermove", (event) => {
      const { point: at, row } = hit(event);
      point({ pointedPoint: at, pointedRow: row });
    });
    on(canvas, "click", (event) => { if (hit(event).point >= 0) set({ point: hit(event).point }); });
    on(canvas, "pointerleave", () => point({ pointedPoint: -1, pointedRow: "" }));
  }
}
