/** Joins state, tiles and panel. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `annotated:painted` on its element (bubbling,
 * composed). `detail` holds
 *   survey, source      id and name of what is shown
 *   page, look, purity, background, pointed   what is chosen
 *   tiles               of each picture on screen: row, name, filled patches, ready
 */
import { listenToKeys } from "../lens/listening.js";
import { plotColours } from "../heads/plot.js";
import { createGalleryFacts, tileWords } from "./annotatedfacts.js";
import { createGalleryHelp } from "./annotatedhelp.js";
import { galleryAction } from "./annotatedkeys.js";
import { firstGallery, galleryView, LOOKS, nearestPurity, pagesOf, rowsOnPage, titleOfImage } from "./annotatedstate.js";
import { fetchTile, paintTile, underPointer } from "./annotatedtiles.js";

const CAPTION = 38; // two lines of words, padding and gap of a tile
const [GAP_ACROSS, PADDING] = [12, 8];
const [LEAST_TILE, NARROW_TILE, MOST_TILE] = [96, 150, 280];

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value) */
export function createAnnotatedDesk(root, survey, data, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const tiles = before?.id === survey.id ? before.tiles : new Map();
  let state = firstGallery(data, survey);
  let colours = plotColours(root);
  let buttons = new Map();
  let asked = {}; // what was wished and has not come yet
  let side = 0;
  let across = 4;
  let frame = 0;
  let speakLater = 0;

  const facts = createGalleryFacts(part, survey, data);
  const help = createGalleryHelp(part("help"), () => set({ help: false }));

  const ask = () => { if (!frame && !signal.aborted) frame = requestAnimationFrame(paint); };
  const rows = () => rowsOnPage(data, survey, state);

  function set(changes) {
    const was = galleryView(data, state);
    state = { ...state, ...changes };
    const now = galleryView(data, state);
    if (JSON.stringify(now) !== JSON.stringify(was)) out.tell({ ...now, ...asked });
    ask();
  }

  /** Another choice that Python has to answer: other pictures. */
  function wish(changes) {
    asked = { ...asked, page: "0", ...changes };
    out.tell({ ...galleryView(data, state), ...asked });
  }

  function lay() {
    buttons = new Map(rows().map((row) => [row, tileButton(row)]));
    part("tiles").replaceChildren(...buttons.values());
    for (const row of buttons.keys()) load(row);
    size();
  }

  function tileButton(row) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "tile";
    Object.assign(button.dataset, { do: "pick", value: String(row) });
    button.append(document.createElement("canvas"), document.createElement("span"), document.createElement("span"));
    button.children[1].textContent = titleOfImage(survey, row);
    button.title = `Look at ${titleOfImage(survey, row)}`;
    const canvas = button.firstElementChild;
    canvas.addEventListener("pointermove", (event) => {
      const at = tiles.has(row) ? underPointer(canvas, tiles.get(row), survey, event) : null;
      if (at) set({ pointed: { row, ...at }, focused: row });
    }, { signal });
    canvas.addEventListener("pointerleave", () => set({ pointed: null }), { signal });
    button.addEventListener("focus", () => set({ focused: row }), { signal });
    return button;
  }

  async function load(row) {
    if (tiles.has(row)) return;
    try {
      tiles.set(row, await fetchTile(data.base, survey, row));
      ask();
    } catch (error) {
      if (!signal.aborted) out.failed(error);
    }
  }

  /** The largest tiles of which all of a page are seen at once. */
  function size() {
    const box = part("tiles");
    const count = Math.max(1, buttons.size);
    let best = 0;
    for (let columns = 1; columns <= Math.min(8, count); columns += 1) {
      const wide = (box.clientWidth - (columns - 1) * GAP_ACROSS) / columns - PADDING;
      const high = box.clientHeight / Math.ceil(count / columns) - CAPTION - PADDING;
      const fits = Math.floor(Math.min(wide, high));
      if (fits > best) [best, across] = [fits, columns];
    }
    side = Math.max(LEAST_TILE, Math.min(MOST_TILE, best));
    across = Math.max(1, Math.min(across, Math.floor((box.clientWidth + GAP_ACROSS) / (side + PADDING + GAP_ACROSS))));
    box.style.setProperty("--tile", `${side + PADDING}px`);
    box.style.setProperty("--across", String(across));
    ask();
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    const seen = [];
    for (const [row, button] of buttons) {
      const tile = tiles.get(row);
      const filled = tile ? paintTile(button.firstElementChild, tile, survey, state, side, colours) : 0;
      button.children[2].textContent = tileWords(survey, state, row, side < NARROW_TILE);
      button.children[2].title = tileWords(survey, state, row);
      button.setAttribute("aria-pressed", String(row === data.looked));
      seen.push({ row, name: survey.images[row].name, filled, ready: Boolean(tile) });
    }
    words();
    announce(seen);
  }

  function words() {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    const pages = pagesOf(data, survey);
    put("title", `${survey.title}: ${{ patches: "patches that keep an object, coloured by object", objects: "instances of the mask", picture: "pictures" }[state.look]}`);
    put("pageText", `${state.page + 1} of ${pages}`);
    put("purityText", state.purity.toFixed(2));
    part("purity").value = String(state.purity);
    part("before").disabled = state.page === 0;
    part("after").disabled = state.page >= pages - 1;
    part("background").setAttribute("aria-pressed", String(state.background));
    for (const button of part("looks").children) button.setAttribute("aria-pressed", String(button.dataset.value === state.look));
    const row = state.pointed?.row ?? state.focused;
    facts.update(state, tiles, buttons.has(row) ? row : rows()[0]);
    help.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => { if (survey.images[row]) put("spoken", `${survey.images[row].name}: ${tileWords(survey, state, row)}`); }, 350);
  }

  function announce(seen) {
    const { page, look, purity, background, pointed } = state;
    root.dispatchEvent(new CustomEvent("annotated:painted", {
      detail: { survey: survey.id, source: data.view.source, title: survey.title, page, look, purity, background, pointed, looked: data.looked, tiles: seen },
      bubbles: true, composed: true,
    }));
  }

  const deeds = {
    look: (value) => set({ look: value }),
    nextLook: () => set({ look: LOOKS[(LOOKS.indexOf(state.look) + 1) % LOOKS.length] }),
    background: () => set({ background: !state.background }),
    purity: (value) => set({ purity: nearestPurity(survey, Number(value)) }),
    purityBy(by) {
      const at = survey.purities.indexOf(state.purity) + by;
      set({ purity: survey.purities[Math.max(0, Math.min(survey.purities.length - 1, at))] });
    },
    page(by) {
      const page = Math.max(0, Math.min(pagesOf(data, survey) - 1, state.page + Number(by)));
      if (page === state.page) return;
      if (data.pages) wish({ page: String(page) });
      else {
        set({ page, pointed: null, focused: rowsOnPage(data, survey, { page })[0] });
        lay();
      }
    },
    step(right, down) {
      const known = [...buttons.keys()];
      const at = known.indexOf(state.focused) + right + down * across;
      if (at >= 0 && at < known.length) buttons.get(known[at]).focus();
    },
    pick(value) {
      const row = value === undefined ? state.focused : Number(value);
      if (survey.images[row]) out.trigger("pick", { survey: survey.id, row });
    },
    fit: () => out.trigger("fit", { source: survey.source, purity: state.purity, background: state.background }),
    help: () => set({ help: !state.help }),
    escape: () => set({ help: false }),
  };

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (button && root.contains(button) && button.dataset.do) deeds[button.dataset.do](button.dataset.value);
  }

  function fill() {
    const options = (name, entries, chosen) => {
      part(name).replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
      part(name).value = chosen;
    };
    options("source", data.sources, data.view.source);
    options("family", data.families, data.view.family);
    options("side", data.sides, data.view.side);
    part("family").hidden = part("side").hidden = !data.pages;
  }

  fill();
  root.addEventListener("click", onClick, { signal });
  for (const name of ["source", "family", "side"]) {
    part(name).addEventListener("change", (event) => wish({ [name]: event.target.value }), { signal });
  }
  part("purity").addEventListener("input", (event) => deeds.purity(event.target.value), { signal });
  listenToKeys(root, galleryAction, (name, ...args) => deeds[name](...args), signal);
  const watcher = new ResizeObserver(size);
  watcher.observe(part("tiles"));
  state.focused = rows()[0] ?? 0;
  lay();

  return {
    /** What the same pictures can take over. */
    before: () => ({ id: survey.id, tiles }),
    recolour() {
      colours = plotColours(root);
      ask();
    },
    close() {
      closing.abort();
      watcher.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(speakLater);
    },
  };
}
