/** The dialog behind `?`: keys and definitions in two columns. */

/** A definition list of [name, text, source]; the source may be left out. */
function definitions(entries) {
  const element = document.createElement("dl");
  for (const [name, text, source] of entries) {
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = text;
    if (source) {
      const origin = document.createElement("span");
      origin.className = "source";
      origin.textContent = ` ${source}`;
      detail.append(origin);
    }
    element.append(term, detail);
  }
  return element;
}

function column(topics) {
  const element = document.createElement("div");
  for (const [name, entries] of topics) {
    const heading = document.createElement("h3");
    heading.textContent = name;
    element.append(heading, definitions(entries));
  }
  return element;
}

/**
 * Fills the dialog once; its button, or Esc, closes it.
 * @param {HTMLElement} box the dialog
 * @param {[string, string[][]][][]} columns topics of each column: heading and definitions
 * @param {() => void} close asked for by the button
 */
export function createDialog(box, columns, close) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "close";
  button.addEventListener("click", close);
  const parts = columns.map(column);
  parts.at(-1).append(button);
  box.replaceChildren(...parts);
  return {
    show(open) {
      if (box.hidden === !open) return;
      box.hidden = !open;
      if (open) button.focus();
    },
  };
}
