/** The right column of the ablation view: patch and step under the cursor, words, exports. */
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { nameOfPatch, titleOfRow, wordsOfPoint } from "../binding/rowwords.js";
import { EDIT_NAMES, linesOf, titleOfPart } from "./removingdata.js";

const SHORT_PARTS = { binding: "Binding part", principal: "PCA part", random: "Random part", stream: "Whole stream" };

export function percent(share) {
  return share === null || Number.isNaN(share) ? "none" : `${number(100 * share)} %`;
}

function exportLinks(box, kinds) {
  const links = kinds.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind === "parquet" ? "Parquet" : kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  box.replaceChildren(...links);
  return links;
}

/** "0.812 (0.790 to 0.833)". */
function intervalWords({ value, low, high }) {
  return low === null ? number(value) : `${number(value)} (${number(low)} to ${number(high)})`;
}

/** Where the numbers of the sweep come from. */
export function wordsOfMeasuring(sweep) {
  if (!sweep?.wanted) return "";
  const held = sweep.subspaces.map(({ name }, row) => `${SHORT_PARTS[name].toLowerCase()} ${percent(sweep.held[row])}`);
  return [
    `${sweep.images} made scenes that no probe was fitted on. ${sweep.dimension} directions of the ${titleOfRow(sweep.row, "probe")} probe, fitted on ${sweep.fitted_on}.`,
    `Share of the patches' variance that lies in each: ${held.join(", ")}.`,
    "PCA and random part are scaled, picture by picture, so that they move as much energy as the binding part. Intervals are 95 % over pictures; of a change they are those of the value less the unchanged mean.",
    ...sweep.notes,
    ...(sweep.skipped.length ? [`${sweep.skipped.length} scenes were left out.`] : []),
  ].join(" ");
}

export function createRemovingFacts(part, base) {
  const fact = factTable(part("facts"));
  const links = exportLinks(part("exports"), ["svg", "png", "pdf", "csv", "parquet", "json"]);
  const mapLinks = exportLinks(part("mapExports"), ["svg", "png", "pdf", "npz", "json"]);
  let said = "";

  function ofStep(sweep, state) {
    const step = state.step ?? { edit: state.edit, amount: state.amount };
    const lines = linesOf(sweep, state.measured, step.edit);
    const known = lines.some(({ dots }) => dots.some(({ amount }) => Math.abs(amount - step.amount) < 1e-6));
    fact("step", "Step", `${EDIT_NAMES[step.edit]} ${step.amount}${known || !sweep?.wanted ? "" : ", between steps"}`, "Of the charts: under the pointer, else that of the picture");
    for (const { name, dots } of lines) {
      const dot = dots.find(({ amount }) => Math.abs(amount - step.amount) < 1e-6);
      fact(name, SHORT_PARTS[name], dot ? intervalWords(dot) : "not measured", titleOfPart(name));
    }
    const shares = lines.map(({ dots }) => dots.find(({ amount }) => Math.abs(amount - step.amount) < 1e-6)?.moved);
    const [own, ...others] = shares;
    if (own !== undefined) {
      const text = [own, ...others.filter((one) => one !== undefined)].map((one) => number(100 * one)).join(" · ");
      fact("energy", "Moved, %", text, `Energy moved as a share of the patches' variance, in the order ${lines.map(({ name }) => SHORT_PARTS[name]).join(", ")}`);
    } else if (lines.length) fact("energy", "Moved, %", "not measured");
  }

  function ofPatch(edited, state, query, rows) {
    if (!edited) return;
    const seen = state.pointed >= 0 ? state.pointed : query;
    const { columns } = edited.before;
    fact("query", "Asked about", `patch ${nameOfPatch(query, columns)}`);
    fact("seen", "Patch", seen === query ? "itself" : `patch ${nameOfPatch(seen, columns)}`);
    fact("chances", "P(same object)", `${number(rows[0][seen])} → ${number(rows[1][seen])}`, "Unchanged, and with the edit, at the last point; of a patch with itself what the probe says of two such patches");
    fact("change", "Difference", number(rows[2][seen]).replace(/^-/, "−"));
    const truth = edited.before.sameObject(query, seen);
    fact("truth", "They are", truth === null ? "not both marked" : truth ? "the same object" : "different objects");
  }

  function words(sweep, measured, running) {
    const lines = sweep?.wanted ? sweep.measures.find(({ name }) => name === measured)?.words ?? [] : [running ? "Being measured; the strongest edits come first." : "Nothing is measured yet."];
    const notes = wordsOfMeasuring(sweep);
    const now = JSON.stringify([lines, notes]);
    if (now === said) return;
    said = now;
    part("words").replaceChildren(...lines.map((text) => {
      const element = document.createElement("p");
      element.textContent = text;
      if (/^(The |Too )/.test(text)) element.className = "verdict";
      return element;
    }));
    part("noteBlock").hidden = !notes;
    part("notes").textContent = notes;
  }

  const point = (all, there, addressOf) => {
    for (const link of all) {
      link.toggleAttribute("aria-disabled", !there);
      if (there) link.href = addressOf(link.dataset.kind);
      else link.removeAttribute("href");
    }
  };

  return {
    /** @param {Float32Array[] | null} rows unchanged, with the edit, difference */
    update(sweep, edited, state, query, rows, running) {
      ofPatch(edited, state, query, rows);
      ofStep(sweep, state);
      words(sweep, state.measured, running);
      point(links, Boolean(sweep?.wanted), (kind) => `${base}${sweep.urls.export}/${kind}?measure=${state.measured}`);
      point(mapLinks, Boolean(edited), (kind) => `${base}${edited.urls.export}/${kind}?q=${query}`);
    },
  };
}

/** One sentence for a screen reader. */
export function spokenRemoving(edited, state, query, rows) {
  if (!edited) return "";
  const seen = state.pointed >= 0 ? state.pointed : query;
  return `${EDIT_NAMES[state.edit]} ${state.amount} of the ${titleOfPart(state.part)} at ${wordsOfPoint(state.at)}: patch ${nameOfPatch(seen, edited.before.columns)} from ${number(rows[0][seen])} to ${number(rows[1][seen])}`;
}
