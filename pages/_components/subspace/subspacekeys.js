/** Keyboard of the Subspace view: every action of the mouse has a key. */

/** Maps a key to the name of an action and its arguments, or null. */
export function subspaceAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.shiftKey && turns[event.key]) return ["turnBy", ...turns[event.key]];
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const actions = {
    ArrowLeft: ["stepPoint", -1], ArrowRight: ["stepPoint", 1], ArrowUp: ["stepPoint", -1], ArrowDown: ["stepPoint", 1],
    2: ["axes", "2"], 3: ["axes", "3"], p: ["nextPart"], c: ["nextTint"], o: ["paint"], t: ["outlines"],
    "+": ["zoomBy", 1.25], "=": ["zoomBy", 1.25], "-": ["zoomBy", 0.8], 0: ["home"],
    Enter: ["lens"], "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
