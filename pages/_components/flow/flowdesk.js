/** Joins state, flow and charts. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `flow:painted` on its element (bubbling,
 * composed). `detail` holds
 *   id, changed        of the flow and of its what-if, or null
 *   map, layer, scaling, threshold, shown   what is chosen
 *   pointed            name of the token under the pointer, or null
 *   sinks              names of the tokens that are sinks somewhere
 *   place              of the picture on the first map's canvas: left, top, width, height
 */
import { decodePalette } from "../lens/scale.js";
import { listenToKeys } from "../lens/listening.js";
import { colourTables, plotColours } from "../heads/plot.js";
import { MAP_ORDER, nameOfToken, sinksOf } from "./evidence.js";
import { SCALINGS, SHOWN_ORDER, carryOutlook, firstOutlook, focusLayer, outlookView } from "./outlook.js";
import { receivedScale, scaledMaps } from "./mapscale.js";
import { createMapCards } from "./mapcards.js";
import { createSinkMap } from "./sinkmap.js";
import { createSinkLife } from "./sinklife.js";
import { createNormBand } from "./normband.js";
import { createShiftLines } from "./shiftlines.js";
import { createFlowFacts, sentenceOf, spokenFlow } from "./flowfacts.js";
import { createWhatIf } from "./whatif.js";
import { createFlowHelp } from "./flowhelp.js";
import { flowAction } from "./flowkeys.js";
import { listenToFlow } from "./flowpointer.js";

/** The one after this one in a list, from the start again at its end. */
function after(list, one) {
  return list[(list.indexOf(one) + 1) % list.length];
}

