/** What buttons and keys do to the copies. */
import { nameOfPatch } from "../binding/rowwords.js";

const MOST_TWINS = 16;
const MOST_SEED = 999999;

/** @param {{canvas, rules, state, set, out}} desk */
export function twinsDeeds({ canvas, rules, state, set, out, focus }) {
  const laid = (changes, more = {}) => set({ layout: { ...state().layout, ...changes }, said: "", ...more });

  return {
    select(copy) {
      focus();
      set({ selected: copy, said: "" });
    },
    /** By a patch, or by a pixel; what does not fit leaves the copy where it is. */
    move(down, right, byPixel) {
      const { layout, selected } = state();
      const snapped = layout.snapped && !byPixel;
      const by = byPixel ? [1, 1] : canvas.patch;
      const place = layout.places[selected];
      const at = rules.inside([place[0] + down * by[0], place[1] + right * by[1]], snapped);
      const others = layout.places.filter((_, copy) => copy !== selected);
      if (rules.collides(at, others, snapped)) return set({ said: "Another copy is there." });
      if (at[0] === place[0] && at[1] === place[1]) return set({ said: "The picture ends here." });
      const places = layout.places.map((one, copy) => (copy === selected ? at : one));
      return laid({ snapped, places }, layout.snapped && byPixel ? { said: "Moved by a pixel: the copies are free of the grid now." } : {});
    },
    add() {
      const { layout, selected } = state();
      if (layout.places.length >= MOST_TWINS) return set({ said: `A canvas holds ${MOST_TWINS} copies at most.` });
      const near = layout.places[selected] ?? layout.places.at(-1) ?? [0, 0];
      const at = rules.room(layout.places, layout.snapped, near);
      if (!at) return set({ said: "No room for another copy: move copies, or take a smaller size." });
      return laid({ places: [...layout.places, at] }, { selected: layout.places.length });
    },
    remove() {
      const { layout, selected } = state();
      if (layout.places.length < 2) return set({ said: "The last copy stays." });
      const gone = selected < 0 ? layout.places.length - 1 : selected;
      const places = layout.places.filter((_, copy) => copy !== gone);
      return laid({ places }, { selected: selected < 0 ? -1 : Math.min(gone, places.length - 1) });
    },
    snap() {
      const { layout } = state();
      const snapped = !layout.snapped;
      const places = rules.settled(layout.places, snapped);
      const lost = layout.places.length - places.length;
      laid({ snapped, places }, lost ? { said: `${lost} of the copies had no room on the grid.`, selected: -1 } : {});
    },
    reseed: () => laid({ seed: (state().layout.seed + 1) % (MOST_SEED + 1) }),
    turn: () => { if (canvas.bounds.length > 1) set({ variant: 1 - state().variant }); },
    with: () => set({ variant: 0 }),
    without: () => set({ variant: Math.min(1, Math.max(0, canvas.bounds.length - 1)) }),
    nextMeasure: () => {
      const names = Object.keys(canvas.measures);
      set({ measure: names[(names.indexOf(state().measure) + 1) % names.length] });
    },
    differences: () => set({ measure: "differences" }),
    cosines: () => set({ measure: "cosines" }),
    overlay: () => set({ shown: !state().shown }),
    stepPoint: (by) => set({ point: Math.max(0, Math.min(canvas.points - 1, state().point + by)) }),
    help: () => set({ help: !state().help }),
    escape: () => (state().help ? set({ help: false }) : set({ selected: -1, said: "" })),
    lens: () => out.trigger("lens", { layer: Math.max(0, state().point - 1), q: nameOfPatch(state().query, canvas.columns) }),
  };
}
