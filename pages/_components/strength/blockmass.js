/** Who gives how much to whom: mass from and to cls, registers and patches, as a small matrix. */
import { shade } from "../heads/plot.js";

/** ".42", "1" or "none". */
function shareText(value) {
  if (Number.isNaN(value)) return "none";
  return value > 0.995 ? "1" : value.toFixed(2).replace(/^0/, "");
}

export function createBlockMass(table, profile, colourTable) {
  const names = profile.blocks;
  const body = document.createElement("tbody");
  const head = document.createElement("tr");
  const cells = names.map(() => names.map(() => document.createElement("td")));

  function named(text, scope) {
    const element = document.createElement("th");
    element.scope = scope;
    element.textContent = text;
    return element;
  }

  head.append(named("from ↓ to →", "col"), ...names.map((name) => named(name, "col")));
  const rows = names.map((name, i) => {
    const row = document.createElement("tr");
    row.append(named(name, "row"), ...cells[i]);
    return row;
  });
  body.append(head, ...rows);
  table.replaceChildren(body);
  let drawn = "";

  return {
    update(state) {
      const key = `${state.layer}:${state.head}`;
      if (key === drawn) return;
      drawn = key;
      const found = profile.rowsOver("block_mass", profile.headIndex(state.layer, state.head), 9);
      found.forEach(({ mean, std }, i) => {
        const cell = cells[Math.floor(i / 3)][i % 3];
        const missing = Number.isNaN(mean);
        cell.textContent = shareText(mean);
        cell.className = missing ? "none" : "";
        cell.title = Number.isNaN(std) ? "" : `standard deviation over images ${std.toFixed(3)}`;
        const { fill, ink } = missing ? { fill: "", ink: "" } : shade(colourTable, mean, 0, 1);
        cell.style.background = fill;
        cell.style.color = ink;
      });
    },
  };
}
