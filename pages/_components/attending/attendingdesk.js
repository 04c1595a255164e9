/** Joins state, matrix, curves, ranking and maps. Every change is painted in the next frame.
 *
 * After every painting the component dispatches `attending:painted` on its element (bubbling,
 * composed). `detail` holds
 *   scenes, picture, bound, lens   whether each is here (ids of results, or null)
 *   scope, measure, layer, head, pointed, query, pinned, truth   what is chosen; `measure` as shown
 *   value              of the head that is looked at
 *   attention, same    of the patch looked at: the head's attention, P(same object)
 *   cells              layout of the matrix: left, top, width, height, gap
 *   lines              middle of each line of the ranking
 *   place              of the picture on the left map's canvas
 */
import { cssColour, decodePalette } from "../lens/scale.js";
import { listenToKeys } from "../lens/listening.js";
import { createRows } from "../lens/rows.js";
import { createGrid, gridWidth } from "../heads/grid.js";
import { colourTables, plotColours } from "../heads/plot.js";
import { nameOfPatch } from "../binding/rowwords.js";
import { attendingView, carryAttending, firstAttending } from "./attendingstate.js";
import { attentionOf, createHeadMaps } from "./headmaps.js";
import { createAttendingFacts, spokenAttending, wordsOfMaps, wordsOfTable } from "./attendingfacts.js";
import { createAttendingHelp } from "./attendinghelp.js";
import { createLayerCurve } from "./layercurve.js";
import { createStrongest, shortValue } from "./strongest.js";
import { attendingAction } from "./attendingkeys.js";
import { listenToAttending } from "./attendingpointer.js";

const NO_SET = { set: [], found: { heads: new Set(), words: "" } };
const GRID_SHARE = 0.5;
const WAITING = { scenes: "Attention on made scenes is compared with the probe.", picture: "Attention on this picture is compared with the probe." };

/** @param {{tables, reading, record}} given what has been fetched, null where it is not there
 *  @param {object} out tell(view), trigger(name, value) */
