/** Joins state, pictures and charts. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `finding:painted` on its element (bubbling,
 * composed). `detail` holds
 *   id, scenes         of the masks; of the scores over scenes, or null
 *   found, features, point, groups, score, family, number, truth   what is shown
 *   pointed            "row,column" under the pointer, or ""
 *   masks              numbers of the masks that are shown
 *   methods            name and state of each: scores, absent, count
 *   place              of the picture on the large canvas: left, top, width, height
 *   spots              of the left chart: name, x, y
 */
import { cssColour, decodePalette, number } from "../lens/scale.js";
import { listenToKeys } from "../lens/listening.js";
import { plotColours, pointerOn } from "../heads/plot.js";
import { nameOfPatch } from "../binding/rowwords.js";
import { COHERENCE_CARD, TRUTH_CARD, cardNames, carryFinding, findingView, firstFinding, shownMasks } from "./findingstate.js";
import { createMaskPainter } from "./maskpaint.js";
import { createBigMask } from "./bigmask.js";
import { createMaskCards } from "./maskcards.js";
import { createMeanRows } from "./meanrows.js";
import { createFindingFacts, sentenceOfFinding, spokenFinding } from "./findingfacts.js";
import { createFindingHelp } from "./findinghelp.js";
import { findingAction } from "./findingkeys.js";
import { createFindingBar } from "./findingbar.js";

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value) */
export function createFindingDesk(root, { data, scenes }, given, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const table = decodePalette(given.palettes.viridis);
  const photo = new Image();
  const names = cardNames(data);
  let state = before ? carryFinding(data, before) : firstFinding(data, given.view);
  if (scenes && !scenes.families.includes(state.family)) state.family = "all";
  let colours = plotColours(root);
  let frame = 0;
  let speakLater = 0;

  const painter = createMaskPainter(data);
  const big = createBigMask(part, data, painter);
  const cards = createMaskCards(part, data, painter);
  const means = createMeanRows(part("means"), 190);
  const families = createMeanRows(part("families"), 112);
  const facts = createFindingFacts(part, data, scenes, given.base);
  const help = createFindingHelp(part("help"), data, () => set({ help: false }));
  const bar = createFindingBar(part, data, scenes, given.job);

  function set(changes) {
    const was = JSON.stringify(findingView(state));
    state = { ...state, ...changes };
    if (JSON.stringify(findingView(state)) !== was) out.tell(findingView(state));
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  const column = () => Math.max(0, data.measures.findIndex(({ name }) => name === state.score));
  const titleOfScore = () => data.measures[column()].title;
  const family = () => scenes.families.indexOf(state.family);
  const chosenRow = () => Math.max(0, scenes.rows.findIndex(({ method, kind }) => method === state.found && kind !== "control"));

  function rowsOfMethods() {
    return (scenes?.rows ?? []).map((row, i) => {
      const [mean, low, high] = scenes.ends[family()][i][column()];
      return { ...row, mean, low, high, pressed: i === chosenRow() };
    });
  }

  function rowsOfFamilies() {
    const row = scenes && scenes.rows[chosenRow()];
    return (scenes?.families ?? []).map((name, i) => {
      const [mean, low, high] = scenes.ends[i][chosenRow()][column()];
      return { name, title: name === "all" ? "all families" : name.replace("-", " "), ink: row.ink, kind: row.kind, mean, low, high, pressed: name === state.family };
    });
  }

  /** The mean under the pointer. */
  function pointedMean() {
    if (!scenes) return null;
    const row = state.pointedRow >= 0 ? state.pointedRow : chosenRow();
    const at = state.pointedFamily >= 0 ? state.pointedFamily : family();
    const name = scenes.families[at];
    return { title: scenes.rows[row].title, absent: scenes.rows[row].absent, measure: titleOfScore(), ends: scenes.ends[at][row][column()], family: name === "all" ? "all families" : name };
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    big.draw(state, table);
    cards.draw(state, table);
    means.draw(rowsOfMethods(), `${titleOfScore()}, ${state.family === "all" ? "all families" : state.family}`, state.pointedRow, colours);
    families.draw(rowsOfFamilies(), scenes ? `${titleOfScore()}, ${scenes.rows[chosenRow()].title}` : "", state.pointedFamily, colours);
    words();
    announce();
  }

  function words() {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    const method = data.methodOf(state.found);
    put("bigTitle", method?.title ?? (state.found === TRUTH_CARD ? "Truth, on patches" : "Local coherence"));
    put("cardTitle", "What each method holds to be an object");
    const source = scenes && data.sources[scenes.features].title;
    put("meanTitle", scenes ? `On ${scenes.done} made scenes: ${source}, point ${scenes.point}${bar.stale ? " (measured before, with other choices)" : ""}` : "On made scenes");
    put("words", sentenceOfFinding(data, state));
    part("scale").style.visibility = state.found === COHERENCE_CARD ? "visible" : "hidden";
    bar.update(state);
    facts.update(state, pointedMean());
    help.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", spokenFinding(data, state)), 350);
  }

  function announce() {
    const method = data.methodOf(state.found);
    const { found, score, number: one, truth, pointed } = state;
    root.dispatchEvent(new CustomEvent("finding:painted", {
      detail: {
        id: data.id, scenes: scenes?.id ?? null, found, score, family: state.family, number: one, truth,
        features: data.features, point: data.point, groups: data.groups,
        pointed: pointed >= 0 ? nameOfPatch(pointed, data.columns) : "",
        masks: method ? shownMasks(method, one) : [],
        methods: data.methods.map(({ name, count, absent, scores }) => ({ name, count, absent, scores })),
        place: big.place(), spots: means.spots(),
      },
      bubbles: true, composed: true,
    }));
  }

  function layout() {
    cards.fit();
    big.fit();
    set({});
  }

  const wrap = (place, length) => (place + length) % length;
  const deeds = {
    stepCard: (by) => set({ found: names[wrap(names.indexOf(state.found) + by, names.length)], number: -1 }),
    stepPoint: (by) => {
      const first = state.features.startsWith("keys") ? 1 : 0;
      set({ at: String(Math.max(first, Math.min(data.points - 1, Number(state.at || data.points - 1) + by))) });
    },
    nextMask: () => {
      const count = data.methodOf(state.found)?.count ?? 0;
      if (count > 1) set({ number: state.number + 1 < count ? state.number + 1 : -1 });
    },
    truth: () => set({ truth: !state.truth }),
    nextScore: () => set({ score: data.measures[wrap(column() + 1, data.measures.length)].name }),
    help: () => set({ help: !state.help }),
    escape: () => (state.help ? set({ help: false }) : set({ number: -1, family: "all" })),
    lens: () => out.trigger("lens", { layer: Math.max(0, data.point - 1), q: state.pointed >= 0 ? nameOfPatch(state.pointed, data.columns) : "" }),
    measure: () => out.trigger("measure", Date.now()),
    scene: () => out.trigger("scene", Date.now()),
  };

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button || !root.contains(button)) return;
    if (button.dataset.card) set({ found: button.dataset.card, number: -1 });
    else if (button.dataset.do) deeds[button.dataset.do]();
  }

  function listenToPointer() {
    const on = (element, name, act) => element.addEventListener(name, act, { signal });
    const point = (changes) => { if (Object.keys(changes).some((name) => changes[name] !== state[name])) set(changes); };
    on(part("big"), "pointermove", (event) => point({ pointed: big.patchAt(...pointerOn(event, part("big"))) }));
    on(part("cards"), "pointermove", (event) => point({ pointed: cards.at(event)?.patch ?? -1 }));
    for (const name of ["big", "cards"]) on(part(name), "pointerleave", () => point({ pointed: -1 }));
    for (const [name, chart, field] of [["means", means, "pointedRow"], ["families", families, "pointedFamily"]]) {
      on(part(name), "pointermove", (event) => point({ [field]: chart.rowAt(pointerOn(event, part(name))[1]) }));
      on(part(name), "pointerleave", () => point({ [field]: -1 }));
    }
    on(part("means"), "click", () => { if (state.pointedRow >= 0) set({ found: scenes.rows[state.pointedRow].method, number: -1 }); });
    on(part("families"), "click", () => { if (state.pointedFamily >= 0) set({ family: scenes.families[state.pointedFamily] }); });
  }

  const context = part("bar").getContext("2d");
  for (let i = 0; i < 256; i += 1) {
    context.fillStyle = cssColour(table[i]);
    context.fillRect(i, 0, 1, 1);
  }
  part("low").textContent = number(data.lowest);
  part("high").textContent = number(data.highest);
  photo.onload = () => { big.setPhoto(photo); cards.setPhoto(photo); set({}); };
  photo.src = `${given.base}${data.urls.picture}`;
  root.addEventListener("click", onClick, { signal });
  bar.listen(set, signal);
  listenToKeys(root, findingAction, (name, ...args) => deeds[name](...args), signal);
  listenToPointer();
  const watcher = new ResizeObserver(layout);
  for (const name of ["bigBox", "cards", "means", "families"]) watcher.observe(part(name).parentElement);
  layout();

  return {
    /** What other masks can take over. */
    before: () => state,
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
