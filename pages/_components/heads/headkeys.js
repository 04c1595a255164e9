/** Keyboard of the page of heads: every action of the mouse has a key. */

const HEAD_STEPS = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};

/** Maps a key to the name of an action and its arguments, or null. */
export function headAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (HEAD_STEPS[key]) return ["step", ...HEAD_STEPS[key]];
  const single = {
    PageUp: ["climb", -1], PageDown: ["climb", 1], Home: ["climb", -Infinity], End: ["climb", Infinity],
    a: ["turnImage", -1], d: ["turnImage", 1], m: ["nextMetric"], s: ["member"], t: ["nextTab"],
    p: ["ask"], Enter: ["open"], "?": ["help"], Escape: ["escape"],
  };
  return single[key] ?? null;
}
