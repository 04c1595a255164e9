/** What the user can do; each action is a change of state and nothing else. */
import { moveQuery, stepHead } from "./keys.js";
import { offNames, parsePatch } from "./record.js";
import { nextScale } from "./state.js";

/**
 * @param {object} lens record(), state(), set(changes, cause), stage, switchOff(names)
 * @returns {Record<string, Function>} by name, as the keyboard and the pointer call them
 */
export function createActions(lens) {
  const { record, state, set, stage } = lens;

  function zoomMiddle(factor) {
    const { width, height } = stage.size();
    stage.zoom(width / 2, height / 2, factor);
    set({}, { ground: true });
  }

  const actions = {
    step: (down, right) => set(stepHead(record(), state(), down, right)),
    move: (down, right) => set({ query: moveQuery(record(), state(), down, right), cursor: null }),
    query: (name) => set({ query: name, pinned: true, cursor: null }),
    firstToken: () => {
      if (record().prefix.length) actions.query(record().prefix[0]);
    },
    pin: () => set({ pinned: !state().pinned }),
    turn: () => set({ direction: state().direction === "to" ? "from" : "to" }),
    nextScale: () => set({ scale: nextScale(state().scale) }),
    help: () => set({ help: !state().help }),

    toggle(name) {
      if (name === "whole") stage.reset(!state().whole);
      set({ [name]: !state()[name] }, { ground: true });
    },

    zoom: (factor) => zoomMiddle(factor),

    /** Puts the current head into the mean, or takes it out. */
    member(layer = state().layer, head = state().head) {
      const chosen = new Set(state().chosen);
      const name = `${layer}:${head}`;
      if (!chosen.delete(name)) chosen.add(name);
      set({ chosen });
    },

    /** The what-if: each asks for the model to be run again, with other heads off. */
    switchHead() {
      const off = offNames(record());
      const name = `${state().layer}:${state().head}`;
      if (!off.delete(name)) off.add(name);
      lens.switchOff(off);
    },
    keepOnly() {
      const { layer, head } = state();
      const off = offNames(record());
      for (let other = 0; other < record().layers[layer].heads; other += 1) {
        if (other === head) off.delete(`${layer}:${other}`);
        else off.add(`${layer}:${other}`);
      }
      lens.switchOff(off);
    },
    switchSet: () => lens.switchOff(new Set([...offNames(record()), ...state().chosen])),
    allOn: () => lens.switchOff(new Set()),

    clearSet: () => set({ chosen: new Set() }),

    choose(layer, head, together) {
      if (together) actions.member(layer, head);
      else set({ layer, head });
    },

    /** Goes back one step: help, pin, zoom, then the mean. */
    escape() {
      if (state().help) set({ help: false });
      else if (state().pinned) set({ pinned: false });
      else if (!stage.atHome()) {
        stage.reset(state().whole);
        set({}, { ground: true });
      } else set({ chosen: new Set() });
    },
  };

  const pointer = {
    hover(patch, time) {
      const name = patch ? patch.join(",") : null;
      const cursor = state().cursor;
      if (name === (cursor ? cursor.join(",") : null)) return;
      const follows = patch && !state().pinned;
      set({ cursor: patch, ...(follows ? { query: name } : {}) }, { time });
    },
    leave: () => set({ cursor: null }),
    pin(patch) {
      if (!patch) return;
      const name = patch.join(",");
      const again = state().pinned && state().query === name;
      set({ query: name, pinned: !again, cursor: patch });
    },
    pan(dx, dy) {
      stage.pan(dx, dy);
      set({}, { ground: true });
    },
    zoom(x, y, factor) {
      stage.zoom(x, y, factor);
      set({}, { ground: true });
    },
    point(found) {
      set({
        pointed: found ? { layer: found.layer, head: found.head } : null,
        cursor: found?.patch ?? null,
      });
    },
    choose: actions.choose,
  };
  return { actions, pointer };
}

/** One sentence for a screen reader about the focused patch. */
export function spokenText(record, state, found) {
  if (!found) return "";
  const { at, summary, patch, value } = found;
  const what = parsePatch(state.query) ? `patch ${state.query}` : state.query;
  const own = patch && patch.join(",") === state.query ? "attention to itself" : `attention at patch ${patch?.join(",")}`;
  const strongest = summary.best
    ? `; strongest ${state.direction === "to" ? "key" : "query"} patch ${summary.best.patch} with ${summary.best.value.toPrecision(2)}` : "";
  const here = patch ? `; ${own} ${value.toPrecision(2)}` : "";
  return `${what}${state.pinned ? ", pinned" : ""}; layer ${at.layer} head ${at.head}${here}${strongest}`;
}
