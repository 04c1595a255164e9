/** The right column: what is under the cursor, and in words what is shown. */
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { aucOfRow } from "./reading.js";
import { nameOfPatch, titleOfRow, wordsOfPoint } from "./rowwords.js";

const TRUTH_WORDS = new Map([[true, "the same object"], [false, "not the same object"], [null, "not marked"]]);

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

/** One sentence on the picture: what colour says, of which probe, fitted on what. */
export function sentenceOfBinding(reading, fits, state) {
  if (!reading) return "Curves of every probe on held-out scenes. The picture is read once a probe is fitted.";
  const seen = reading.scene
    ? "The probe has not seen this scene; the outlines are its objects."
    : reading.objects
    ? "The outlines are the objects that were marked."
    : "On a photograph nobody has marked what is right: judge by eye, with caution, for the probe knows only what it was fitted on.";
  const curves = reading.shipped && fits ? ` The curves are of probes fitted on ${fits.fitted_on}.` : "";
  return `Colour: how likely the ${titleOfRow(reading.row, "probe")} probe holds a patch to be the same object as patch `
    + `${nameOfPatch(state.query, reading.columns)}, read from ${wordsOfPoint(state.point).replace(/^after/, "the stream after")} (point ${state.point}). `
    + `Fitted on ${reading.fitted_on}. ${seen}${curves}`;
}

export function createBindingFacts(part, reading, fits, base) {
  const fact = factTable(part("facts"));
  const curveLinks = fits ? exportLinks(part("exports"), ["svg", "png", "pdf", "csv", "parquet", "json"]) : [];
  const mapLinks = reading ? exportLinks(part("mapExports"), ["svg", "png", "pdf", "npz", "json"]) : [];
  const said = [reading?.caution || fits?.caution, ...(reading?.notes ?? []), ...(fits?.notes ?? [])].filter(Boolean);
  part("noteBlock").hidden = !said.length;
  part("notes").textContent = said.join(" ");

  function ofPicture(state) {
    const { columns } = reading;
    const row = reading.rowsOf(state.query)[reading.placeOf(state.point)];
    const seen = state.pointed >= 0 ? state.pointed : state.query;
    const itself = seen === state.query;
    fact("query", "Asked about", `patch ${nameOfPatch(state.query, columns)}${state.pinned ? ", pinned" : ""}`);
    fact("seen", "Patch", itself ? "itself" : `patch ${nameOfPatch(seen, columns)}`);
    fact("chance", "P(same object)", number(row[seen]), "Of a patch with itself: what the probe says of two such patches, not 1");
    fact("truth", "Truth", reading.objects ? TRUTH_WORDS.get(reading.sameObject(state.query, seen)) : "not marked");
    if (reading.objects) fact("auc", "AUC, this patch", number(aucOfRow(reading, row, state.query)), "Over the patches of this scene that lie in an object; .5 is chance");
  }

  return {
    update(state) {
      if (reading) ofPicture(state);
      fact("point", "Point", `${state.point}, ${wordsOfPoint(state.point)}`, "0 is the embedding, l the residual stream after l layers");
      const words = sentenceOfBinding(reading, fits, state);
      if (part("words").textContent !== words) part("words").textContent = words;
      for (const link of curveLinks) link.href = `${base}${fits.urls.export}/${link.dataset.kind}?measure=${state.measure}`;
      for (const link of mapLinks) link.href = `${base}${reading.urls.export}/${link.dataset.kind}?q=${state.query}&point=${state.point}`;
    },
  };
}

/** One sentence for a screen reader. */
export function spokenBinding(reading, state) {
  if (!reading) return "";
  const row = reading.rowsOf(state.query)[reading.placeOf(state.point)];
  const seen = state.pointed >= 0 ? state.pointed : state.query;
  return `point ${state.point}, patch ${nameOfPatch(state.query, reading.columns)} with patch ${nameOfPatch(seen, reading.columns)}: ${number(row[seen])}`;
}
