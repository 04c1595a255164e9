/** What is chosen in the ablation view. */
import { nameOfPatch } from "../binding/rowwords.js";
import { PARTS, UNCHANGED_AT } from "./removingdata.js";

export const DIMENSIONS = ["all", "32", "16", "8", "4"];

export function firstRemoving(view) {
  return {
    at: Number(view.at), dims: view.dims, scenes: view.scenes, measured: view.measured,
    edit: view.edit, part: view.part, amount: Number(view.amount),
    patch: view.patch, pointed: -1, step: null, help: false,
  };
}

/** What Python keeps: texts. */
export function removingView(state) {
  const { at, dims, scenes, measured, edit, part, amount, patch } = state;
  return { at: String(at), dims, scenes, measured, edit, part, amount: String(amount), patch };
}

/** The patch asked about on a picture: the one that was named, or the middle. */
export function queryOf(state, reading) {
  const [row, column] = (state.patch || "").split(",").map(Number);
  if (state.patch && row < reading.rows && column < reading.columns) return row * reading.columns + column;
  return Math.floor(reading.rows / 2) * reading.columns + Math.floor(reading.columns / 2);
}

/** Whether the maps on screen are of another edit than the one that is chosen. */
export function isOldEdit(edited, state) {
  if (!edited) return false;
  const dims = edited.dimensions === null ? "all" : String(edited.dimensions);
  return edited.point !== state.at || dims !== state.dims || edited.edit !== state.edit
    || edited.part !== state.part || Math.abs(edited.amount - state.amount) > 1e-6;
}

/** Strength in tenths, 0 for unchanged. */
export function strengthOf({ edit, amount }) {
  return Math.round(10 * Math.abs(amount - UNCHANGED_AT[edit]));
}

export function amountOf(edit, strength) {
  const part = Math.max(0, Math.min(10, strength)) / 10;
  return Math.round(10 * (edit === "shuffle" ? part : 1 - part)) / 10;
}

/** What buttons and keys do. */
export function removingDeeds({ state, set, out, data, measures, reading }) {
  const next = (list, now, by = 1) => list[(list.indexOf(now) + by + list.length) % list.length];
  function turnTo(edit) {
    if (edit === "inject" && !data().canInject) return;
    set({ edit, amount: amountOf(edit, strengthOf(state())) });
  }
  return {
    shuffle: () => turnTo("shuffle"),
    inject: () => turnTo("inject"),
    turn: () => turnTo(state().edit === "shuffle" ? "inject" : "shuffle"),
    nextPart: () => set({ part: next(PARTS.map(([name]) => name), state().part) }),
    nextDims: () => set({ dims: next(DIMENSIONS, state().dims) }),
    nextMeasure: () => set({ measured: next(measures(), state().measured) }),
    stepPoint: (by) => set({ at: Math.max(0, Math.min(data().points - 1, state().at + by)) }),
    stepAmount: (by) => set({ amount: amountOf(state().edit, strengthOf(state()) + by) }),
    movePatch(down, right) {
      const shown = reading();
      if (!shown) return;
      const query = queryOf(state(), shown);
      const row = Math.max(0, Math.min(shown.rows - 1, Math.floor(query / shown.columns) + down));
      const column = Math.max(0, Math.min(shown.columns - 1, (query % shown.columns) + right));
      set({ patch: nameOfPatch(row * shown.columns + column, shown.columns), pointed: -1 });
    },
    scene: () => out.trigger("scene", true),
    help: () => set({ help: !state().help }),
    escape: () => (state().help ? set({ help: false }) : set({ pointed: -1, step: null })),
  };
}
