/** Keyboard of the page of patterns: every action of the mouse has a key. */

const PLANE_STEPS = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};

/** Maps a key to the name of an action and its arguments, or null. */
export function planeAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (PLANE_STEPS[key]) return ["step", ...PLANE_STEPS[key]];
  const single = {
    a: ["turnImage", -1], d: ["turnImage", 1], o: ["toggle", "points"], c: ["toggle", "contours"],
    p: ["toggle", "patterns"], n: ["toggle", "names"], l: ["nextLayout"], k: ["nextTint"], t: ["nextCountTab"],
    0: ["whole"], "+": ["zoom", 1.5], "=": ["zoom", 1.5], "-": ["zoom", 1 / 1.5], m: ["turnModel"],
    Enter: ["open"], "?": ["help"], Escape: ["escape"],
  };
  return single[key] ?? null;
}
