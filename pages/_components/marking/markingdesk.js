/** Joins drawing, tools and server. After every painting the element dispatches `marking:painted`;
 * `detail` holds tool, object, size, objects (numbers in use), owned (patches of each), place. */
import { listenToKeys } from "../lens/listening.js";
import { themeColours } from "../lens/theme.js";
import { createLabels, ownedPatches } from "./labels.js";
import { createEasel, inkOf } from "./easel.js";
import { keepDraft } from "./draft.js";

const KEYS = new Map([["b", ["tool", "brush"]], ["l", ["tool", "lasso"]], ["e", ["tool", "erase"]], ["[", ["grow", 0.8]], ["]", ["grow", 1.25]],
  ["g", ["grid"]], ["+", ["zoom", 1.25]], ["=", ["zoom", 1.25]], ["-", ["zoom", 0.8]], ["Delete", ["remove"]], ["Enter", ["use"]], ["?", ["help"]], ["Escape", ["escape"]]]);

export function markingKey(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return key === "z" ? [event.shiftKey ? "redo" : "undo"] : key === "y" ? ["redo"] : null;
  if (/^[1-9]$/.test(key)) return ["object", Number(key)];
  return KEYS.get(key) ?? null;
}

export function createMarkingDesk(root, data, first, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const labels = createLabels(data.height, data.width, first);
  const grid = { rows: data.rows, columns: data.columns, frame: data.frame };
  const canvas = part("canvas");
  const easel = createEasel(canvas, labels, grid);
  const photo = new Image();
  const pointers = new Map();
  let colours = themeColours(root);
  let state = { tool: "brush", object: 1, size: Math.max(6, Math.round(Math.min(data.height, data.width) / 14)), purity: 0.6, grid: true, line: [], pointed: null, help: false, sending: false };
  let frame = 0;
  let owned = new Map();

  function set(changes) {
    state = { ...state, ...changes };
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  /** After a change of the drawing: count, keep a draft, paint. */
  function changed() {
    easel.refresh();
    owned = grid.rows ? ownedPatches(labels, grid.frame, grid.rows, grid.columns, state.purity) : new Map();
    keepDraft(data.picture, labels);
    set({});
  }

  function inUse() {
    const seen = new Uint8Array(256);
    for (const one of labels.pixels) seen[one] = 1;
    return [...seen.keys()].filter((label) => label && seen[label]);
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    easel.draw(state, colours);
    const objects = inUse();
    for (const button of root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === state.tool));
    const shown = [...new Set([...objects, state.object, ...(objects.length < 9 ? [Math.min(9, (objects.at(-1) ?? 0) + 1)] : [])])].sort((a, b) => a - b);
    part("objects").replaceChildren(...shown.map((label) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.object = String(label);
      button.setAttribute("aria-pressed", String(label === state.object));
      const dot = document.createElement("i");
      dot.style.background = `rgb(${inkOf(label).join()})`;
      const words = !objects.includes(label) ? "nothing yet" : grid.rows ? `${owned.get(label) ?? 0} patches` : "marked";
      button.append(dot, `object ${label}: ${words}`);
      return button;
    }));
    part("size").value = String(state.size);
    part("purity").value = String(state.purity);
    part("purityWord").textContent = state.purity.toFixed(2);
    part("undo").disabled = !labels.canUndo;
    part("redo").disabled = !labels.canRedo;
    part("use").disabled = !objects.length || state.sending;
    part("use").textContent = state.sending ? "Sending" : "Use these objects";
    part("gridButton").setAttribute("aria-pressed", String(state.grid));
    part("help").hidden = !state.help;
    part("words").textContent = wordsOf(objects);
    root.dispatchEvent(new CustomEvent("marking:painted", {
      detail: { tool: state.tool, object: state.object, size: state.size, objects, owned: [...owned], place: easel.place() },
      bubbles: true, composed: true,
    }));
  }

  function wordsOf(objects) {
    if (!objects.length) return "Draw over one object, then take the next number for another. What is unmarked counts as nothing.";
    if (objects.length === 1) return "One object gives the map its truth; two or more also give pairs of different objects.";
    if (grid.rows && objects.some((label) => !owned.get(label))) return "An object without patches is too small or too thin for this grid: lower the purity, or draw it larger.";
    return `${objects.length} objects are marked.`;
  }

  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const labelNow = () => (state.tool === "erase" ? 0 : state.object);

  canvas.addEventListener("pointerdown", (event) => {
    const place = placeOf(event);
    pointers.set(event.pointerId, place);
    canvas.setPointerCapture(event.pointerId);
    root.focus({ preventScroll: true });
    if (event.button === 1 || event.shiftKey || pointers.size > 1) {
      // A second finger means zooming: the first one's dab was none.
      if (state.line.length && labels.undo()) changed();
      set({ line: [] });
      return;
    }
    const at = easel.at(...place);
    labels.remember();
    if (state.tool !== "lasso") { labels.brush(at, at, state.size / 2, labelNow()); easel.refresh(); }
    set({ line: [at], pointed: at });
  }, { signal });
  canvas.addEventListener("pointermove", (event) => {
    const place = placeOf(event);
    const was = pointers.get(event.pointerId);
    const at = easel.at(...place);
    if (was && (pointers.size > 1 || event.shiftKey || event.buttons === 4)) {
      pinch(event.pointerId, place, was);
    } else if (was && state.line.length) {
      if (state.tool === "lasso") set({ line: [...state.line, at] });
      else { labels.brush(easel.at(...was), at, state.size / 2, labelNow()); easel.refresh(); }
    }
    if (was) pointers.set(event.pointerId, place);
    set({ pointed: at });
  }, { signal });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (state.tool === "lasso" && state.line.length > 2) labels.fill(state.line, state.object);
      const drew = state.line.length > 0;
      pointers.delete(event.pointerId);
      set({ line: [] });
      if (drew) changed();
    }, { signal });
  }
  canvas.addEventListener("pointerleave", () => set({ pointed: null }), { signal });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    easel.zoom(Math.exp(-event.deltaY / 400), ...placeOf(event));
    set({});
  }, { signal, passive: false });

  /** One pointer moves the picture; two also zoom by their distance. */
  function pinch(id, place, was) {
    const other = [...pointers].find(([one]) => one !== id)?.[1];
    if (other) {
      const apart = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
      easel.zoom(apart(place) / Math.max(1, apart(was)), ...other);
    } else easel.pan(place[0] - was[0], place[1] - was[1]);
    set({});
  }

  const deeds = {
    tool: (tool) => set({ tool }),
    object: (object) => set({ object, tool: state.tool === "erase" ? "brush" : state.tool }),
    grow: (by) => set({ size: Math.max(2, Math.min(400, Math.round(state.size * by + (by > 1 ? 0.5 : -0.5)))) }),
    zoom: (by) => { easel.zoom(by, canvas.clientWidth / 2, canvas.clientHeight / 2); set({}); },
    grid: () => set({ grid: !state.grid }),
    undo: () => { if (labels.undo()) changed(); },
    redo: () => { if (labels.redo()) changed(); },
    remove: () => { labels.remove(state.object); changed(); },
    clear: () => { labels.clear(); changed(); },
    help: () => set({ help: !state.help }),
    escape: () => set({ help: false, line: [] }),
    async use() {
      if (!inUse().length || state.sending) return;
      set({ sending: true });
      await out.use(labels);
      set({ sending: false });
    },
  };

  root.addEventListener("click", (event) => {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button || !root.contains(button)) return;
    const { tool, object, do: name } = button.dataset;
    if (tool) deeds.tool(tool);
    else if (object) deeds.object(Number(object));
    else if (name) deeds[name]();
  }, { signal });
  part("size").addEventListener("input", (event) => set({ size: Number(event.target.value) }), { signal });
  part("purity").addEventListener("input", (event) => { state = { ...state, purity: Number(event.target.value) }; changed(); }, { signal });
  listenToKeys(root, markingKey, (name, ...args) => deeds[name](...args), signal);
  const watcher = new ResizeObserver(() => { easel.fit(); set({}); });
  watcher.observe(canvas.parentElement);
  photo.onload = () => { easel.setPhoto(photo); set({}); };
  photo.src = `${data.base}${data.photo}`;
  easel.fit();
  changed();

  return {
    /** The model's patches became known, or are others: a stroke under way goes on. */
    regrid(next) {
      Object.assign(grid, { rows: next.rows, columns: next.columns, frame: next.frame });
      changed();
    },
    recolour() { colours = themeColours(root); set({}); },
    close() {
      closing.abort();
      watcher.disconnect();
      cancelAnimationFrame(frame);
      photo.onload = null;
    },
  };
}
