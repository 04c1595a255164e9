/** Keyboard of the page of flow: every action of the mouse has a key. */

/** Maps a key to the name of an action and its arguments, or null. */
export function flowAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const actions = {
    ArrowUp: ["stepLayer", -1], ArrowDown: ["stepLayer", 1], m: ["nextMap"], s: ["nextScaling"],
    b: ["nextShown"], Enter: ["open"], "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
