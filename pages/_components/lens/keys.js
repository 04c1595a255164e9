/** Keyboard: every action of the mouse has a key. */
import { parsePatch } from "./record.js";

const STEPS = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};
const MOVES = { w: [-1, 0], s: [1, 0], a: [0, -1], d: [0, 1] };

function clamp(value, top) {
  return Math.max(0, Math.min(top, value));
}

/** Steps layer and head; a layer with fewer heads takes its last one. */
export function stepHead(record, state, down, right) {
  const layer = clamp(state.layer + down, record.layers.length - 1);
  const head = clamp(state.head + right, record.layers[layer].heads - 1);
  return { layer, head };
}

/** Moves the query by patches; from a prefix token the first step goes to the middle. */
export function moveQuery(record, state, down, right) {
  const patch = parsePatch(state.query);
  if (!patch) return `${record.rows >> 1},${record.columns >> 1}`;
  const row = clamp(patch[0] + down, record.rows - 1);
  const column = clamp(patch[1] + right, record.columns - 1);
  return `${row},${column}`;
}

/**
 * Maps a key to an action of the lens, or null.
 * @returns {[string, ...any] | null} name and arguments of the action
 */
export function actionOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  if (STEPS[key]) return [event.shiftKey ? "move" : "step", ...STEPS[key]];
  if (MOVES[key]) return ["move", ...MOVES[key]];
  const single = {
    o: ["toggle", "shown"], g: ["toggle", "grid"], f: ["toggle", "whole"], t: ["turn"],
    m: ["member"], 0: ["switchHead"], x: ["nextScale"], "?": ["help"], Escape: ["escape"], Enter: ["pin"],
    Home: ["firstToken"], "+": ["zoom", 1.25], "=": ["zoom", 1.25], "-": ["zoom", 0.8],
  };
  return single[key] ?? null;
}
