/** Mouse, pen and touch on the matrix, the curves, the ranking and the two maps. */
import { pointerOn } from "../heads/plot.js";

/** @param {{grid, curve, strong, maps}} charts null where there is nothing to show */
export function listenToAttending(part, { grid, curve, strong, maps }, desk, signal) {
  const on = (element, name, handler) => element.addEventListener(name, handler, { signal });

  function point(changes) {
    const now = desk.state();
    if (Object.keys(changes).some((name) => changes[name] !== now[name])) desk.set(changes);
  }

  /** Heads under a pointer: hover looks, a click chooses, a click on the chosen one opens it. */
  function heads(canvas, hit) {
    on(canvas, "pointermove", (event) => point({ pointed: hit(...pointerOn(event, canvas)) }));
    on(canvas, "pointerleave", () => point({ pointed: -1 }));
    on(canvas, "click", (event) => {
      const head = hit(...pointerOn(event, canvas));
      if (head >= 0) desk.choose(head);
    });
  }

  if (grid) heads(part("grid"), grid.hit);
  if (curve) heads(part("layers"), (x) => curve.hit(x));
  if (strong) heads(part("strong"), (_, y) => strong.hit(y));
  if (!maps) return;
  maps.canvases.forEach((canvas, which) => {
    const patchOf = (event) => maps.patchAt(which, ...pointerOn(event, canvas));
    on(canvas, "pointermove", (event) => {
      const patch = patchOf(event);
      if (patch < 0) return;
      if (desk.state().pinned) point({ pointedPatch: patch });
      else point({ query: patch, pointedPatch: -1 });
    });
    on(canvas, "click", (event) => {
      const patch = patchOf(event);
      if (patch < 0) return;
      const { pinned, query } = desk.state();
      if (pinned && patch === query) desk.set({ pinned: false, pointedPatch: -1 });
      else desk.set({ query: patch, pinned: true, pointedPatch: -1 });
    });
    on(canvas, "pointerleave", () => point({ pointedPatch: -1 }));
  });
}
