/** Canvas colours from the theme's CSS variables, so that light and dark both work. */

/** Reads the colours that the canvases need from the element's computed style. */
export function themeColours(root) {
  const style = getComputedStyle(root);
  const read = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const paper = read("--paper", "#fbfbf9");
  return {
    text: read("--ink", "#1d2126"),
    faint: read("--faint", "#6f7780"),
    accent: read("--accent", "#2a6ab0"),
    orange: read("--orange", "#c8701d"),
    line: read("--line", "#dcdedc"),
    dot: `color-mix(in srgb, ${read("--ink", "#1d2126")} 55%, transparent)`,
    font: style.fontFamily,
    // The page's own colour, mostly opaque: what the model did not see recedes into the page.
    veil: `color-mix(in srgb, ${paper} 72%, transparent)`,
  };
}
