/** Keyboard of the page of binding: every action of the mouse has a key. */

/** Maps a key to the name of an action and its arguments, or null. */
export function bindingAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const actions = {
    ArrowLeft: ["stepPoint", -1], ArrowRight: ["stepPoint", 1], ArrowUp: ["stepPoint", -1], ArrowDown: ["stepPoint", 1],
    m: ["nextMeasure"], t: ["truth"], Enter: ["lens"], "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
