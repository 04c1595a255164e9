/** Keyboard events of an instrument, whatever its keys mean. */

/**
 * Listens on the element, and on the page while nothing else has the focus.
 * @param {HTMLElement} root the instrument
 * @param {(event: KeyboardEvent) => [string, ...any] | null} actionOf what a key means
 * @param {(name: string, ...any) => void} act does it
 */
export function listenToKeys(root, actionOf, act, signal) {
  function onKey(event) {
    const field = event.composedPath()[0];
    const typing = field instanceof HTMLInputElement || field instanceof HTMLSelectElement;
    if (typing && event.key !== "Escape") return;
    const pressing = field instanceof HTMLButtonElement || field instanceof HTMLAnchorElement;
    if (pressing && event.key === "Enter") return;
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    // The page around has shortcuts of its own on single letters.
    event.stopPropagation();
    act(...action);
  }
  root.addEventListener("keydown", onKey, { signal });
  window.addEventListener("keydown", (event) => {
    if (document.activeElement === document.body && !event.defaultPrevented) onKey(event);
  }, { signal, capture: true });
}
