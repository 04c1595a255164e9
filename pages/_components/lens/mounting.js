/** Streamlit calls a component's entry on mount and on every change of its data; an element that
 * is already at work is only told of the change. */

/** @param {string} selector element of the component
 *  @param {(root: HTMLElement) => {update(component): void, close(): void}} create makes it work */
export function mountOn(selector, create) {
  const working = new WeakMap();
  return (component) => {
    const root = component.parentElement.querySelector(selector);
    if (!working.has(root)) working.set(root, create(root));
    working.get(root).update(component);
    return () => {
      working.get(root)?.close();
      working.delete(root);
    };
  };
}
