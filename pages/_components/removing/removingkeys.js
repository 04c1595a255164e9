/** Keyboard of the ablation view: every action of the mouse has a key. */

const REMOVING_ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** Maps a key to the name of an action and its arguments, or null. */
export function removingAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const arrow = REMOVING_ARROWS[key];
  if (arrow && event.shiftKey) return ["movePatch", ...arrow];
  if (arrow) return arrow[1] ? ["stepAmount", arrow[1]] : ["stepPoint", -arrow[0]];
  const actions = {
    e: ["turn"], p: ["nextPart"], d: ["nextDims"], m: ["nextMeasure"], "[": ["stepPoint", -1], "]": ["stepPoint", 1],
    "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
