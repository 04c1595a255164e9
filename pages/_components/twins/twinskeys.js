/** Keyboard of the view of copies: every action of the mouse has a key. */

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * Maps a key to the name of an action and its arguments, or null. Tab goes from copy to copy and
 * behind the last one on through the page.
 * @param {{selected: number, count: number, onCanvas: boolean}} now
 */
export function twinsAction(event, { selected, count, onCanvas }) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Tab") {
    const next = event.shiftKey ? selected - 1 : selected + 1;
    return onCanvas && next >= 0 && next < count ? ["select", next] : null;
  }
  if (ARROWS[key]) {
    if (selected >= 0) return ["move", ...ARROWS[key], event.shiftKey];
    return ["stepPoint", ARROWS[key][0] + ARROWS[key][1]];
  }
  const actions = {
    Delete: ["remove"], Backspace: ["remove"], n: ["add"], g: ["snap"], r: ["reseed"], v: ["turn"], m: ["nextMeasure"],
    o: ["overlay"], "[": ["stepPoint", -1], "]": ["stepPoint", 1], Enter: ["lens"], "?": ["help"], Escape: ["escape"],
  };
  return actions[key] ?? null;
}
