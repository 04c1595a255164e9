/** Joins state, study and plane. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `patterns:painted` on its element (bubbling,
 * composed). `detail` holds
 *   id, layout, model, layer, head   what is chosen; `image` is the hash of the chosen image
 *   pointed, pointedHead   row and head under the pointer, -1 for none
 *   view, selected         window of the plane; number of points inside the line
 *   dots                   places of the heads' dots on the canvas, CSS pixels
 *   event, painted         time stamps in ms: of the event that caused it, and of the end of drawing
 */
import { listenToKeys } from "../lens/listening.js";
import { plotColours } from "../heads/plot.js";
import { carryPlaneChoice, createBoardDeeds, firstPlaneChoice, planeView } from "./boarddeeds.js";
import { createCounts } from "./countlists.js";
import { createLearning } from "./learning.js";
import { createLoss } from "./loss.js";
import { mapPalette } from "./mappair.js";
import { createPlane } from "./plane.js";
import { createPlaneBar } from "./planebar.js";
import { createPlaneHelp } from "./planehelp.js";
import { listenToPlane } from "./planepointer.js";
import { planeAction } from "./planekeys.js";
import { createPointed, spokenRow } from "./pointed.js";
import { projection } from "./space.js";
import { themeTints } from "./tints.js";

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value), gone(), say(text) */
export function createBoard(root, cloud, data, before, cache, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  let state = before ? carryPlaneChoice(cloud, before) : firstPlaneChoice(cloud, data.view);
  let colours = plotColours(root);
  let tints = themeTints(root);
  let frame = 0;
  let speakLater = 0;
  let lossDue = true;
  let lossRow = -1; // the point that the chart of errors marks
  let live = null; // losses of a coder that is being trained meanwhile

  const palette = mapPalette(data.palettes.inferno);
  const plane = createPlane(part("plane"), cloud, schedule);
  const bar = createPlaneBar(root, part, cloud);
  const loss = createLoss(part, cloud);
  const counts = createCounts(part, cloud, palette);
  const pointed = createPointed(part, cloud, data.base, cache, palette, schedule, out);
  const learning = createLearning(part, cloud, data.base, palette, (news) => {
    live = news;
    lossDue = true;
    schedule();
  });
  const help = createPlaneHelp(part("help"), () => set({ help: false }));

  function set(changes) {
    const last = JSON.stringify(planeView(cloud, state));
    state = { ...state, ...changes };
    const view = planeView(cloud, state);
    if (JSON.stringify(view) !== last) out.tell(view);
    schedule();
  }

  function schedule() {
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  function paint() {
    frame = 0;
    if (signal.aborted) return;
    const event = state.at;
    state.at = 0;
    const chosen = cloud.headIndex(state.model, state.layer, state.head);
    plane.draw(state, colours, tints);
    const row = pointed.update(state, chosen);
    bar.update(state);
    counts.draw(state);
    help.show(state.help);
    if (lossDue || (row !== lossRow && loss.marksRow(live))) {
      lossDue = false;
      lossRow = row;
      part("fitTitle").textContent = loss.title(live);
      part("fitEnds").replaceChildren(...loss.ends(live));
      loss.draw(colours, live, row);
      bar.ramp(tints, state.tint);
    }
    part("ramp").hidden = state.tint !== "layer";
    clearTimeout(speakLater);
    speakLater = setTimeout(() => { part("spoken").textContent = spokenRow(cloud, row); }, 350);
    announce(event);
  }

  function announce(event) {
    const { model, layer, head, view } = state;
    const at = projection(plane.box, view);
    root.dispatchEvent(new CustomEvent("patterns:painted", {
      detail: {
        id: cloud.id, layout: cloud.layout, complete: cloud.complete, model, layer, head, view,
        image: cloud.images[state.image]?.sha256 ?? null, pointed: state.pointed,
        pointedHead: state.pointedHead, selected: state.inside.length, event, painted: performance.now(),
        dots: cloud.dots.map(([u, v]) => [at.left + u * at.wide, at.top + v * at.high]),
      },
      bubbles: true, composed: true,
    }));
  }

  const deeds = createBoardDeeds({ cloud, state: () => state, set, plane, bar, out });

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (!button) return;
    const { layout, tint, tab, show, do: name } = button.dataset;
    if (layout) deeds.layout(layout);
    else if (tint) set({ tint });
    else if (tab) set({ tab });
    else if (show) deeds.toggle(show);
    else if (name) deeds[name]();
  }

  function layout() {
    const box = part("planeBox");
    plane.fit(box.clientWidth, box.clientHeight);
    lossDue = true;
    schedule();
  }

  root.addEventListener("click", onClick, { signal });
  listenToKeys(root, planeAction, (name, ...args) => deeds[name](...args), signal);
  listenToPlane(part("plane"), { state: () => state, set, deeds, plane, box: part("planeBox") }, signal);
  const watcher = new ResizeObserver(layout);
  for (const name of ["planeBox", "loss"]) watcher.observe(name === "loss" ? part(name).parentElement : part(name));
  layout();

  return {
    /** What another study can take over: the choice, and the hash of its image. */
    before: () => ({ state, sha256: cloud.images[state.image]?.sha256 ?? "", models: cloud.models.length }),
    /** A coder is being trained: follow it. @param {string} token empty for none */
    learn: (token) => learning.follow(token),
    recolour() {
      colours = plotColours(root);
      tints = themeTints(root);
      state = { ...state, theme: `${colours.text} ${colours.paper}` };
      lossDue = true;
      schedule();
    },
    close() {
      closing.abort();
      watcher.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(speakLater);
      pointed.close();
      learning.close();
      plane.close();
    },
  };
}
