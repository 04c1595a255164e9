/** What the user can do; each deed is a change of state, or a word to Python. */
import { headsView, rankTo, stepTo } from "./choice.js";

export function createDeeds({ atlas, state, set, pictures, side, out }) {
  const deeds = {
    step: (down, right) => set({ ...stepTo(atlas, state(), down, right), asked: true }),
    climb: (by) => set({ ...rankTo(atlas, state(), by), asked: true }),
    choose(head) {
      const [layer, own] = atlas.heads[head];
      set({ layer, head: own, asked: true });
    },
    image: (image) => set({ image }),
    turnImage: (by) => set({ image: pictures.next(state().image, by) }),
    nextMetric() {
      const at = atlas.metricIndex(state().metric);
      set({ metric: atlas.metrics[(at + 1) % atlas.metrics.length].name });
    },
    nextTab: () => set({ tab: side.next(state().tab) }),
    ask: () => set({ asked: true }),

    /** Puts a head into the pruning set, or takes it out. */
    member(layer = state().layer, head = state().head) {
      const name = `${layer}:${head}`;
      const others = state().set.filter((one) => one !== name);
      set({ set: others.length < state().set.length ? others : [...others, name] });
    },
    open() {
      out.trigger("lens", headsView(atlas, state()));
    },
    curves: () => out.trigger("curves", atlas.id),
    help: () => set({ help: !state().help }),
    escape: () => set({ help: false, pointed: -1, seen: -1 }),
  };
  return deeds;
}
