/** Joins state, charts and maps. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `removing:painted` on its element (bubbling,
 * composed). `detail` holds
 *   sweep, done, wanted   id of the sweep, and steps that are measured of all
 *   edited, old           id of the edit on screen, and whether another one is chosen
 *   at, dims, scenes, measured, edit, part, amount   what is chosen
 *   query, pointed        patches, row and column
 *   before, after, difference   P(same object) of the patch under the pointer, or of the query
 *   largest               of all differences of the map, without sign
 *   dots                  of the charts: name, edit, amount, value, x, y
 *   place                 of the picture on its canvas: left, top, width, height
 */
import { cssColour, decodePalette } from "../lens/scale.js";
import { listenToKeys } from "../lens/listening.js";
import { colourTables, plotColours, pointerOn } from "../heads/plot.js";
import { nameOfPatch, wordsOfPoint } from "../binding/rowwords.js";
import { cleanOf, differenceOf, linesOf, rangeOf } from "./removingdata.js";
import { createRemovingBar } from "./removingbar.js";
import { createRemovingCurve } from "./removingcurves.js";
import { createRemovingFacts, spokenRemoving } from "./removingfacts.js";
import { createRemovingHelp } from "./removinghelp.js";
import { removingAction } from "./removingkeys.js";
import { createRemovingMaps } from "./removingmaps.js";
import { firstRemoving, isOldEdit, queryOf, removingDeeds, removingView } from "./removingstate.js";

