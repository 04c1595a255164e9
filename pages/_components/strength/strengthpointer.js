/** Mouse, pen and touch on the charts: hover reads, click selects. */
import { pointerOn } from "../heads/plot.js";

/** A small label beside the pointer, with a thumbnail where there is one. */
function placeTip(part, lines, source, event) {
  const tip = part("tip");
  tip.hidden = !lines.length;
  if (!lines.length) return;
  part("tipImage").hidden = !source;
  if (source && part("tipImage").dataset.src !== source) {
    part("tipImage").dataset.src = source;
    part("tipImage").src = source;
  }
  part("tipWords").replaceChildren(...lines.map((text) => {
    const line = document.createElement("span");
    line.textContent = text;
    return line;
  }));
  const frame = tip.parentElement.getBoundingClientRect();
  const x = event.clientX - frame.left - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(0, Math.min(x, frame.width - tip.offsetWidth))}px`;
  tip.style.top = `${Math.max(0, event.clientY - frame.top - tip.offsetHeight - 16)}px`;
}

/**
 * @param {(name: string) => HTMLElement} part
 * @param {{byLayer, pictures, hops, offsets}} charts
 * @param {{profile, base, deeds, set, schedule, state}} bench
 */
export function listenToStrength(part, charts, bench, signal) {
  const on = (element, name, handler) => element.addEventListener(name, handler, { signal });
  const hide = () => placeTip(part, [], "", null);

  const layers = part("byLayer");
  const headAt = (event) => charts.byLayer.hit(...pointerOn(event, layers));
  const point = (head) => { if (head !== bench.state().pointed) bench.set({ pointed: head }); };
  on(layers, "pointermove", (event) => point(headAt(event)));
  on(layers, "pointerleave", () => point(-1));
  on(layers, "click", (event) => { if (headAt(event) >= 0) bench.deeds.choose(headAt(event)); });
  on(layers, "dblclick", (event) => { if (headAt(event) >= 0) bench.deeds.open(); });

  const shots = part("pictures");
  const imageAt = (event) => charts.pictures.hit(...pointerOn(event, shots));
  function see(event, seen) {
    if (seen !== bench.state().seen) bench.set({ seen });
    if (seen < 0) hide();
    else placeTip(part, charts.pictures.words(bench.state(), seen), `${bench.base}${bench.profile.images[seen].src}`, event);
  }
  on(shots, "pointermove", (event) => see(event, imageAt(event)));
  on(shots, "pointerleave", (event) => see(event, -1));
  on(shots, "click", (event) => { if (imageAt(event) >= 0) bench.deeds.image(imageAt(event)); });

  const bars = part("hops");
  on(bars, "pointermove", (event) => {
    if (charts.hops.point(pointerOn(event, bars)[0])) bench.schedule();
    const words = charts.hops.words(bench.state());
    placeTip(part, words ? [words] : [], "", event);
  });
  on(bars, "pointerleave", () => {
    if (charts.hops.point(null)) bench.schedule();
    hide();
  });

  const offsets = part("offsets");
  on(offsets, "pointermove", (event) => {
    const words = charts.offsets.words(...pointerOn(event, offsets));
    placeTip(part, words ? [words] : [], "", event);
  });
  on(offsets, "pointerleave", hide);
}
