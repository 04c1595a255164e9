/** Keyboard of the Attention view: every action of the mouse has a key. */

/** Maps a key to the name of an action and its arguments, or null. */
export function attendingAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const actions = {
    ArrowLeft: ["stepHead", -1], ArrowRight: ["stepHead", 1], ArrowUp: ["stepLayer", -1], ArrowDown: ["stepLayer", 1],
    m: ["nextMeasure"], s: ["nextScope"], t: ["truth"], Enter: ["lens"], "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
