/** Mouse, pen and touch on the charts: hover lights a head up everywhere, click selects it. */
import { number } from "../lens/scale.js";
import { pointerOn } from "./plot.js";

/** A small label with the thumbnail beside the pointer. */
function showTip(part, charts, state, image, event) {
  const tip = part("tip");
  tip.hidden = image < 0;
  if (image < 0) return;
  const lines = charts.pictures.words(state, image, number);
  part("tipWords").replaceChildren(...lines.map((text) => {
    const line = document.createElement("span");
    line.textContent = text;
    return line;
  }));
  const frame = tip.parentElement.getBoundingClientRect();
  const x = event.clientX - frame.left;
  const y = event.clientY - frame.top;
  tip.style.left = `${Math.max(0, Math.min(x - tip.offsetWidth / 2, frame.width - tip.offsetWidth))}px`;
  tip.style.top = `${Math.max(0, y - tip.offsetHeight - 16)}px`;
}

/**
 * @param {(name: string) => HTMLElement} part
 * @param {{grid, ranking, perHead, pictures, side}} charts
 * @param {{atlas, base, deeds, set, schedule, state}} desk
 */
export function listenToCharts(part, charts, desk, signal) {
  const on = (element, name, handler) => element.addEventListener(name, handler, { signal });

  function heads(canvas, chart) {
    const hit = (event) => chart.hit(...pointerOn(event, canvas));
    const point = (head) => { if (head !== desk.state().pointed) desk.set({ pointed: head }); };
    on(canvas, "pointermove", (event) => point(hit(event)));
    on(canvas, "pointerleave", () => point(-1));
    on(canvas, "click", (event) => {
      const head = hit(event);
      if (head < 0) return;
      const together = event.shiftKey || event.ctrlKey || event.metaKey;
      if (together) desk.deeds.member(...desk.atlas.heads[head]);
      else desk.deeds.choose(head);
    });
    on(canvas, "dblclick", (event) => {
      if (hit(event) >= 0 && !event.shiftKey) desk.deeds.open();
    });
  }

  heads(part("grid"), charts.grid);
  heads(part("ranking"), charts.ranking);
  heads(part("perHead"), charts.perHead);

  const shots = part("pictures");
  const image = (event) => charts.pictures.hit(...pointerOn(event, shots));
  function see(event, seen) {
    if (seen !== desk.state().seen) {
      desk.set({ seen });
      if (seen >= 0) part("tipImage").src = `${desk.base}${desk.atlas.images[seen].src}`;
    }
    showTip(part, charts, desk.state(), seen, event);
  }
  on(shots, "pointermove", (event) => see(event, image(event)));
  on(shots, "pointerleave", (event) => see(event, -1));
  on(shots, "click", (event) => { if (image(event) >= 0) desk.deeds.image(image(event)); });

  const curves = part("curves");
  on(curves, "pointermove", (event) => { if (charts.side.point(pointerOn(event, curves)[0])) desk.schedule(); });
  on(curves, "pointerleave", () => { if (charts.side.point(null)) desk.schedule(); });
}
