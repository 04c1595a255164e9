/** The list of rows beside the curves: colour, name, value and interval at a point. */
import { rowColours } from "./probecurve.js";
import { hintOfRow, titleOfRow } from "./rowwords.js";

function short(value) {
  return value === null || value === undefined ? "" : value.toFixed(3).replace(/^0/, "");
}

export function createRowList(box, fits, probes) {
  const listed = new Set(fits.rows.map((row) => row.name));
  const others = probes.filter((name) => !listed.has(name)).map((name) => ({ name, kind: "probe", curves: null }));
  const lines = [...fits.rows, ...others].map((row) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = row.kind;
    button.dataset.row = row.name;
    const [swatch, name, value, ends] = ["i", "span", "b", "small"].map((tag) => document.createElement(tag));
    name.textContent = titleOfRow(row.name, row.kind);
    button.append(swatch, name, value, ends);
    button.disabled = !probes.includes(row.name);
    const apart = row.measured_on ? `; this one came with the app, measured on ${row.measured_on} other made scenes` : "";
    button.title = hintOfRow(row.name, row.kind) + apart;
    return { row, button, value, ends };
  });
  box.replaceChildren(...lines.map((one) => one.button));

  return {
    update(state, colours) {
      const point = state.pointedPoint >= 0 ? state.pointedPoint : state.point;
      const inks = rowColours(fits, colours);
      for (const { row, button, value, ends } of lines) {
        const [mean, low, high] = row.curves?.[state.measure][point] ?? [null, null, null];
        const missing = row.curves ? (fits.complete ? "none" : "not yet") : "no curve";
        value.textContent = mean === null ? missing : short(mean);
        ends.textContent = low === null ? "" : `${short(low)}–${short(high)}`;
        button.style.setProperty("--row", inks.get(row.name) ?? colours.faint);
        const on = String(row.name === state.probe && probes.includes(row.name));
        if (button.getAttribute("aria-pressed") !== on) button.setAttribute("aria-pressed", on);
      }
    },
  };
}
