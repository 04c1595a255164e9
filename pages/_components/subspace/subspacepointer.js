/** Mouse, pen and touch: turn and zoom the cloud, hover and pin patches, choose points. */
import { pointerOn } from "../heads/plot.js";

const STEADY_PX = 4; // a press that moves less is a click
const WHEEL_SPEED = 0.0016;

export function listenToCloud(canvas, cloud, desk, signal) {
  const { state, set, deeds } = desk;
  const on = (name, handler, more = {}) => canvas.addEventListener(name, handler, { signal, ...more });
  let press = null;

  on("pointerdown", (event) => {
    if (event.button !== 0) return;
    const [x, y] = pointerOn(event, canvas);
    press = { x, y, lastX: x, lastY: y, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  on("pointermove", (event) => {
    const [x, y] = pointerOn(event, canvas);
    if (!press) {
      const patch = cloud.hit(x, y);
      if (patch !== state().pointed) set({ pointed: patch });
      return;
    }
    if (!press.moved && Math.hypot(x - press.x, y - press.y) < STEADY_PX) return;
    press.moved = true;
    canvas.classList.add("turning");
    deeds.drag(x - press.lastX, y - press.lastY);
    press.lastX = x;
    press.lastY = y;
  });
  function release(event) {
    const done = press;
    press = null;
    canvas.classList.remove("turning");
    if (done && !done.moved && event.type === "pointerup") deeds.pin(cloud.hit(...pointerOn(event, canvas)));
  }
  on("pointerup", release);
  on("pointercancel", release);
  on("pointerleave", () => { if (!press) set({ pointed: -1 }); });
  on("dblclick", (event) => deeds.open(cloud.hit(...pointerOn(event, canvas))));
  on("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * WHEEL_SPEED);
    deeds.zoomAt(...pointerOn(event, canvas), factor);
  }, { passive: false });
}

/** @param {{part, picture, spectrum, lines: [HTMLCanvasElement, object][]}} charts */
export function listenToCharts({ part, picture, spectrum, lines }, desk, signal) {
  const { state, set, deeds } = desk;
  const on = (element, name, handler) => element.addEventListener(name, handler, { signal });
  const change = (changes) => { if (Object.keys(changes).some((name) => state()[name] !== changes[name])) set(changes); };

  const photo = part("photo");
  const patchOf = (event) => picture.patchAt(...pointerOn(event, photo));
  on(photo, "pointermove", (event) => change({ pointed: patchOf(event) }));
  on(photo, "pointerleave", () => change({ pointed: -1 }));
  on(photo, "click", (event) => deeds.pin(patchOf(event)));
  on(photo, "dblclick", (event) => deeds.open(patchOf(event)));

  const bars = part("spectrum");
  on(bars, "pointermove", (event) => change({ pointedRank: spectrum.rankAt(pointerOn(event, bars)[0]) }));
  on(bars, "pointerleave", () => change({ pointedRank: -1 }));

  for (const [canvas, chart] of lines) {
    on(canvas, "pointermove", (event) => change({ pointedPoint: chart.pointAt(pointerOn(event, canvas)[0]) }));
    on(canvas, "pointerleave", () => change({ pointedPoint: -1 }));
    on(canvas, "click", (event) => { if (chart.pointAt(pointerOn(event, canvas)[0]) >= 0) deeds.goTo(chart.pointAt(pointerOn(event, canvas)[0])); });
  }
}
