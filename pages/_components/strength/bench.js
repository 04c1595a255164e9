/** Joins state, profile and charts. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `strength:painted` on its element (bubbling,
 * composed). `detail` holds
 *   id, metric, rule, unit, layer, head, hops   what is chosen; `image` is the image's hash
 *   pointed    head under the pointer as "layer:head", or null
 *   dots       [x, y] of every head's dot in CSS pixels of the chart
 *   offset     whether the offset map of the selected head is drawn
 *   control    whether random weights are drawn behind
 */
import { nameOfHead } from "../heads/atlas.js";
import { colourTables, plotColours } from "../heads/plot.js";
import { listenToKeys } from "../lens/listening.js";
import { decodePalette } from "../lens/scale.js";
import { createByLayer } from "./bylayer.js";
import { createHopBars } from "./hopbars.js";
import { createOverPictures } from "./overpictures.js";
import { createTemplates } from "./templates.js";
import { createOffsets } from "./offsets.js";
import { createBlockMass } from "./blockmass.js";
import { entropyWords } from "./sentences.js";
import { createHeadFacts, spokenSight } from "./headfacts.js";
import { createGuide } from "./guide.js";
import { createStrengthBar } from "./strengthbar.js";
import { sightAction } from "./strengthkeys.js";
import { listenToStrength } from "./strengthpointer.js";
import { carrySight, firstSight, shownBy, sightStep, sightView } from "./sight.js";

function sightColours(root) {
  const colours = plotColours(root);
  const cls = getComputedStyle(root).getPropertyValue("--cls").trim();
  return { ...colours, local: colours.series[3] ?? colours.orange, global: colours.dot, cls: cls || colours.accent };
}

/** The entry after `value` in a list; the first after the last. */
function after(list, value) {
  return list[(list.indexOf(value) + 1) % list.length];
}

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value), gone() */
export function createBench(root, profile, data, before, cache, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const inferno = decodePalette(data.palettes.inferno);
  let state = before ? carrySight(profile, before) : firstSight(profile, data.view);
  let colours = coloured();
  let frame = 0;
  let speakLater = 0;

  const byLayer = createByLayer(part("byLayer"), profile);
  const hops = createHopBars(part("hops"), profile);
  const pictures = createOverPictures(part("pictures"), profile, data.base, schedule);
  const templates = createTemplates(part("templates"), profile);
  const offsets = createOffsets(root, part("offsets"), profile, data.base, inferno, cache, schedule, out.gone);
  const blocks = createBlockMass(part("blocks"), profile, colourTables(data.palettes).plain);
  const facts = createHeadFacts(part, profile, data.base, profile.control ? data.control : "");
  const guide = createGuide(part("help"), profile, () => set({ help: false }));
  const bar = createStrengthBar(root, part, profile, inferno);

  /** Colours of the canvases; the legend takes its own from them. */
  function coloured() {
    const found = sightColours(root);
    root.style.setProperty("--local", found.local);
    return found;
  }

  function set(changes) {
    const last = JSON.stringify(sightView(profile, state));
    state = { ...state, ...changes };
    const view = sightView(profile, state);
    if (JSON.stringify(view) !== last) out.tell(view);
    schedule();
  }

  function schedule() {
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    for (const chart of [byLayer, hops, pictures, templates, offsets]) chart.draw(state, colours);
    blocks.update(state);
    bar.update(state, offsets.high());
    words();
    announce();
  }

  function words() {
    const put = (name, text) => {
      if (part(name).textContent === text) return;
      part(name).textContent = text;
      part(name).title = text;
    };
    const head = profile.headIndex(state.layer, state.head);
    put("hopsTitle", hops.title(state));
    put("hopsWords", entropyWords(profile, state, head));
    put("picturesTitle", pictures.title(state));
    put("templatesTitle", templates.title(state));
    put("offsetsTitle", offsets.title(state));
    put("arrowWords", `Mean attention, renormalised. Arrow, mean offset: ${offsets.arrowWords()}`);
    put("headTitle", `Selected head ${profile.labelOf(head)}`);
    const seen = facts.update(state);
    guide.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", spokenSight(profile, state, seen)), 350);
  }

  function announce() {
    const { metric, rule, layer, head, pointed } = state;
    root.dispatchEvent(new CustomEvent("strength:painted", {
      detail: {
        id: profile.id, metric, rule, layer, head, hops: state.hops, unit: shownBy(profile, state).unit,
        image: profile.images[state.image]?.sha256 ?? null,
        pointed: pointed >= 0 ? nameOfHead(profile.heads[pointed]) : null,
        dots: byLayer.dots(), offset: offsets.high() !== null, control: profile.control !== null,
      },
      bubbles: true, composed: true,
    }));
  }

  const deeds = {
    step: (down, right) => set(sightStep(profile, state, down, right)),
    choose(head) {
      const [layer, own] = profile.heads[head];
      set({ layer, head: own });
    },
    image: (image) => set({ image }),
    turnImage: (by) => set({ image: pictures.next(state, by) }),
    nextMetric: () => set({ metric: after(profile.metrics.map((one) => one.name), state.metric) }),
    nextRule: () => set({ rule: after(profile.rules, state.rule) }),
    nextUnit() {
      const { metric, unit } = shownBy(profile, state);
      if (metric.units.length > 1) set({ unit: after(metric.units, unit) });
    },
    nextHops: () => set({ hops: after(["strength", "mass"], state.hops) }),
    open() {
      const { layer, head, image } = state;
      out.trigger("lens", { layer, head, image: profile.images[image]?.sha256 ?? "" });
    },
    help: () => set({ help: !state.help }),
    escape: () => set({ help: false, pointed: -1, seen: -1 }),
  };

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button) return;
    const { rule, unit, hops: kind, do: name } = button.dataset;
    if (rule) set({ rule });
    else if (unit) set({ unit });
    else if (kind) set({ hops: kind });
    else if (name) deeds[name]();
  }

  root.addEventListener("click", onClick, { signal });
  part("metricMenu").addEventListener("change", (event) => set({ metric: event.target.value }), { signal });
  listenToKeys(root, sightAction, (name, ...args) => deeds[name](...args), signal);
  listenToStrength(part, { byLayer, pictures, hops, offsets }, {
    profile, base: data.base, deeds, set, schedule, state: () => state,
  }, signal);
  const watcher = new ResizeObserver(schedule);
  for (const name of ["byLayer", "offsets", "hops", "pictures", "templates"]) watcher.observe(part(name).parentElement);
  schedule();

  return {
    /** What another profile can take over: the choice, and the hash of its image. */
    before: () => ({ state, sha256: profile.images[state.image]?.sha256 ?? "" }),
    recolour() {
      colours = coloured();
      schedule();
    },
    close() {
      closing.abort();
      watcher.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(speakLater);
    },
  };
}