/** Colours of the theme, those of the kinds of tokens among them. */
function flowColours(root) {
  const style = getComputedStyle(root);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ...plotColours(root), cls: read("--cls"), green: read("--green") };
}

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value) */
export function createFlowDesk(root, evidence, changed, data, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const plain = colourTables(data.palettes);
  const tables = { maps: decodePalette(data.palettes.inferno), norms: plain.plain, signed: plain.signed };
  const scale = receivedScale(evidence);
  let state = before ? carryOutlook(evidence, changed, before) : firstOutlook(evidence, data.view);
  if (changed && !before?.changed) state.shown = "after";
  let colours = flowColours(root);
  let frame = 0;
  let speakLater = 0;
  let scaled = new Map();
  let scaledFor = "";

  const cards = createMapCards(part("cards"), evidence);
  const sinkMap = createSinkMap(part, evidence, scale);
  const life = createSinkLife(part("life"), evidence, scale);
  const band = createNormBand(part("band"), evidence);
  const shifts = createShiftLines(part("shifts"), evidence);
  const facts = createFlowFacts(part, evidence, data.base);
  const help = createFlowHelp(part("help"), evidence, () => set({ help: false }));
  const whatIf = createWhatIf(part, evidence, changed, data.asked, {
    state: () => state, set, ask: (wish) => out.trigger("what_if", { ...wish, view: outlookView(state) }),
  }, signal);

  function set(changes) {
    const last = JSON.stringify(outlookView(state));
    state = { ...state, ...changes };
    const view = outlookView(state);
    if (JSON.stringify(view) !== last) out.tell(view);
    schedule();
  }

  function schedule() {
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    // A hover changes no colours.
    const now = [state.layer, state.scaling, state.shown].join();
    if (now !== scaledFor) scaled = scaledMaps(evidence, changed, state);
    scaledFor = now;
    cards.draw(state, scaled, changed, tables, colours);
    sinkMap.draw(state, changed, tables, colours);
    life.draw(state, changed, tables, colours);
    band.draw(state, tables, colours);
    shifts.draw(state, colours);
    words();
    announce();
  }

  function words() {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    const count = sinksOf(evidence, state.threshold).length;
    put("sinkMapTitle", `Attention received, ${evidence.layers[focusLayer(state)]}`);
    put("lifeTitle", `${count} sink${count === 1 ? "" : "s"} by layer`);
    put("thresholdWord", `${state.threshold} × uniform`);
    if (Number(part("threshold").value) !== state.threshold) part("threshold").value = String(state.threshold);
    if (part("layer").value !== String(state.layer)) part("layer").value = String(state.layer);
    for (const button of root.querySelectorAll("[data-scaling], [data-shown]")) {
      const { scaling, shown } = button.dataset;
      const on = String(scaling ? scaling === state.scaling : shown === state.shown);
      if (button.getAttribute("aria-pressed") !== on) button.setAttribute("aria-pressed", on);
    }
    facts.update(state, changed, scaled);
    whatIf.update(state);
    help.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", spokenFlow(evidence, state, scaled)), 350);
  }

  function announce() {
    const { map, layer, scaling, threshold, shown, pointed } = state;
    const sinks = sinksOf(evidence, threshold).map(({ token }) => nameOfToken(evidence, token));
    root.dispatchEvent(new CustomEvent("flow:painted", {
      detail: {
        id: evidence.id, changed: changed?.id ?? null, map, layer, scaling, threshold, shown, sinks,
        pointed: pointed < 0 ? null : nameOfToken(evidence, pointed), place: cards.cards[0].ground.place(),
      },
      bubbles: true, composed: true,
    }));
  }

  function layout() {
    cards.fit();
    sinkMap.fit();
    schedule();
  }

  function openLens(place) {
    out.trigger("lens", { ...place, view: outlookView(state) });
  }

  const deeds = {
    stepLayer: (by) => set({ layer: Math.max(0, Math.min(evidence.last, state.layer + by)) }),
    chooseLayer: (layer) => set({ layer }),
    nextMap: () => set({ map: after(MAP_ORDER.filter((name) => evidence.byName.has(name)), state.map) ?? state.map }),
    nextScaling: () => set({ scaling: after(SCALINGS, state.scaling) }),
    nextShown: () => { if (changed) set({ shown: after(SHOWN_ORDER, state.shown) }); },
    openToken: (token) => openLens({ layer: state.layer, q: nameOfToken(evidence, token) }),
    openLayer: (layer) => openLens({ layer }),
    open: () => (state.pointed >= 0 ? deeds.openToken(state.pointed) : deeds.openLayer(state.layer)),
    help: () => set({ help: !state.help }),
    escape: () => set({ help: false, pointed: -1, pointedLayer: -1 }),
  };

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button) return;
    const { map, scaling, shown, do: name } = button.dataset;
    if (map) set({ map: evidence.byName.has(map) ? map : state.map });
    else if (scaling) set({ scaling });
    else if (shown) set({ shown });
    else if (name) deeds[name]();
  }

  part("layer").replaceChildren(...evidence.layers.map((label, layer) => new Option(label, String(layer))));
  part("noMaps").hidden = evidence.maps.length > 0;
  part("noMapsWord").textContent = evidence.maps.length ? "" : sentenceOf(Object.values(evidence.missing)[0] ?? "");
  root.classList.toggle("bare", evidence.maps.length === 0);
  part("shownGroup").hidden = !changed;
  part("score").textContent = evidence.top.length ? `Target: ${evidence.target}` : `Score: ${evidence.score}`;
  part("score").title = `Target of the gradients: ${evidence.target}. Curves: ${evidence.score}`;
  const photo = new Image();
  photo.onload = () => { cards.setPhoto(photo); sinkMap.setPhoto(photo); schedule(); };
  photo.src = `${data.base}${evidence.urls.picture}`;

  root.addEventListener("click", onClick, { signal });
  part("layer").addEventListener("change", (event) => set({ layer: Number(event.target.value) }), { signal });
  part("threshold").addEventListener("input", (event) => set({ threshold: Number(event.target.value) }), { signal });
  listenToKeys(root, flowAction, (name, ...args) => deeds[name](...args), signal);
  const charts = { cards: cards.cards, sinkMap, life, band, shifts };
  listenToFlow(part, charts, { evidence, state: () => state, set, deeds }, signal);
  const watcher = new ResizeObserver(layout);
  for (const name of ["cards", "sinkBox"]) watcher.observe(part(name));
  watcher.observe(root);
  layout();

  return {
    /** What another flow can take over. */
    before: () => ({ ...state, changed: Boolean(changed) }),
    recolour() {
      colours = flowColours(root);
      schedule();
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