const SWEPT_EDITS = ["shuffle", "inject"];

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value) */
export function createRemovingDesk(root, first, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const tables = { plain: decodePalette(first.palettes.inferno), signed: colourTables(first.palettes).signed };
  let data = first;
  let state = firstRemoving(first.view);
  let sweep = null;
  let edited = null;
  let colours = plotColours(root);
  let frame = 0;
  let speakLater = 0;

  const curves = Object.fromEntries(SWEPT_EDITS.map((edit) => [edit, createRemovingCurve(part(edit), edit)]));
  const maps = createRemovingMaps(part, () => set({}));
  const facts = createRemovingFacts(part, first.base);
  const help = createRemovingHelp(part("help"), () => set({ help: false }));
  const bar = createRemovingBar(part, set, () => state, signal);
  const deeds = removingDeeds({
    state: () => state, set, out, data: () => data, measures: () => Object.keys(data.measures), reading: () => edited?.before ?? null,
  });

  function set(changes) {
    const was = JSON.stringify(removingView(state));
    state = { ...state, ...changes };
    const view = removingView(state);
    if (JSON.stringify(view) !== was) out.tell(view);
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  function rowsNow(query) {
    if (!edited) return { rows: null, limit: 1 };
    const [before, after] = [edited.before, edited.after].map((one) => one.rowsOf(query)[0]);
    const { values, limit } = differenceOf(before, after);
    return { rows: [before, after, values], limit };
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    const query = edited ? queryOf(state, edited.before) : -1;
    const { rows, limit } = rowsNow(query);
    const old = isOldEdit(edited, state);
    const [range, [clean]] = [rangeOf(sweep, state.measured), cleanOf(sweep, state.measured)];
    for (const edit of SWEPT_EDITS) {
      const lines = linesOf(sweep, state.measured, edit);
      const word = !sweep?.wanted ? (data.running ? "measuring the first steps" : "nothing is measured yet") : clean === null ? "not known here: too few objects or classes" : "";
      curves[edit].draw(lines, range, clean, state, word, colours);
    }
    if (rows) maps.draw(rows, limit, { query, pointed: state.pointed, old }, tables, colours);
    part("editWaits").hidden = Boolean(rows);
    bar.update(sweep, edited, data, limit);
    facts.update(sweep, edited, state, query, rows, data.running);
    words(query, clean);
    help.show(state.help);
    announce(query, rows, old);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => { part("spoken").textContent = spokenRemoving(edited, state, query, rows); }, 350);
  }

  function words(query, clean) {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    const where = wordsOfPoint(state.at).replace(/^the/, "at the");
    const measure = data.measures[state.measured];
    put("sweepTitle", `${measure.charAt(0).toUpperCase()}${measure.slice(1)} when a part of the stream is changed ${where}`);
    put("mapTitle", edited ? `Same object as patch ${nameOfPatch(query, edited.before.columns)}?` : "This picture");
    const entries = sweep?.wanted ? sweep.subspaces.map(({ title, ink }) => [title, ink, false]) : [];
    if (clean !== null) entries.push([`unchanged, ${clean.toFixed(3)}`, colours.text, true]);
    const now = JSON.stringify(entries);
    if (part("legend").dataset.now === now) return;
    part("legend").dataset.now = now;
    part("legend").replaceChildren(...entries.map(([title, ink, dashed]) => {
      const entry = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.style.setProperty("--row", ink);
      swatch.classList.toggle("dashed", dashed);
      entry.append(swatch, title);
      return entry;
    }));
  }

  function announce(query, rows, old) {
    const { at, dims, scenes, measured, edit, part: which, amount, pointed } = state;
    const seen = pointed >= 0 ? pointed : query;
    const columns = edited?.before.columns;
    root.dispatchEvent(new CustomEvent("removing:painted", {
      detail: {
        sweep: sweep?.id ?? null, done: sweep?.done ?? 0, wanted: sweep?.wanted ?? 0, edited: edited?.id ?? null, old,
        at, dims, scenes, measured, edit, part: which, amount,
        query: rows ? nameOfPatch(query, columns) : "", pointed: rows && pointed >= 0 ? nameOfPatch(pointed, columns) : "",
        before: rows?.[0][seen] ?? null, after: rows?.[1][seen] ?? null, difference: rows?.[2][seen] ?? null,
        largest: rows ? rows[2].reduce((most, one) => Math.max(most, Math.abs(one)), 0) : null,
        dots: SWEPT_EDITS.flatMap((one) => curves[one].dots()), place: maps.place(),
      },
      bubbles: true, composed: true,
    }));
  }

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (button && root.contains(button) && deeds[button.dataset.do]) deeds[button.dataset.do]();
  }

  function listenToChart(edit) {
    const element = part(edit);
    const stepAt = (event) => {
      const amount = curves[edit].amountAt(pointerOn(event, element)[0]);
      return amount === null ? null : { edit, amount };
    };
    element.addEventListener("pointermove", (event) => {
      const step = stepAt(event);
      if (JSON.stringify(step) !== JSON.stringify(state.step)) set({ step });
    }, { signal });
    element.addEventListener("pointerleave", () => { if (state.step) set({ step: null }); }, { signal });
    element.addEventListener("click", (event) => {
      const step = stepAt(event);
      if (!step || (edit === "inject" && !data.canInject)) return;
      set({ ...step, part: curves[edit].partAt(...pointerOn(event, element)) ?? state.part });
    }, { signal });
  }

  function listenToMap(name) {
    const element = part(name);
    const patchAt = (event) => maps.patchAt(name, ...pointerOn(event, element));
    element.addEventListener("pointermove", (event) => {
      const pointed = patchAt(event);
      if (pointed !== state.pointed) set({ pointed });
    }, { signal });
    element.addEventListener("pointerleave", () => { if (state.pointed >= 0) set({ pointed: -1 }); }, { signal });
    element.addEventListener("click", (event) => {
      const patch = patchAt(event);
      if (edited && patch >= 0) set({ patch: nameOfPatch(patch, edited.before.columns), pointed: -1 });
    }, { signal });
  }

  function fillBars() {
    for (const [name, table] of [["bar", tables.plain], ["signedBar", tables.signed]]) {
      const context = part(name).getContext("2d");
      for (let i = 0; i < 256; i += 1) {
        context.fillStyle = cssColour(table[i]);
        context.fillRect(i, 0, 1, 1);
      }
    }
  }

  bar.fill(data);
  fillBars();
  SWEPT_EDITS.forEach(listenToChart);
  maps.names.forEach(listenToMap);
  root.addEventListener("click", onClick, { signal });
  listenToKeys(root, removingAction, (name, ...args) => deeds[name](...args), signal);
  const watcher = new ResizeObserver(() => { maps.fit(); set({}); });
  for (const element of [part("shuffle").parentElement, part("before").parentElement]) watcher.observe(element);
  set({});

  return {
    setData(next) {
      data = next;
      bar.fill(data);
      set({});
    },
    setSweep(next) {
      sweep = next;
      set({});
    },
    setEdited(next) {
      edited = next;
      if (edited) maps.setReading(edited.before, data.base);
      set({});
    },
    recolour() {
      colours = plotColours(root);
      set({});
    },
    close() {
      closing.abort();
      watcher.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(speakLater);
    },
  };
}
