/** Joins state, canvas and curves. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `twins:painted` on its element (bubbling,
 * composed). `detail` holds
 *   id, layout         of what was measured; the layout on screen as text
 *   old, places        whether what was measured belongs to another layout; corners in pixels
 *   selected, point, variant, measure, query, pointed, shown, said   what is chosen
 *   chance             P(same object) of the patch under the pointer, or of the query with itself
 *   place              of the picture on its canvas: left, top, width, height
 *   dots               of the upper curves: name, variant, point, x, y
 */
import { cssColour, decodePalette, number } from "../lens/scale.js";
import { listenToKeys } from "../lens/listening.js";
import { plotColours } from "../heads/plot.js";
import { nameOfPatch, titleOfRow, wordsOfPoint } from "../binding/rowwords.js";
import { rulesOfPlaces, textOfLayout } from "./twinsplaces.js";
import { createTwinsCanvas } from "./twinscanvas.js";
import { chanceLines, createLegend, createTwinsCurves, differenceLines } from "./twinscurves.js";
import { createTwinsFacts, sentenceOfTwins, spokenTwins, twinsOfPatch } from "./twinsfacts.js";
import { createTwinsHelp } from "./twinshelp.js";
import { twinsAction } from "./twinskeys.js";
import { twinsDeeds } from "./twinsdeeds.js";
import { listenToTwins } from "./twinspointer.js";
import { carryTwins, firstTwins, isOldTwins, twinsView } from "./twinsstate.js";
import { createTwinsBar } from "./twinsbar.js";

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value) */
export function createTwinsDesk(root, { canvas, readings, images }, data, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const table = decodePalette(data.palettes.inferno);
  const rules = rulesOfPlaces(canvas);
  let state = before ? carryTwins(canvas, before.state, before.canvas) : firstTwins(canvas, data.view);
  let colours = plotColours(root);
  let problem = data.problem;
  let frame = 0;
  let speakLater = 0;

  const board = createTwinsCanvas(part, canvas, images);
  const differences = createTwinsCurves(part("differences"), canvas.points);
  const chances = createTwinsCurves(part("chances"), canvas.points);
  const known = canvas.curves ? canvas.variants.filter((_, variant) => canvas.curves.differences[variant].some((one) => one !== null)) : [];
  const upper = createLegend(part("differenceRows"), [""]);
  const lower = createLegend(part("chanceRows"), known.map((name) => name.replace(" positions", "")));
  const facts = createTwinsFacts(part, canvas, readings, data.base);
  const help = createTwinsHelp(part("help"), () => set({ help: false }));
  const bar = createTwinsBar(part, canvas, data);
  const deeds = twinsDeeds({ canvas, rules, state: () => state, set, out, focus: () => part("map").focus({ preventScroll: true }) });

  function set(changes) {
    const was = JSON.stringify(twinsView(canvas, state));
    const waited = state.drag;
    state = { ...state, ...changes };
    const view = twinsView(canvas, state);
    // A copy on its way is measured once it is laid down.
    if (!state.drag && (waited || JSON.stringify(view) !== was)) out.tell(view);
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  const rowNow = () => {
    const reading = readings[Math.min(state.variant, readings.length - 1)];
    return reading ? reading.rowsOf(state.query)[reading.placeOf(state.point)] : null;
  };

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    const old = isOldTwins(canvas, state);
    board.draw(state, rowNow(), twinsOfPatch(canvas, state.query), old, table, colours);
    const lines = [differenceLines(canvas, state.measure, colours), chanceLines(canvas, colours)];
    differences.draw(lines[0], null, state, old, colours);
    chances.draw(lines[1], lines[1].length ? 1 : null, state, old, colours);
    const at = state.pointedPoint >= 0 ? state.pointedPoint : state.point;
    upper.update(lines[0], at, () => 0, number);
    lower.update(lines[1], at, ({ variant }) => Math.min(variant, Math.max(0, known.length - 1)), number);
    words(old);
    announce(old);
  }

  function words(old) {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    put("mapTitle", readings.length && state.shown ? `Same object as patch ${nameOfPatch(state.query, canvas.columns)}? ${state.point ? "A" : "At "}${wordsOfPoint(state.point).replace(/^a/, "")}` : "Identical copies");
    put("differenceTitle", state.measure === "cosines" ? "Copies: 1 − cosine" : "Copies: distance / norm");
    put("chanceTitle", canvas.row ? `P(same object), ${titleOfRow(canvas.row, "probe")} probe` : "P(same object): no probe yet");
    put("words", sentenceOfTwins(canvas, readings, state, old, problem));
    part("differenceWaits").hidden = Boolean(canvas.curves);
    part("chanceWaits").hidden = Boolean(canvas.curves && canvas.row);
    bar.update(state, old, problem, deeds);
    facts.update(state);
    help.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", spokenTwins(canvas, readings, state)), 350);
  }

  function announce(old) {
    const { selected, point, variant, measure, query, pointed, shown, said, layout } = state;
    const row = rowNow();
    root.dispatchEvent(new CustomEvent("twins:painted", {
      detail: {
        id: canvas.id, layout: textOfLayout(layout), old, places: layout.places, selected, point, variant, measure, shown, said,
        query: nameOfPatch(query, canvas.columns), pointed: pointed >= 0 ? nameOfPatch(pointed, canvas.columns) : "",
        chance: row ? row[pointed >= 0 ? pointed : query] : null, place: board.place(), dots: differences.dots(),
      },
      bubbles: true, composed: true,
    }));
  }

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (button && root.contains(button) && button.dataset.do) deeds[button.dataset.do]();
  }

  function fill() {
    part("point").replaceChildren(...[...Array(canvas.points).keys()].map((point) => new Option(point === 0 ? "0, the embedding" : `${point}, ${wordsOfPoint(point)}`, String(point))));
    part("scale").hidden = !readings.length;
    const context = part("bar").getContext("2d");
    for (let i = 0; i < 256; i += 1) {
      context.fillStyle = cssColour(table[i]);
      context.fillRect(i, 0, 1, 1);
    }
  }

  fill();
  root.addEventListener("click", onClick, { signal });
  bar.listen((changes) => set({ layout: { ...state.layout, ...changes }, said: "", selected: -1 }), signal);
  part("point").addEventListener("change", (event) => set({ point: Number(event.target.value) }), { signal });
  const now = (event) => {
    const field = event.composedPath()[0];
    return { selected: state.selected, count: state.layout.places.length, onCanvas: [part("map"), root, document.body].includes(field) };
  };
  listenToKeys(root, (event) => twinsAction(event, now(event)), (name, ...args) => deeds[name](...args), signal);
  const charts = [{ chart: differences, element: part("differences") }, { chart: chances, element: part("chances") }];
  const ask = (query, copy) => set({ query, named: true, selected: copy, pointed: -1, said: "" });
  listenToTwins(part, { board, charts, canvas, rules }, { state: () => state, set, ask }, signal);
  const watcher = new ResizeObserver(() => { board.fit(); set({}); });
  for (const element of [part("mapBox").parentElement, part("differences").parentElement, part("chances").parentElement]) watcher.observe(element);
  board.fit();
  set({});

  return {
    /** What another canvas can take over. */
    before: () => ({ state, canvas }),
    recolour() {
      colours = plotColours(root);
      set({});
    },
    isDragging: () => Boolean(state.drag),
    /** Why the copies on screen could not be measured; empty where they could. */
    setProblem(text) {
      problem = text;
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
