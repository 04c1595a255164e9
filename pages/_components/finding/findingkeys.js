/** Keyboard of the Discovery view. */

/** Maps a key to the name of an action and its arguments, or null. */
export function findingAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const actions = {
    ArrowLeft: ["stepCard", -1], ArrowRight: ["stepCard", 1], ArrowUp: ["stepCard", -1], ArrowDown: ["stepCard", 1],
    "[": ["stepPoint", -1], "]": ["stepPoint", 1], m: ["nextMask"], t: ["truth"], s: ["nextScore"],
    Enter: ["lens"], "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
