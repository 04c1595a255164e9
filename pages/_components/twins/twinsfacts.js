/** The right column of the view of copies: the patch under the cursor, exports, notes. */
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { nameOfPatch, titleOfRow, wordsOfPoint } from "../binding/rowwords.js";

function exportButtons(box, kinds) {
  const titles = { parquet: "Parquet", picture: "Picture" };
  const links = kinds.map((kind) => {
    const link = document.createElement("a");
    link.textContent = titles[kind] ?? kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  box.replaceChildren(...links);
  return links;
}

/** Where two patches lie: in one copy, at the same place of two, or not in both. */
export function relationOf(canvas, objects, a, b) {
  if (a === b) return "one patch";
  const [first, second] = [objects[a], objects[b]];
  if (first < 0 || second < 0) return "not both in a copy";
  if (first === second) return `in copy ${first}`;
  const place = canvas.compared.findIndex((row) => row.includes(a));
  const twin = place >= 0 && canvas.compared.some((row) => row[canvas.compared[place].indexOf(a)] === b);
  return `${twin ? "same place of" : "in"} copies ${Math.min(first, second)} and ${Math.max(first, second)}`;
}

/** Patches at the same place of the other copies. */
export function twinsOfPatch(canvas, patch) {
  const own = canvas.compared.find((row) => row.includes(patch));
  if (!own) return [];
  const at = own.indexOf(patch);
  return canvas.compared.filter((row) => row !== own).map((row) => row[at]);
}

function copyWords(canvas, state) {
  if (state.selected < 0) return `none of ${state.layout.places.length}`;
  const [row, column] = state.layout.places[state.selected];
  const fits = [row, column].every((pixel, axis) => pixel % canvas.patch[axis] === 0);
  const at = fits ? `patch ${row / canvas.patch[0]},${column / canvas.patch[1]}` : `pixel ${row},${column}`;
  return `${state.selected + 1} of ${state.layout.places.length}, ${at}`;
}

/** One sentence below the canvas. */
export function sentenceOfTwins(canvas, readings, state, old, problem) {
  const rule = "Copies never overlap; on the grid no patch shows two of them.";
  if (state.said) return `${state.said} ${rule}`;
  if (old && problem) return `Not measured: ${problem}.`;
  if (old) return `What was measured before is shown pale until these copies are measured. ${rule}`;
  if (!readings.length) return `The map needs a probe, which is being fitted; distances do not. ${rule}`;
  const how = canvas.bounds.length > 1 ? (state.variant ? " without position embedding" : " with position embedding") : "";
  return `Colour: how likely the ${titleOfRow(canvas.row, "probe")} probe holds a patch to be the same object as patch `
    + `${nameOfPatch(state.query, canvas.columns)}, ${wordsOfPoint(state.point).replace(/^the/, "at the")}${how}. Dashed: the same place in the other copies. ${rule}`;
}

export function createTwinsFacts(part, canvas, readings, base) {
  const fact = factTable(part("facts"));
  const links = exportButtons(part("exports"), ["picture", ...(canvas.curves ? ["svg", "png", "pdf", "csv", "parquet"] : []), "json", "npz"]);
  const mapLinks = exportButtons(part("mapExports"), readings.length ? ["npz", "json"] : []);
  part("mapName").hidden = !readings.length;
  part("exact").textContent = canvas.exact.join(" ");
  part("exactBlock").hidden = !canvas.exact.length;
  const said = [canvas.caution, ...canvas.notes].filter(Boolean);
  part("noteBlock").hidden = !said.length;
  part("notes").textContent = said.join(" ");

  return {
    update(state) {
      const seen = state.pointed >= 0 ? state.pointed : state.query;
      fact("copy", "Selected copy", copyWords(canvas, state), "Top-left corner, row and column");
      fact("query", "Asked about", `patch ${nameOfPatch(state.query, canvas.columns)}`);
      fact("seen", "Patch", seen === state.query ? "itself" : `patch ${nameOfPatch(seen, canvas.columns)}`);
      if (readings.length) {
        const titles = readings.length > 1 ? ["P, with positions", "P, without"] : ["P(same object)"];
        readings.forEach((reading, variant) => {
          const row = reading.rowsOf(state.query)[reading.placeOf(state.point)];
          fact(`chance${variant}`, titles[variant], number(row[seen]), "P(same object) by the probe; of a patch with itself what the probe says of two such patches");
        });
        fact("truth", "They lie", relationOf(canvas, readings[0].objects, state.query, seen));
      }
      fact("point", "Point", `${state.point}, ${wordsOfPoint(state.point)}`, "0 is the embedding, l the residual stream after l layers");
      for (const link of links) link.href = `${base}${canvas.urls.export}/${link.dataset.kind}?measure=${state.measure}`;
      for (const link of mapLinks) link.href = `${base}${readings[Math.min(state.variant, readings.length - 1)].urls.export}/${link.dataset.kind}?q=${state.query}`;
    },
  };
}

/** One sentence for a screen reader. */
export function spokenTwins(canvas, readings, state) {
  if (state.said) return state.said;
  if (state.selected >= 0) return `copy ${copyWords(canvas, state)}`;
  if (!readings.length) return "";
  const reading = readings[Math.min(state.variant, readings.length - 1)];
  const seen = state.pointed >= 0 ? state.pointed : state.query;
  const chance = reading.rowsOf(state.query)[reading.placeOf(state.point)][seen];
  return `point ${state.point}, patch ${nameOfPatch(state.query, canvas.columns)} with patch ${nameOfPatch(seen, canvas.columns)}: ${number(chance)}`;
}
