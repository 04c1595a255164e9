/** Joins state, cloud, picture and charts. Every change is painted in the next animation frame.
 *
 * After every painting the component dispatches `subspace:painted` on its element (bubbling,
 * composed). `detail` holds
 *   layout, probe       id of what is shown and its probe
 *   part, tint, flat, point, pointed, pinned, outlines, zoom   what is chosen
 *   moving              whether points are still on their way
 *   dots                [x, y] of every patch on the cloud's canvas
 *   place               of the picture on its canvas: left, top, width, height
 */
import { listenToKeys } from "../lens/listening.js";
import { plotColours } from "../heads/plot.js";
import { nameOfPatch, titleOfRow, wordsOfPoint } from "../binding/rowwords.js";
import { apartLines, createApartList, FIGURES_APART } from "./apartlist.js";
import { createPointCloud } from "./pointcloud.js";
import { createPointLines } from "./pointlines.js";
import { createSpectrumBars } from "./spectrumbars.js";
import { createSubspaceFacts, spectrumWords, spokenSubspace } from "./subspacefacts.js";
import { createSubspaceHelp } from "./subspacehelp.js";
import { subspaceAction } from "./subspacekeys.js";
import { listenToCharts, listenToCloud } from "./subspacepointer.js";
import { firstSubspace, homeTurn, sameGround, subspaceView, tintFor } from "./subspacestate.js";
import { createTintedPicture } from "./tintedpicture.js";
import { product, squared, transposed, turnOf } from "./turning.js";

const TURN_RATE = 0.0085; // radians a pixel
const TURN_STEP = 0.16;
const [LEAST_ZOOM, MOST_ZOOM] = [0.4, 24];
const TINT_TITLES = { object: "by object", position: "by position", picture: "the patch's own" };

