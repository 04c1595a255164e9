/** How well objects lie apart, part by part: the numbers, and the curves by point. */

export const FIGURES_APART = {
  matched: { at: 3, title: "distance-matched AUC", short: "matched", limits: [0.4, 1], chance: 0.5 },
  auc: { at: 2, title: "AUC of nearness", short: "AUC", limits: [0.4, 1], chance: 0.5 },
  between: { at: 0, title: "variance between", short: "between", limits: [0, 0.5], chance: null },
};
const ALL_DIRECTIONS = 0;

/** One colour for each part, the same in table and curves. */
export function partInks(colours) {
  return { binding: colours.orange, stream: colours.accent, rest: colours.faint };
}

function shortOf(value) {
  return value === null || value === undefined ? "none" : value.toFixed(2).replace(/^0\./, ".");
}

/** Curves of one figure, all parts, with what chance gives. */
export function apartLines(layout, state, colours) {
  const figure = FIGURES_APART[state.figure];
  const inks = partInks(colours);
  const lines = layout.parts.map(({ name }, part) => ({
    values: layout.separations[part].map((views) => views[ALL_DIRECTIONS][figure.at]),
    ink: inks[name],
    strong: name === state.part,
  }));
  const chance = figure.chance === null ? layout.separations[0].map((views) => views[ALL_DIRECTIONS][1]) : layout.points.map(() => figure.chance);
  return [{ values: chance, ink: colours.pale, dash: [4, 3] }, ...lines];
}

function cell(tag, text, hint) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (hint) element.title = hint;
  return element;
}

export function createApartList(table, layout) {
  const columns = ["between", "auc", "matched"];
  const head = document.createElement("tr");
  head.append(cell("th", "all directions"), ...columns.map((name) => cell("th", FIGURES_APART[name].short, FIGURES_APART[name].title)));
  const lines = [...layout.parts, null].map((part) => {
    const row = document.createElement("tr");
    const name = cell("th", "");
    const swatch = document.createElement("i");
    const words = document.createElement("span");
    name.append(...(part ? [swatch] : []), words);
    if (part) words.textContent = part.short;
    if (part) name.title = `${part.title}: ${part.definition}`;
    const cells = columns.map(() => cell("td", ""));
    row.append(name, ...cells);
    return { part, row, words, swatch, cells };
  });
  table.replaceChildren(head, ...lines.map((one) => one.row));

  return {
    update(state, colours) {
      const place = layout.placeOf(state.point);
      const inks = partInks(colours);
      for (const { part, row, words, swatch, cells } of lines) {
        const shown = part ? layout.partAt(part.name) : layout.partAt(state.part);
        const view = part ? ALL_DIRECTIONS : state.flat ? 2 : 1;
        if (!part) words.textContent = `${layout.parts[shown].short}, ${state.flat ? 2 : 3} axes`;
        else swatch.style.setProperty("--row", inks[part.name]);
        row.classList.toggle("chosen", part?.name === state.part);
        const values = layout.separations[shown][place][view];
        cells.forEach((one, i) => { one.textContent = shortOf(values[FIGURES_APART[columns[i]].at]); });
      }
    },
  };
}
