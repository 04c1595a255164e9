/** Joins state, data and canvases. A row is painted as soon as it is here, at once where it was
 * held; other changes are painted in the next animation frame, all before it together.
 *
 * After every painted change of the row the lens dispatches `lens:painted` on its element
 * (bubbling, composed); tests and the hover benchmark listen to it. `detail` holds
 *   address    route of the record
 *   query, direction   of the row now on screen
 *   network    whether the row had to be fetched
 *   event      time stamp of the pointer event, or the time of another change
 *   painted    time at which the canvases had been drawn
 *   done       time of the first task after that frame
 *   layout     place of the maps in CSS pixels: left, top, gap, width, height; columns; lines
 * All times are on the clock of performance.now().
 */
import { createActions, spokenText } from "./actions.js";
import { createControls } from "./controls.js";
import { createHelp } from "./help.js";
import { createMatrix, preferredWidth } from "./matrix.js";
import { createPanel } from "./panel.js";
import { createRows } from "./rows.js";
import { createSpread } from "./spread.js";
import { createStage } from "./stage.js";
import { chosenHeads, cutNorms, cutPca, overlayMap } from "./overlay.js";
import { actionOf } from "./keys.js";
import { listenToKeys } from "./listening.js";
import { listenToMatrix, listenToStage } from "./pointer.js";
import { allLimits } from "./scale.js";
import { carryOver, firstState, viewOf } from "./state.js";
import { themeColours } from "./theme.js";