export function createAttendingDesk(root, given, data, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const { tables, reading, record } = given;
  const closing = new AbortController();
  const { signal } = closing;
  const palette = decodePalette(data.palettes.inferno);
  const colourOf = colourTables(data.palettes);
  const photo = new Image();
  let state = before ? carryAttending(tables, reading, before.state, before.reading) : firstAttending(tables, reading, data.view);
  let colours = plotColours(root);
  let frame = 0;
  let speakLater = 0;

  const table = () => tables[state.scope];
  const charts = Object.fromEntries(["scenes", "picture"].map((scope) => [scope, tables[scope] && {
    grid: createGrid(part("grid"), tables[scope]),
    curve: createLayerCurve(part("layers"), tables[scope]),
    strong: createStrongest(part("strong"), tables[scope]),
  }]));
  const maps = reading && createHeadMaps(part, reading);
  const rows = record && createRows(`${data.base}/atlas/lens/${data.lens}`, record, () => set({}), (status, message) => {
    if (status === 410) out.trigger("gone", data.lens);
    else part("attentionWord").textContent = message;
  });
  const facts = createAttendingFacts(part, reading, data.base);
  const help = createAttendingHelp(part("help"), tables.scenes ?? tables.picture, () => set({ help: false }));

  function set(changes) {
    const was = JSON.stringify(attendingView(reading, state));
    state = { ...state, ...changes };
    const view = attendingView(reading, state);
    if (JSON.stringify(view) !== was) out.tell(view);
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  /** The head that is looked at: under the pointer, else the chosen one. */
  function shownHead() {
    const own = state.pointed >= 0 ? table()?.heads[state.pointed] : null;
    return own ? { layer: own[0], head: own[1] } : { layer: state.layer, head: state.head };
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    const now = table();
    const measure = now?.measureOf(now.shownMeasure(state.measure));
    const summary = now?.summaryOf(measure.name);
    const shown = shownHead();
    if (now) matrix(now, measure, summary, shown);
    const bits = rows && state.query >= 0 ? rows.want(nameOfPatch(state.query, reading.columns), "to") : null;
    const attention = attentionOf(record, bits, shown.layer, shown.head);
    const read = reading?.points.includes(shown.layer) && state.query >= 0;
    const same = read ? reading.rowsOf(state.query)[reading.placeOf(shown.layer)] : null;
    maps?.draw(state, attention, same, palette, colours);
    words(now, measure, summary, shown, attention, same);
    announce(measure, summary, shown, attention, same);
  }

  function matrix(now, measure, summary, shown) {
    const { grid, curve, strong } = charts[state.scope];
    const chosen = now.headIndex(state.layer, state.head);
    const colourTable = measure.signed ? colourOf.signed : colourOf.plain;
    grid.draw({ ...NO_SET, layer: state.layer, head: state.head, pointed: state.pointed }, summary, colourTable, colours);
    curve.draw(shown.layer, summary, measure, colours);
    strong.draw(chosen, state.pointed, summary, measure, colours);
    bar(measure, summary, colourTable);
  }

  function bar(measure, summary, colourTable) {
    const context = part("bar").getContext("2d");
    for (let i = 0; i < 256; i += 1) {
      context.fillStyle = cssColour(colourTable[i]);
      context.fillRect(i, 0, 1, 1);
    }
    const { bottom, top } = summary;
    [bottom, (bottom + top) / 2, top].forEach((value, i) => { part("ticks").children[i].textContent = shortValue(value); });
    const level = measure.signed ? 0 : measure.chance;
    part("chanceMark").hidden = level === null;
    if (level !== null) part("chanceMark").style.left = `${(100 * (level - bottom)) / (top - bottom)}%`;
    part("chanceMark").title = measure.signed ? "0" : `Chance, ${shortValue(level)}`;
  }

  function words(now, measure, summary, shown, attention, same) {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    put("matrixTitle", measure ? `${measure.title.charAt(0).toUpperCase()}${measure.title.slice(1)}, every head` : "Every head");
    put("layerTitle", measure ? `By layer: ${measure.axis}` : "By layer");
    put("strongTitle", measure ? "The ten strongest heads, 95 % intervals" : "The strongest heads");
    put("barWord", measure ? `${measure.axis}. ${wordsOfTable(now, measure)}` : "");
    put("matrixWaits", now ? "" : WAITING[state.scope]);
    part("matrixWaits").hidden = Boolean(now);
    part("matrixUnder").style.visibility = now ? "" : "hidden";
    for (const name of ["grid", "layers", "strong"]) part(name).hidden = !now;
    put("mapsTitle", reading ? `This picture: attention of L${shown.layer} H${shown.head} from patch ${nameOfPatch(state.query, reading.columns)}, beside the probe` : "This picture");
    put("attentionWord", attention ? `attention, 0 to ${attention.high.toPrecision(2)}` : "attention");
    put("sameWord", "P(same object), 0 to 1");
    put("words", wordsOfMaps(reading, state, shown, attention, same));
    put("count", now ? (state.scope === "scenes" ? `${now.images} scenes` : "one picture") : "not yet");
    const asked = now ? now.shownMeasure(state.measure) : state.measure;
    if (part("measure").value !== asked) part("measure").value = asked;
    for (const option of part("measure").options) option.disabled = Boolean(now) && now.shownMeasure(option.value) !== option.value;
    for (const button of root.querySelectorAll("[data-scope]")) button.setAttribute("aria-pressed", String(button.dataset.scope === state.scope));
    part("scenes").hidden = state.scope !== "scenes";
    part("truthButton").hidden = !reading?.mask;
    part("truthButton").setAttribute("aria-pressed", String(state.truth));
    part("unpin").hidden = !state.pinned;
    facts.update(state, now, measure, summary, shown, attention, same);
    help.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", now ? spokenAttending(now, measure, summary, shown) : ""), 350);
  }

  function announce(measure, summary, shown, attention, same) {
    const now = table();
    const index = now ? now.headIndex(shown.layer, shown.head) : -1;
    const seen = state.pointedPatch >= 0 ? state.pointedPatch : state.query;
    root.dispatchEvent(new CustomEvent("attending:painted", {
      detail: {
        scenes: tables.scenes?.id ?? null, picture: tables.picture?.id ?? null, bound: reading?.id ?? null, lens: record ? data.lens : null,
        scope: state.scope, measure: measure?.name ?? "", layer: state.layer, head: state.head, pinned: state.pinned, truth: state.truth,
        pointed: state.pointed >= 0 && now ? now.labelOf(state.pointed) : "",
        query: reading ? nameOfPatch(state.query, reading.columns) : "",
        value: index >= 0 ? summary.mean[index] : null,
        attention: attention ? attention.values[seen] : null, same: same ? same[seen] : null,
        cells: now ? charts[state.scope].grid.layout() : null, lines: now ? charts[state.scope].strong.lines() : [],
        place: maps?.place() ?? null,
      },
      bubbles: true, composed: true,
    }));
  }

  function layout() {
    const now = tables.scenes ?? tables.picture;
    const room = root.clientWidth - (root.clientWidth > 900 ? 300 : 20);
    if (now) root.style.setProperty("--grid", `${Math.max(250, gridWidth(now, room * GRID_SHARE))}px`);
    const box = part("matrixBox");
    for (const one of Object.values(charts)) one?.grid.fit(box.clientWidth, Math.max(80, box.clientHeight));
    maps?.fit();
    set({});
  }

  function step(layerBy, headBy) {
    const now = table();
    if (!now) return;
    const layer = Math.max(0, Math.min(now.layers.length - 1, state.layer + layerBy));
    const most = Math.max(0, now.layers[layer].heads - 1);
    set({ layer, head: Math.max(0, Math.min(most, state.head + headBy)), chosen: true, pointed: -1 });
  }

  const deeds = {
    stepHead: (by) => step(0, by),
    stepLayer: (by) => step(by, 0),
    nextMeasure: () => {
      const names = [...part("measure").options].filter((one) => !one.disabled).map((one) => one.value);
      const at = names.indexOf(part("measure").value);
      if (names.length) set({ measure: names[(at + 1) % names.length] });
    },
    nextScope: () => deeds.scope(state.scope === "scenes" ? "picture" : "scenes"),
    scope: (scope) => set({ scope, pointed: -1 }),
    truth: () => set({ truth: !state.truth }),
    unpin: () => set({ pinned: false, pointedPatch: -1 }),
    help: () => set({ help: !state.help }),
    escape: () => (state.help ? set({ help: false }) : deeds.unpin()),
    lens: () => {
      if (!reading) return;
      out.trigger("lens", { layer: state.layer, head: state.head, q: nameOfPatch(state.query, reading.columns) });
    },
  };

  /** A head is chosen; a second time it opens in the lens. */
  function choose(index) {
    const [layer, head] = table().heads[index];
    if (state.chosen && layer === state.layer && head === state.head) deeds.lens();
    else set({ layer, head, chosen: true });
  }

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button || !root.contains(button)) return;
    const { scope, do: name } = button.dataset;
    if (scope) deeds.scope(scope);
    else if (name) deeds[name]();
  }

  function fill() {
    const listed = (tables.scenes ?? tables.picture)?.measures ?? [];
    part("measure").replaceChildren(...listed.map((one) => new Option(one.title, one.name)));
    part("scenes").replaceChildren(...data.counts.map((count) => new Option(`${count} scenes`, count, false, count === state.scenes)));
    for (const name of ["attention", "same"]) part(name).hidden = !reading;
  }

  fill();
  if (reading) {
    photo.onload = () => { maps.setPhoto(photo); set({}); };
    photo.src = `${data.base}${reading.urls.picture}`;
  }
  root.addEventListener("click", onClick, { signal });
  part("measure").addEventListener("change", (event) => set({ measure: event.target.value }), { signal });
  part("scenes").addEventListener("change", (event) => set({ scenes: event.target.value }), { signal });
  listenToKeys(root, attendingAction, (name, ...args) => deeds[name](...args), signal);
  const over = (name, hit) => (x, y) => (table() ? hit(charts[state.scope][name], x, y) : -1);
  listenToAttending(part, {
    grid: { hit: over("grid", (grid, x, y) => grid.hit(x, y)) },
    curve: { hit: over("curve", (curve, x) => curve.hit(x)) },
    strong: { hit: (y) => over("strong", (strong) => strong.hit(y))(0, y) },
    maps,
  }, { state: () => state, set, choose }, signal);
  const watcher = new ResizeObserver(layout);
  for (const name of ["matrixBox", "pairBox"]) watcher.observe(part(name));
  watcher.observe(part("layers").parentElement);
  layout();

  return {
    /** What other results can take over. */
    before: () => ({ state, reading }),
    recolour() {
      colours = plotColours(root);
      set({});
    },
    close() {
      closing.abort();
      watcher.disconnect();
      rows?.close();
      cancelAnimationFrame(frame);
      clearTimeout(speakLater);
      photo.onload = null;
    },
  };
}
