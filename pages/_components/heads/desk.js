/** Joins state, study and charts. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `heads:painted` on its element (bubbling,
 * composed). `detail` holds
 *   id, metric, layer, head   what is chosen; `image` is the hash of the chosen image
 *   pointed    head under the pointer as "layer:head", or null
 *   found      heads that are marked, as "layer:head"
 *   layout     place of the matrix's cells in CSS pixels: left, top, gap, width, height
 */
import { nameOfHead } from "./atlas.js";
import { carryChoice, firstChoice, foundHeads, headsView } from "./choice.js";
import { colourTables, plotColours } from "./plot.js";
import { createGrid, gridWidth } from "./grid.js";
import { createRanking } from "./ranking.js";
import { createPerHead } from "./perhead.js";
import { createPictures } from "./pictures.js";
import { createSide } from "./side.js";
import { createFacts, spokenHead } from "./facts.js";
import { createDetail } from "./detail.js";
import { createPruning } from "./pruning.js";
import { createAbout } from "./about.js";
import { createTop } from "./topbar.js";
import { createDeeds } from "./deeds.js";
import { headAction } from "./headkeys.js";
import { listenToKeys } from "../lens/listening.js";
import { listenToCharts } from "./headpointer.js";

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value), gone() */
export function createDesk(root, atlas, data, before, cache, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const tables = colourTables(data.palettes);
  let state = before ? carryChoice(atlas, before) : firstChoice(atlas, data.view);
  state.found = foundHeads(atlas, data.found);
  let colours = plotColours(root);
  let frame = 0;
  let speakLater = 0;

  const grid = createGrid(part("grid"), atlas);
  const ranking = createRanking(part("ranking"), atlas);
  const perHead = createPerHead(part("perHead"), atlas);
  const pictures = createPictures(part("pictures"), atlas, data.base, schedule);
  const side = createSide(part, atlas, tables, (metric) => set({ metric }));
  const facts = createFacts(part, atlas, data.base);
  const detail = createDetail(part, atlas, data.base, cache, out.gone);
  const pruning = createPruning(
    part, atlas, () => state, (heads) => set({ set: heads }),
    (heads) => out.trigger("prune", { heads, metric: state.metric }), signal,
  );
  const about = createAbout(part("help"), atlas, () => set({ help: false }));
  const top = createTop(root, part, atlas, tables);

  function set(changes) {
    const last = JSON.stringify(headsView(atlas, state));
    state = { ...state, ...changes };
    const view = headsView(atlas, state);
    if (JSON.stringify(view) !== last) out.tell(view);
    schedule();
  }

  function schedule() {
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    const index = atlas.metricIndex(state.metric);
    const metric = atlas.metrics[index];
    const summary = atlas.summaries[index];
    const table = metric.signed ? tables.signed : tables.plain;
    const chosen = atlas.headIndex(state.layer, state.head);
    grid.draw(state, summary, table, colours);
    ranking.draw(state, summary, metric, colours);
    perHead.draw(state, colours);
    pictures.draw(state, effectOf(chosen), colours);
    side.draw(state, colours);
    words(metric, chosen);
    announce();
  }

  /** Head whose effect the images show. Without a read-out it orders them too, so hover keeps out. */
  function effectOf(chosen) {
    return atlas.probabilities && state.pointed >= 0 ? state.pointed : chosen;
  }

  function words(metric, chosen) {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    put("rankingTitle", `Heads by ${metric.title}`);
    put("perHeadTitle", perHead.title(state));
    put("picturesTitle", pictures.title(state, effectOf(chosen)));
    const image = atlas.images[state.image];
    part("shot").hidden = !image;
    if (image && part("shotImage").dataset.src !== image.src) {
      part("shotImage").dataset.src = image.src;
      part("shotImage").src = `${data.base}${image.src}`;
      part("shotImage").alt = image.name;
    }
    put("shotName", image?.name ?? "");
    const head = facts.update(state);
    top.update(state);
    pruning.update(state);
    detail.update(state);
    about.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", spokenHead(atlas, state, head)), 350);
  }

  function announce() {
    const { metric, layer, head, pointed } = state;
    const found = [...state.found.heads].map((one) => nameOfHead(atlas.heads[one]));
    const image = atlas.images[state.image]?.sha256 ?? null;
    const seen = pointed >= 0 ? nameOfHead(atlas.heads[pointed]) : null;
    root.dispatchEvent(new CustomEvent("heads:painted", {
      detail: { id: atlas.id, metric, layer, head, image, pointed: seen, found, layout: grid.layout() },
      bubbles: true, composed: true,
    }));
  }

  /** Shares the space: the matrix gets what its cells can use, the ranking the rest. */
  function layout() {
    const box = part("pair");
    const wide = gridWidth(atlas, box.clientWidth * 0.64);
    root.style.setProperty("--grid", `${wide}px`);
    // Only now: the caption below wraps at this width.
    const room = box.clientHeight - part("under").offsetHeight - 6;
    grid.fit(wide, Math.max(120, room));
    part("gridBox").style.height = `${Math.min(room, grid.bottom())}px`;
    top.fit();
    schedule();
  }

  const deeds = createDeeds({ atlas, state: () => state, set, pictures, side, out });

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button) return;
    const { metric, tab, do: name } = button.dataset;
    if (metric) set({ metric });
    else if (tab) set({ tab });
    else if (name) deeds[name]();
  }

  root.addEventListener("click", onClick, { signal });
  part("metricMenu").addEventListener("change", (event) => set({ metric: event.target.value }), { signal });
  listenToKeys(root, headAction, (name, ...args) => deeds[name](...args), signal);
  listenToCharts(part, { grid, ranking, perHead, pictures, side }, {
    atlas, base: data.base, deeds, set, schedule, state: () => state,
  }, signal);
  const watcher = new ResizeObserver(layout);
  for (const name of ["pair", "under", "strip", "sideBody", "topBar"]) watcher.observe(part(name));
  watcher.observe(root);
  layout();

  return {
    /** What another study can take over: the choice, and the hash of its image. */
    before: () => ({ state, sha256: atlas.images[state.image]?.sha256 ?? "" }),
    recolour() {
      colours = plotColours(root);
      top.recolour();
      schedule();
    },
    /** Other heads are to be marked. */
    mark(found) {
      state.found = foundHeads(atlas, found);
      schedule();
    },
    close() {
      closing.abort();
      watcher.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(speakLater);
      detail.close();
    },
  };
}