/** @param {HTMLElement} root the section  @param {object} out tell(view), copy(view, button), off(pairs), gone() */
export function createInstrument(root, record, address, palettes, view, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const gone = new AbortController();
  const stage = createStage(root.querySelector(".ground"), root.querySelector(".above"));
  const matrix = createMatrix(root.querySelector(".matrix"));
  const panel = createPanel(part, record, address);
  const controls = createControls(root, part, record, palettes);
  const spread = createSpread(part("spread"), record);
  const help = createHelp(part("help"), () => set({ help: false }));
  const extras = { norms: null, pca: null };
  let state = before ? carryOver(record, before) : firstState(record, view);
  let shown = { bits: null, query: null, direction: null, scale: null, limits: null };
  let due = { frame: 0, ground: true, event: 0, network: false };
  let colours = themeColours(root);
  let speakLater = 0;
  let spreadLater = 0;

  const rows = createRows(address, record, (_query, _direction, network) => {
    due.network = network;
    paintNow();
  }, (status, message) => (status === 410 ? out.gone() : say(message)));

  function say(message) {
    const line = part("message");
    line.hidden = !message;
    line.textContent = message ?? "";
  }

  function switchOff(names) {
    say("Running the model again");
    out.off([...names].map((name) => name.split(":").map(Number)));
  }

  function set(changes, cause = {}) {
    const previous = state;
    state = { ...state, ...changes };
    if (cause.ground) due.ground = true;
    const turned = state.query !== previous.query || state.direction !== previous.direction;
    if (turned) {
      due.event = cause.time ?? performance.now();
      due.network = false;
    }
    const held = turned && rows.want(state.query, state.direction);
    if (JSON.stringify(viewOf(state)) !== JSON.stringify(viewOf(previous))) out.tell(viewOf(state));
    if (held) paintNow();
    else schedule();
  }

  /** Waiting for the next animation frame would only add to the latency: a browser sends one
   * pointer event a frame, and a frame shows the canvases as they are when it is made. */
  function paintNow() {
    cancelAnimationFrame(due.frame);
    frame();
  }

  function schedule() {
    if (!due.frame) due.frame = requestAnimationFrame(frame);
  }

  /** Takes the wished row when it is here; the last row stays on screen until then. */
  function takeRow() {
    const bits = rows.get(state.query, state.direction);
    const same = shown.query === state.query && shown.direction === state.direction;
    const held = bits ?? (shown.direction === state.direction ? shown.bits : null);
    const fresh = Boolean(bits) && !same;
    const look = `${state.scale}:${state.cmap}`;
    if (held && (fresh || shown.look !== look)) {
      const limits = allLimits(record, held, state.direction, state.scale);
      matrix.colour(held, state.direction, limits, palettes[state.cmap]);
      shown = bits
        ? { bits, limits, look, query: state.query, direction: state.direction }
        : { ...shown, limits, look };
    }
    return fresh;
  }

  function frame() {
    due.frame = 0;
    if (gone.signal.aborted) return;
    const fresh = takeRow();
    if (due.ground) stage.drawGround(state, colours);
    due.ground = false;
    // While a row is on its way the overlay of the last one stays, under its own name.
    const seen = shown.bits ? { ...state, direction: shown.direction } : state;
    const map = overlayMap(record, seen, shown.bits, shown.limits, extras);
    if (shown.bits) matrix.draw(seen, colours);
    stage.draw(state, colours, map, palettes[state.cmap]);
    const painted = performance.now();
    words(seen, map);
    if (fresh) announce(painted);
  }

  function words(seen, map) {
    const current = shown.query === state.query && shown.direction === state.direction;
    const found = panel.update(seen, current ? shown.bits : null, extras);
    controls.update(state, map);
    help.show(state.help);
    const heads = chosenHeads(state);
    part("setBlock").hidden = !heads.length;
    part("setText").textContent = heads.map(([l, h]) => `L${l} H${h}`).join(", ");
    panel.whatIf(state, heads);
    const zoom = part("zoom");
    zoom.hidden = stage.atHome();
    zoom.textContent = `${stage.zoomed().toFixed(1)} ×`;
    // Not in the way of the next hover: the chart follows when the pointer rests a moment.
    clearTimeout(spreadLater);
    if (current) spreadLater = setTimeout(() => spread.draw(state, shown.bits, colours), 40);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => { part("spoken").textContent = spokenText(record, seen, found); }, 350);
  }

  function announce(painted) {
    say(null);
    const detail = {
      address, query: shown.query, direction: shown.direction, network: due.network,
      event: due.event, painted, layout: matrix.layout(),
    };
    // A message sent from an animation frame is delivered after that frame has been rendered.
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        channel.port1.close();
        detail.done = performance.now();
        root.dispatchEvent(new CustomEvent("lens:painted", { detail, bubbles: true, composed: true }));
      };
      channel.port2.postMessage(null);
    });
  }

  /** Shares the space: the maps get what they can use, the picture the rest. */
  function layout() {
    const maps = part("maps");
    const box = part("stage");
    const wide = maps.offsetLeft + maps.clientWidth - part("left").offsetLeft;
    const share = record.maxHeads > 12 ? 0.54 : record.maxHeads > 8 ? 0.5 : 0.43;
    const needed = preferredWidth(record, wide * share, maps.clientHeight);
    root.style.setProperty("--maps", `${needed}px`);
    const across = box.clientWidth;
    const room = part("left").clientHeight - part("legend").offsetHeight - 10;
    const tall = Math.max(120, Math.floor(Math.min(room, across / record.viewAspect)));
    box.style.height = `${tall}px`;
    stage.fit(record, across, tall);
    matrix.fit(record, maps.clientWidth, maps.clientHeight);
    due.ground = true;
    schedule();
  }

  async function fetchExtras() {
    if (!record.tokens) return; // the family does not give its residual stream
    try {
      const [norms, pca] = await Promise.all(["norms", "pca"].map((name) => fetch(`${address}/${name}`)));
      const [normBytes, pcaBytes] = await Promise.all([norms.arrayBuffer(), pca.arrayBuffer()]);
      if (norms.ok && normBytes.byteLength) extras.norms = cutNorms(record, normBytes);
      if (pca.ok && pcaBytes.byteLength) extras.pca = cutPca(record, pcaBytes);
    } catch {
      say("Norms and features did not arrive; attention is not affected");
    }
    schedule();
  }

  const { actions, pointer } = createActions({
    record: () => record, state: () => state, set, stage, switchOff,
  });

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button) return;
    const { set: pair, toggle, query, do: name } = button.dataset;
    if (pair) set({ [pair.split(":")[0]]: pair.split(":")[1] });
    else if (toggle) actions.toggle(toggle);
    else if (query) actions.query(query);
    else if (name === "copy") out.copy(viewOf({ ...state, pinned: true }), button);
    else if (name) actions[name]();
  }

  function listen() {
    const signal = gone.signal;
    root.addEventListener("click", onClick, { signal });
    part("queries").addEventListener("change", (event) => {
      if (event.target.value) actions.query(event.target.value);
    }, { signal });
    part("cmap").addEventListener("change", (event) => set({ cmap: event.target.value }), { signal });
    part("opacity").addEventListener("input", (event) => set({ opacity: Number(event.target.value) }), { signal });
    listenToKeys(root, actionOf, (name, ...args) => actions[name](...args), signal);
    listenToStage(root.querySelector(".above"), stage, () => record, pointer, signal);
    listenToMatrix(root.querySelector(".matrix"), matrix, pointer, signal);
    const watcher = new ResizeObserver(layout);
    watcher.observe(root);
    watcher.observe(part("maps"));
    signal.addEventListener("abort", () => watcher.disconnect());
  }

  listen();
  layout();
  rows.want(state.query, state.direction);
  due.event = performance.now();
  setTimeout(fetchExtras, 60);

  return {
    state: () => state,
    setPicture(image) {
      stage.setPicture(image);
      due.ground = true;
      schedule();
    },
    /** A view from the address (the browser's back button). */
    goTo: (next) => set(firstState(record, next)),
    recolour() {
      colours = themeColours(root);
      due.ground = true;
      schedule();
    },
    close() {
      gone.abort();
      rows.close();
      cancelAnimationFrame(due.frame);
      clearTimeout(speakLater);
      clearTimeout(spreadLater);
    },
  };
}
