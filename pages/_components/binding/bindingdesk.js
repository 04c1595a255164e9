/** Joins state, picture and charts. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `binding:painted` on its element (bubbling,
 * composed). `detail` holds
 *   picture, study     ids of what is shown, or null
 *   probe, point, measure, query, pinned, pointed, truth   what is chosen
 *   chance             P(same object) of the patch under the pointer, or of the query with itself
 *   place              of the picture on the large map's canvas: left, top, width, height
 *   cells              of the small maps on their canvas
 *   done               fits so far
 */
import { cssColour, decodePalette } from "../lens/scale.js";
import { listenToKeys } from "../lens/listening.js";
import { plotColours } from "../heads/plot.js";
import { bindingView, carryBinding, firstBinding } from "./bindingstate.js";
import { createBigMap } from "./bigmap.js";
import { createPointStrip } from "./pointstrip.js";
import { createProbeCurve } from "./probecurve.js";
import { createRowList } from "./rowlist.js";
import { createBindingFacts, spokenBinding } from "./bindingfacts.js";
import { createBindingHelp } from "./bindinghelp.js";
import { bindingAction } from "./bindingkeys.js";
import { listenToBinding } from "./bindingpointer.js";
import { nameOfPatch, titleOfRow, wordsOfPoint } from "./rowwords.js";

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value) */
export function createBindingDesk(root, reading, fits, data, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const table = decodePalette(data.palettes.inferno);
  const photo = new Image();
  const last = reading ? reading.points.at(-1) : (fits?.points ?? 1) - 1;
  let state = before ? carryBinding(reading, before.state, before.reading) : firstBinding(reading, fits, data.view);
  let colours = plotColours(root);
  let frame = 0;
  let speakLater = 0;

  const big = reading && createBigMap(part, reading);
  const strip = reading && createPointStrip(part, reading, big.outline);
  const curve = fits && createProbeCurve(part("curves"), fits);
  const list = fits && createRowList(part("rows"), fits, data.probes);
  const facts = createBindingFacts(part, reading, fits, data.base);
  const help = createBindingHelp(part("help"), fits, () => set({ help: false }));

  function set(changes) {
    const was = JSON.stringify(bindingView(reading, state));
    state = { ...state, ...changes };
    const view = bindingView(reading, state);
    if (JSON.stringify(view) !== was) out.tell(view);
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    big?.draw(state, table, colours);
    strip?.draw(state, table, colours);
    curve?.draw(state, colours);
    list?.update(state, colours);
    words();
    announce();
  }

  function words() {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    const measure = fits?.measures.find((one) => one.name === state.measure);
    const probe = titleOfRow(reading?.row ?? state.probe, "probe");
    put("mapTitle", reading ? `Same object as patch ${nameOfPatch(state.query, reading.columns)}? Read ${state.point ? "" : "at "}${wordsOfPoint(state.point)}` : "The picture");
    put("stripTitle", reading ? `At every point: ${probe} probe` : "");
    put("curveTitle", measure ? `${measure.title.charAt(0).toUpperCase()}${measure.title.slice(1)} on held-out ${fits.scenes ? "scenes" : "pictures"}` : "Curves");
    put("without", measure?.without ?? "");
    put("barWord", `P(same object), ${probe} probe`);
    if (part("point").value !== String(state.point)) part("point").value = String(state.point);
    if (part("measure").value !== state.measure) part("measure").value = state.measure;
    part("truthButton").hidden = !reading?.mask;
    part("truthButton").setAttribute("aria-pressed", String(state.truth));
    part("unpin").hidden = !state.pinned;
    facts.update(state);
    help.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", spokenBinding(reading, state)), 350);
  }

  function announce() {
    const { point, measure, query, pinned, pointed, truth } = state;
    const row = reading && query >= 0 ? reading.rowsOf(query)[reading.placeOf(point)] : null;
    root.dispatchEvent(new CustomEvent("binding:painted", {
      detail: {
        picture: reading?.id ?? null, study: fits?.id ?? null, probe: reading?.row ?? "", point, measure, pinned, truth,
        query: reading ? nameOfPatch(query, reading.columns) : "",
        pointed: reading && pointed >= 0 ? nameOfPatch(pointed, reading.columns) : "",
        chance: row ? row[pointed >= 0 ? pointed : query] : null,
        place: big?.place() ?? null,
        cells: reading ? reading.points.map((_, place) => strip.rectAt(place)) : [],
        dots: curve?.dots() ?? [],
        done: fits?.done ?? 0,
      },
      bubbles: true, composed: true,
    }));
  }

  function layout() {
    strip?.fit();
    big?.fit();
    set({});
  }

  const deeds = {
    stepPoint: (by) => set({ point: Math.max(0, Math.min(last, state.point + by)) }),
    nextMeasure: () => {
      const names = fits?.measures.map((one) => one.name) ?? [state.measure];
      set({ measure: names[(names.indexOf(state.measure) + 1) % names.length] });
    },
    truth: () => set({ truth: !state.truth }),
    unpin: () => set({ pinned: false, pointed: -1 }),
    help: () => set({ help: !state.help }),
    escape: () => (state.help ? set({ help: false }) : deeds.unpin()),
    lens: () => {
      if (!reading) return;
      out.trigger("lens", { layer: Math.max(0, state.point - 1), q: nameOfPatch(state.query, reading.columns) });
    },
  };

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button || !root.contains(button)) return;
    const { row, do: name } = button.dataset;
    if (row) set({ asked: row, probe: row });
    else if (name) deeds[name]();
  }

  function fill() {
    const points = reading?.points ?? [...Array(fits?.points ?? 1).keys()];
    part("point").replaceChildren(...points.map((point) => new Option(point === 0 ? "0, the embedding" : `${point}, ${wordsOfPoint(point)}`, String(point))));
    part("measure").replaceChildren(...(fits?.measures ?? []).map((one) => new Option(one.title, one.name)));
    part("mapWaits").hidden = Boolean(reading);
    part("curveWaits").hidden = Boolean(fits);
    part("map").hidden = !reading;
    part("strip").hidden = !reading;
    if (!reading) part("mapExports").replaceChildren();
    const count = part("count");
    count.textContent = !fits ? "no probe yet" : fits.complete ? `${fits.images.test} ${fits.scenes ? "scenes" : "pictures"} held out` : `partial: ${fits.done} of ${fits.wanted} fits`;
    count.classList.toggle("partial", Boolean(fits) && !fits.complete);
    count.style.setProperty("--done", fits ? `${(100 * fits.done) / Math.max(1, fits.wanted)}%` : "0%");
    count.title = fits ? `${fits.images.train} ${fits.scenes ? "made scenes" : "pictures"} to fit on, ${fits.images.validation} to choose by, ${fits.images.test} to measure on; ${fits.seeds.length} ${fits.seeds.length > 1 ? "seeds" : "seed"}` : "";
    const context = part("bar").getContext("2d");
    for (let i = 0; i < 256; i += 1) {
      context.fillStyle = cssColour(table[i]);
      context.fillRect(i, 0, 1, 1);
    }
  }

  fill();
  if (reading) {
    photo.onload = () => { big.setPhoto(photo); set({}); };
    photo.src = `${data.base}${reading.urls.picture}`;
  }
  root.addEventListener("click", onClick, { signal });
  part("point").addEventListener("change", (event) => set({ point: Number(event.target.value) }), { signal });
  part("measure").addEventListener("change", (event) => set({ measure: event.target.value }), { signal });
  listenToKeys(root, bindingAction, (name, ...args) => deeds[name](...args), signal);
  listenToBinding(part, { big, strip, curve }, { state: () => state, set }, signal);
  const watcher = new ResizeObserver(layout);
  watcher.observe(part("mapBox").parentElement);
  watcher.observe(part("stripBox"));
  watcher.observe(part("curves").parentElement);
  layout();

  return {
    /** What another picture or result can take over. */
    before: () => ({ state, reading }),
    recolour() {
      colours = plotColours(root);
      set({});
    },
    close() {
      closing.abort();
      watcher.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(speakLater);
      photo.onload = null;
    },
  };
}
