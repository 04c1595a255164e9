/** The right column: what is under the cursor, and in words what is shown. */
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { nameOfPatch, titleOfRow, wordsOfPoint } from "../binding/rowwords.js";

const SUBSPACE_EXPORTS = ["svg", "png", "pdf", "csv", "parquet", "npz", "json"];

const SPECTRUM_KINDS = {
  quadratic: "Eigenvalues of W^T S W. Positive: likeness in this direction speaks for one object; negative: against it.",
  full: "Eigenvalues of the symmetric matrix. Positive: likeness speaks for one object; negative: against it.",
  plda: "PLDA: scatter between objects over that within, turned to a score, in directions of the closed form. None is negative, and none is trained: a random counterpart is not defined.",
  diagonal: "Weights of single dimensions of the stream: each is its own direction.",
  cosine: "All dimensions weigh the same: there is one scale and no spectrum to read.",
  dot: "All dimensions weigh the same: there is one scale and no spectrum to read.",
};

/** Why there is no spectrum, or what it is. */
export function spectrumWords(layout) {
  if (SPECTRUM_KINDS[layout.kind]) return SPECTRUM_KINDS[layout.kind];
  return `The ${titleOfRow(layout.row, "probe")} probe has no matrix of the stream, and so no eigenvalues.`;
}

/** One sentence on the picture: what colours and places mean. */
export function sentenceOfSubspace(layout, state) {
  const part = layout.partOf(state.part);
  const colour = {
    object: layout.scene ? "Colour: the scene's objects, which the probe has not seen; grey: none, or mixed" : "Colour: the objects that were marked; grey: none, or mixed",
    position: "Colour: the place on the picture",
    picture: "Colour: the patch's own mean colour",
  }[state.tint];
  const none = layout.marked ? "" : " Nobody has marked objects here: mark some in the view Mark, or take a made scene.";
  const without = state.wanted !== state.part ? ` The ${titleOfRow(layout.row, "probe")} probe has no ${state.wanted === "rest" ? "directions of its own, so nothing remains" : "binding part"}: the ${part.title} is shown.` : "";
  return `${colour}. Read with the ${titleOfRow(layout.row, "probe")} probe, fitted on ${layout.fitted_on}.${none}${without}`;
}

export function createSubspaceFacts(part, layout, base) {
  const fact = factTable(part("facts"));
  const links = SUBSPACE_EXPORTS.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind === "parquet" ? "Parquet" : kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  part("exports").replaceChildren(...links);
  const said = [layout.caution, ...layout.notes].filter(Boolean);
  part("noteBlock").hidden = !said.length;
  part("notes").textContent = said.join(" ");

  function ofPatch(state) {
    const patch = state.pointed >= 0 ? state.pointed : state.pinned;
    const pinned = patch >= 0 && patch === state.pinned ? ", pinned" : "";
    fact("patch", "Patch", patch < 0 ? "none" : nameOfPatch(patch, layout.columns) + pinned, "Row and column from 0 at the top left");
    const object = patch < 0 ? 0 : layout.objectOf(patch);
    const truth = !layout.marked ? "not marked" : patch < 0 ? "none" : object > 0 ? `${object}` : "none, or mixed";
    fact("object", "Object", truth, "Where one object covers 60 % of the patch");
    const at = layout.coordinates(layout.partAt(state.part), layout.placeOf(state.point));
    for (let axis = 0; axis < 3; axis += 1) {
      fact(`pc${axis}`, `PC${axis + 1}`, patch < 0 ? "none" : number(at[3 * patch + axis]), "Coordinate on this principal component of the picture's patches, in the units of the part");
    }
  }

  function ofSpectrum(state) {
    const place = layout.placeOf(state.point);
    const rank = Math.max(0, state.pointedRank);
    const value = layout.spectra[place][rank];
    fact("value", `Eigenvalue ${rank + 1}`, value === undefined ? "none" : number(value), spectrumWords(layout));
    const random = layout.random[place][rank]?.[0];
    fact("random", "Random, same rank", random === null || random === undefined ? "not defined" : `± ${number(random)}`, "Mean size over 20 random matrices of the same size, rank and energy (ours)");
    const held = layout.held[place];
    fact("held", "Variance left out of f", held === null ? "none" : `${(100 * held).toFixed(0)} % in ${layout.directions[place]} of ${layout.width}`, "Share of the standardised stream's variance in the directions that the remainder lacks: all that the probe reads, or those that hold 90 % of its spectrum where it reads all");
  }

  return {
    update(state) {
      ofPatch(state);
      ofSpectrum(state);
      const words = sentenceOfSubspace(layout, state);
      if (part("words").textContent !== words) part("words").textContent = words;
      const query = new URLSearchParams({ point: state.point, part: state.part, tint: state.tint });
      for (const link of links) link.href = `${base}${layout.urls.export}/${link.dataset.kind}?${query}`;
    },
  };
}

/** One sentence for a screen reader. */
export function spokenSubspace(layout, state) {
  const patch = state.pointed >= 0 ? state.pointed : state.pinned;
  const where = `${layout.partOf(state.part).title}, point ${state.point}, ${wordsOfPoint(state.point)}`;
  if (patch < 0) return where;
  const object = layout.objectOf(patch);
  return `${where}: patch ${nameOfPatch(patch, layout.columns)}${object > 0 ? `, object ${object}` : ""}`;
}
