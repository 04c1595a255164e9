/** Keyboard of the page of strength: every action of the mouse has a key. */

const SIGHT_STEPS = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};

/** Maps a key to the name of an action and its arguments, or null. */
export function sightAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (SIGHT_STEPS[key]) return ["step", ...SIGHT_STEPS[key]];
  const single = {
    a: ["turnImage", -1], d: ["turnImage", 1], m: ["nextMetric"], r: ["nextRule"], u: ["nextUnit"],
    h: ["nextHops"], Enter: ["open"], "?": ["help"], Escape: ["escape"],
  };
  return single[key] ?? null;
}
