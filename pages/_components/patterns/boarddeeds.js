/** What the user can do on the page of patterns, and the choice that it starts from. */
import { rowsAsCsv, rowsInside, saveText } from "./lasso.js";
import { wholeWindow, zoomWindow } from "./space.js";
import { TINTS } from "./tints.js";
import { COUNT_TABS } from "./countlists.js";

/** From the view that Python keeps; what does not fit the study falls back. */
export function firstPlaneChoice(cloud, view) {
  const wanted = [0, Number(view.layer), Number(view.head)];
  const named = (view.layer ?? "") !== "" && (view.head ?? "") !== "" && cloud.headIndex(...wanted) >= 0;
  const [model, layer, head] = named ? wanted : cloud.heads.at(-1 - cloud.heads.filter(([one]) => one > 0).length);
  return {
    model, layer, head,
    image: Math.max(0, cloud.imageOf(view.image)),
    view: wholeWindow(),
    tint: cloud.models.length > 1 ? "model" : "layer",
    points: true, contours: true, patterns: true, names: true,
    pointed: -1, // row under the pointer
    pointedHead: -1, // head whose dot is under the pointer
    lasso: [], inside: [], serial: 0,
    tab: cloud.models.length > 1 ? "models" : "clusters",
    help: false, theme: "", at: 0,
  };
}

/** The choice carried over to another state of the study, or another study. */
export function carryPlaneChoice(cloud, { state, sha256, models }) {
  const next = firstPlaneChoice(cloud, { layer: state.layer, head: state.head, image: sha256 });
  const { points, contours, patterns, names } = state;
  const looks = cloud.models.length === models ? { tint: state.tint, tab: state.tab } : {};
  return { ...next, points, contours, patterns, names, ...looks };
}

/** What Python is told. */
export function planeView(cloud, state) {
  const { layer, head } = state;
  return { layer, head, image: cloud.images[state.image]?.sha256 ?? "" };
}

export function createBoardDeeds({ cloud, state, set, plane, bar, out }) {
  const within = (value, top) => Math.max(0, Math.min(top, value));
  const after = (list, one) => list[(list.indexOf(one) + 1) % list.length];
  const headsOf = (model, layer) => cloud.heads.filter((one) => one[0] === model && one[1] === layer);

  const deeds = {
    choose(head, row) {
      const found = head >= 0 ? head : row >= 0 ? cloud.headOf[row] : -1;
      if (found < 0) return;
      const [model, layer, own] = cloud.heads[found];
      set({ model, layer, head: own, ...(row >= 0 ? { image: cloud.image[row] } : {}) });
    },
    step(down, right) {
      const last = Math.max(...cloud.heads.filter(([one]) => one === state().model).map((one) => one[1]));
      const layer = within(state().layer + down, last);
      const heads = headsOf(state().model, layer).map((one) => one[2]);
      if (heads.length) set({ layer, head: within(state().head + right, Math.max(...heads)) });
    },
    turnImage: (by) => set({ image: (state().image + by + cloud.images.length) % cloud.images.length }),
    turnModel() {
      const model = (state().model + 1) % cloud.models.length;
      const { layer, head } = state();
      if (cloud.headIndex(model, layer, head) >= 0) set({ model });
      else set({ model, layer: 0, head: 0 });
    },
    toggle: (name) => set({ [name]: !state()[name] }),
    nextTint: () => set({ tint: after(TINTS.filter((one) => cloud.models.length > 1 || one !== "model"), state().tint) }),
    nextCountTab: () => set({ tab: after(COUNT_TABS, state().tab) }),
    layout: (name) => { if (name !== cloud.layout) out.trigger("layout", name); },
    nextLayout: () => deeds.layout(after(bar.layouts, cloud.layout)),
    whole: () => set({ view: wholeWindow() }),
    zoom(factor) {
      plane.moving();
      set({ view: zoomWindow(plane.box, state().view, plane.box.width / 2, plane.box.height / 2, factor) });
    },
    closeLasso() {
      const inside = rowsInside(cloud, state().lasso);
      set({ inside, tab: "selection", serial: state().serial + 1, lasso: inside.length ? state().lasso : [] });
    },
    clear: () => set({ lasso: [], inside: [], serial: state().serial + 1 }),
    saveSelection: () => saveText("selection.csv", rowsAsCsv(cloud, state().inside)),
    open() {
      const { model, layer, head, image } = state();
      out.trigger("lens", { model, layer, head, image: cloud.images[image]?.sha256 ?? "" });
    },
    help: () => set({ help: !state().help }),
    escape() {
      if (state().help) set({ help: false });
      else { set({ pointed: -1, pointedHead: -1 }); deeds.clear(); }
    },
  };
  return deeds;
}
