/** Keyboard of the Data view: every action of the mouse has a key. */

/** Maps a key to the name of an action and its arguments, or null. */
export function galleryAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const actions = {
    ArrowLeft: ["step", -1, 0], ArrowRight: ["step", 1, 0], ArrowUp: ["step", 0, -1], ArrowDown: ["step", 0, 1],
    PageUp: ["page", -1], PageDown: ["page", 1], o: ["nextLook"], b: ["background"],
    "-": ["purityBy", -1], "+": ["purityBy", 1], "=": ["purityBy", 1], Enter: ["pick"], "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
