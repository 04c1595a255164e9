/** What replaces elements waits while the user presses one of them.
 *
 * A click is a press and a release on one element. Where a redraw falls between the two and puts
 * another button in the place of the one that was pressed, the browser gives the click to neither.
 */

const CLICK_MS = 60; // between the release and the click that follows it on a touch screen

/** @returns {(task: () => void) => void} does the newest task now, or after the click */
export function createPressing(root, signal) {
  let waiting = null;
  let pressed = false;
  let later = 0;

  function release() {
    pressed = false;
    const task = waiting;
    waiting = null;
    task?.();
  }

  function releaseSoon() {
    if (!pressed) return;
    clearTimeout(later);
    later = setTimeout(release, CLICK_MS);
  }

  function press(event) {
    // The list of a menu, like that of the right button, keeps the release to itself.
    if (event.button !== 0 || event.composedPath()[0] instanceof HTMLSelectElement) return;
    clearTimeout(later);
    pressed = true;
  }

  root.addEventListener("pointerdown", press, { signal, capture: true });
  window.addEventListener("pointerup", releaseSoon, { signal, capture: true });
  window.addEventListener("pointercancel", releaseSoon, { signal, capture: true });
  root.addEventListener("pointermove", (event) => { if (!event.buttons) releaseSoon(); }, { signal, capture: true });
  signal.addEventListener("abort", () => clearTimeout(later));

  return (task) => {
    waiting = task;
    if (!pressed) release();
  };
}