/** @param {HTMLElement} root the section  @param {object} out tell(view), trigger(name, value) */
export function createSubspaceDesk(root, layout, data, before, out) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  const { signal } = closing;
  const photo = new Image();
  let state = firstSubspace(layout, data.view, before?.state);
  if (before && sameGround(layout, before.layout)) state.pinned = before.state.pinned;
  let colours = plotColours(root);
  let frame = 0;
  let speakLater = 0;

  const cloud = createPointCloud(part("cloud"), layout);
  const picture = createTintedPicture(part, layout);
  const spectrum = createSpectrumBars(part("spectrum"), layout);
  const dimension = createPointLines(part("dimension"), layout.points);
  const apart = createPointLines(part("apart"), layout.points);
  const list = createApartList(part("apartTable"), layout);
  const facts = createSubspaceFacts(part, layout, data.base);
  const help = createSubspaceHelp(part("help"), layout, () => set({ help: false }));

  function ask() {
    if (!frame && !signal.aborted) frame = requestAnimationFrame(paint);
  }

  function set(changes) {
    const was = state;
    state = { ...state, ...changes };
    const [view, old] = [subspaceView(layout, state), subspaceView(layout, was)];
    if (JSON.stringify(view) !== JSON.stringify(old)) out.tell(view);
    if (was.point !== state.point || was.part !== state.part || was.flat !== state.flat) cloud.go(state, performance.now());
    ask();
  }

  function paint(now) {
    frame = 0;
    if (signal.aborted) return;
    cloud.draw(state, now, colours);
    picture.draw(state, colours);
    spectrum.draw(state, colours);
    const [mean] = layout.random_dimensions;
    const random = mean === null ? [] : [{ values: layout.points.map(() => mean), ink: colours.faint, dash: [4, 3] }];
    const counted = layout.ranks ? [{ values: layout.dimensions, ink: colours.orange, strong: true }, ...random] : [];
    dimension.draw(counted, [0, Math.max(4, 1.08 * Math.max(...layout.dimensions, mean ?? 0))], state, colours);
    apart.draw(layout.marked ? apartLines(layout, state, colours) : [], FIGURES_APART[state.figure].limits, state, colours);
    words();
    announce();
    if (cloud.moving()) ask();
  }

  function words() {
    const put = (name, text) => { if (part(name).textContent !== text) part(name).textContent = text; };
    const shown = layout.partOf(state.part);
    put("cloudTitle", `Patches by the ${shown.title}, ${wordsOfPoint(state.point)}`);
    put("photoTitle", `Patches coloured ${state.tint === "picture" ? "by their own colour" : TINT_TITLES[state.tint]}`);
    put("spectrumTitle", `Spectrum of the ${titleOfRow(layout.row, "probe")} probe at point ${state.point}`);
    put("apartTitle", "Objects apart");
    for (const [name, value] of [["point", String(state.point)], ["probe", layout.row], ["tint", state.tint], ["figure", state.figure]]) {
      if (part(name).value !== value) part(name).value = value;
    }
    for (const button of root.querySelectorAll(".bar [data-do]")) {
      const { do: name, value } = button.dataset;
      if (name === "axes") button.setAttribute("aria-pressed", String(state.flat === (value === "2")));
      if (name === "part") button.setAttribute("aria-pressed", String(state.part === value));
    }
    part("unpin").hidden = state.pinned < 0;
    facts.update(state);
    list.update(state, colours);
    help.show(state.help);
    clearTimeout(speakLater);
    speakLater = setTimeout(() => put("spoken", spokenSubspace(layout, state)), 350);
  }

  function announce() {
    const named = (patch) => (patch >= 0 ? nameOfPatch(patch, layout.columns) : "");
    const { part: name, tint, flat, point, outlines, zoom } = state;
    root.dispatchEvent(new CustomEvent("subspace:painted", {
      detail: {
        layout: layout.id, probe: layout.row, part: name, tint, flat, point, outlines, zoom,
        pointed: named(state.pointed), pinned: named(state.pinned), moving: cloud.moving(),
        dots: cloud.dots(), place: picture.place(),
      },
      bubbles: true, composed: true,
    }));
  }

  const deeds = {
    goTo: (point) => set({ point: layout.nearest(point) }),
    stepPoint(by) {
      const place = layout.placeOf(state.point) + by;
      set({ point: layout.points[Math.max(0, Math.min(layout.points.length - 1, place))] });
    },
    part: (name) => set({ part: layout.partOf(name).name, wanted: name }),
    nextPart: () => deeds.part(layout.parts[(layout.partAt(state.part) + 1) % layout.parts.length].name),
    tint: (name) => set({ tint: tintFor(layout, name), asked: name }),
    nextTint() {
      const names = layout.tints.filter((name) => layout.marked || name !== "object");
      deeds.tint(names[(names.indexOf(state.tint) + 1) % names.length]);
    },
    axes(value) {
      const flat = value === "2";
      if (flat === state.flat) return;
      // What is on screen stays where it is, and goes on from there.
      cloud.turn(flat ? state.turn : transposed(state.turn));
      set({ flat, pan: [0, 0] });
    },
    drag(dx, dy) {
      if (state.flat) set({ pan: [state.pan[0] + dx, state.pan[1] + dy], pointed: -1 });
      else set({ turn: squared(product(state.turn, turnOf(-dx * TURN_RATE, dy * TURN_RATE))), pointed: -1 });
    },
    turnBy(across, down) {
      if (!state.flat) set({ turn: squared(product(state.turn, turnOf(-across * TURN_STEP, down * TURN_STEP))) });
    },
    zoomAt(x, y, factor) {
      const zoom = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, state.zoom * factor));
      const ratio = zoom / state.zoom;
      const [mx, my] = cloud.middle();
      set({ zoom, pan: [state.pan[0] + (x - mx) * (1 - ratio), state.pan[1] + (y - my) * (1 - ratio)] });
    },
    zoomBy: (factor) => deeds.zoomAt(...cloud.middle(), factor),
    home: () => set({ zoom: 1, pan: [0, 0], turn: homeTurn(layout, state.part, state.point) }),
    pin: (patch) => set({ pinned: patch === state.pinned ? -1 : patch }),
    open(patch) {
      if (patch < 0) return;
      set({ pinned: patch });
      deeds.lens();
    },
    paint: () => set({ painted: !state.painted }),
    outlines: () => set({ outlines: !state.outlines }),
    unpin: () => set({ pinned: -1 }),
    help: () => set({ help: !state.help }),
    escape: () => (state.help ? set({ help: false }) : deeds.unpin()),
    scene: () => out.trigger("scene", true),
    lens() {
      const patch = state.pinned >= 0 ? state.pinned : state.pointed;
      out.trigger("lens", { layer: Math.max(0, state.point - 1), q: patch >= 0 ? nameOfPatch(patch, layout.columns) : "" });
    },
  };

  function onClick(event) {
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (button && root.contains(button) && button.dataset.do) deeds[button.dataset.do](button.dataset.value);
  }

  function fill() {
    const options = (name, entries) => part(name).replaceChildren(...entries.map(([value, text, off]) => Object.assign(new Option(text, value), { disabled: Boolean(off) })));
    options("point", layout.points.map((point) => [String(point), point === 0 ? "0, the embedding" : `${point}, ${wordsOfPoint(point)}`]));
    const probes = data.probes.includes(layout.row) ? data.probes : [layout.row, ...data.probes];
    options("probe", probes.map((name) => [name, titleOfRow(name, "probe")]));
    options("tint", layout.tints.map((name) => [name, name === "object" && !layout.marked ? "by object (none marked)" : TINT_TITLES[name], name === "object" && !layout.marked]));
    options("figure", Object.entries(FIGURES_APART).map(([name, { title }]) => [name, title]));
    part("partSeg").replaceChildren(...layout.parts.map(({ name, title, short, definition }) => {
      const button = document.createElement("button");
      button.type = "button";
      Object.assign(button.dataset, { do: "part", value: name });
      button.textContent = short;
      button.title = `${title}: ${definition}`;
      return button;
    }));
    part("scene").hidden = layout.marked;
    part("figure").hidden = part("apartBlock").hidden = !layout.marked;
    part("spectrumTitle").title = spectrumWords(layout);
    waits("spectrum", layout.ranks ? "" : spectrumWords(layout));
    waits("dimension", layout.ranks ? "" : "No spectrum, no dimensions.");
    waits("apart", layout.marked ? "" : "Needs objects: mark some in the view Mark, or look at a made scene, whose objects are known.");
  }

  function waits(name, text) {
    part(`${name}Waits`).hidden = !text;
    part(`${name}Waits`).textContent = text;
  }

  function size() {
    picture.fit();
    ask();
  }

  fill();
  cloud.go(state, 0);
  photo.onload = () => { picture.setPhoto(photo); ask(); };
  photo.src = `${data.base}${layout.urls.picture}`;
  root.addEventListener("click", onClick, { signal });
  const chosen = (name, act) => part(name).addEventListener("change", (event) => act(event.target.value), { signal });
  chosen("point", (value) => deeds.goTo(Number(value)));
  chosen("tint", deeds.tint);
  chosen("figure", (value) => set({ figure: value }));
  chosen("probe", (value) => out.tell({ ...subspaceView(layout, state), probe: value }));
  listenToKeys(root, subspaceAction, (name, ...args) => deeds[name](...args), signal);
  const desk = { state: () => state, set, deeds };
  listenToCloud(part("cloud"), cloud, desk, signal);
  const lines = [[part("dimension"), dimension], [part("apart"), apart]];
  listenToCharts({ part, picture, spectrum, lines }, desk, signal);
  const watcher = new ResizeObserver(size);
  for (const name of ["photoBox", "cloud", "spectrum", "apart"]) watcher.observe(part(name).parentElement);
  size();

  return {
    /** What another layout can take over. */
    before: () => ({ state, layout }),
    recolour() {
      colours = plotColours(root);
      ask();
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
