/** The right column of the Discovery view: the patch or mean under the cursor, exports, notes. */
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { nameOfPatch, wordsOfPoint } from "../binding/rowwords.js";
import { COHERENCE_CARD, TRUTH_CARD, shownMasks } from "./findingstate.js";

const PICTURE_KINDS = ["svg", "png", "pdf", "csv", "parquet", "json", "npz", "labels"];
const MEAN_KINDS = ["svg", "png", "pdf", "csv", "parquet", "json", "npz"];
const KIND_TITLES = { parquet: "Parquet", labels: "Masks PNG" };
const COHERENCE_WORDS = "Mean cosine of a patch's features with the four most similar of its up to eight neighbours; "
  + "1 where all are equal. Yun et al. 2022 (SelfPatch), arXiv 2206.07990, section 3.1, whose positive patches these are; the mean as a measure is ours.";

function linksIn(box, kinds) {
  const links = kinds.map((kind) => {
    const link = document.createElement("a");
    link.textContent = KIND_TITLES[kind] ?? kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  box.replaceChildren(...links);
  return links;
}

export function intervalOf([mean, low, high]) {
  if (mean === null) return "none";
  return low === null ? `${number(mean)}, no interval` : `${number(mean)} (${number(low)} to ${number(high)})`;
}

function maskWords(data, method, patch, shown) {
  const inside = data.masksAt(method, patch);
  if (!method.count) return "no mask";
  const own = inside.filter((one) => shown.includes(one)).map((one) => one + 1);
  if (own.length) return method.count > 1 ? `in mask ${own.join(", ")} of ${method.count}` : "in the mask";
  return inside.length ? `in mask ${inside.map((one) => one + 1).join(", ")}, not shown` : "in no mask";
}

/** One sentence below the large picture. */
export function sentenceOfFinding(data, state) {
  const source = data.sources[data.features].title.replace(", as in the papers", "");
  const where = data.point ? `at the end of layer L${data.point - 1}` : "at the embedding";
  if (state.found === COHERENCE_CARD) return `How alike the ${source} of a patch and its neighbours are, ${where}.`;
  if (state.found === TRUTH_CARD) return "The objects as they are scored: the most frequent number in each patch, background counted.";
  const method = data.methodOf(state.found);
  if (method.absent) return `${method.title} was not run: ${method.absent}.`;
  if (method.note) return `${method.title} ${method.note}.`;
  const plain = { features: `${source} ${where}`, cls: `attention of layer L${data.point - 1}`, probe: `the ${data.row} probe at point ${data.point}, fitted on ${data.fitted_on}`, baseline: "no look at the picture" }[method.kind];
  const several = method.apart ? "" : `; shown is head ${shownMasks(method, state.number)[0] ?? 0}${state.number < 0 && !data.unscored ? ", the best by the truth" : ""}`;
  return `From ${plain}${several}.${data.unscored ? ` No scores: ${data.unscored}.` : ""}`;
}

export function createFindingFacts(part, data, scenes, base) {
  const fact = factTable(part("facts"));
  const links = linksIn(part("exports"), PICTURE_KINDS);
  const meanLinks = linksIn(part("meanExports"), scenes ? MEAN_KINDS : []);
  part("meanName").hidden = !scenes;
  const said = [data.caution, ...data.notes].filter(Boolean);
  part("noteBlock").hidden = !said.length;
  part("notes").textContent = said.join(" ");

  function ofMask(method, state) {
    const shown = shownMasks(method, state.number);
    const { scores } = method;
    const known = (value, words = number) => (value === null ? (data.unscored.startsWith("nobody") ? "not marked" : "none") : words(value));
    const one = shown.length === 1 ? method.ious[shown[0]] : scores.best_iou;
    fact("iou", "IoU, best object", known(one ?? null), "The largest IoU of the shown mask, or of any, with an object; on patches");
    fact("mean", "mean over objects", known(scores.mean_best_iou), "For each object the largest IoU with a mask, the mean over objects");
    fact("box", "CorLoc", known(scores.correct, (yes) => (yes ? "yes" : "no")), "Whether a mask's box meets an object's by half");
    fact("ari", "FG-ARI", method.apart ? known(scores.fg_ari) : "masks overlap", "Adjusted Rand index over the patches of objects");
  }

  return {
    update(state, mean) {
      const method = data.methodOf(state.found);
      const patch = state.pointed;
      fact("what", "Shown", method?.title ?? (state.found === TRUTH_CARD ? "truth" : "coherence"));
      fact("patch", "Patch", patch < 0 ? "none" : nameOfPatch(patch, data.columns), "Row, column");
      fact("in", "It lies", patch < 0 ? "–" : method ? maskWords(data, method, patch, shownMasks(method, state.number)) : "–");
      const object = patch < 0 || !data.objects ? 0 : data.objects[patch];
      fact("truth", "Truth", !data.objects ? "not marked" : patch < 0 ? "–" : object > 0 ? `object ${object}` : "background");
      fact("coherence", "Coherence", patch < 0 ? "–" : number(data.coherence[patch]), "Mean cosine with the four most similar neighbours");
      if (method) ofMask(method, state);
      else for (const name of ["iou", "mean", "box", "ari"]) fact(name, { iou: "IoU, best object", mean: "mean over objects", box: "CorLoc", ari: "FG-ARI" }[name], "–");
      fact("point", "Point", `${data.point}, ${wordsOfPoint(data.point)}`, "0 is the embedding, l the residual stream after l layers");
      if (mean) {
        fact("row", "Scenes", mean.title, mean.absent || undefined);
        fact("value", mean.measure, intervalOf(mean.ends), "Mean over scenes, 95 % bootstrap interval");
        fact("n", "Mean over", `${mean.ends[3]} scenes, ${mean.family}`);
      }
      part("aboutTitle").textContent = method?.title ?? (state.found === TRUTH_CARD ? "Truth" : "Local coherence");
      part("about").textContent = method ? `${method.definition} ${method.reference}` : state.found === TRUTH_CARD ? "Objects of the made scene, or those that were marked, on patches. Outlines are theirs to the pixel." : COHERENCE_WORDS;
      const asked = new URLSearchParams({ method: method ? method.name : state.found === TRUTH_CARD ? "truth" : "lost" });
      if (state.number >= 0) asked.set("mask", String(state.number));
      for (const link of links) link.href = `${base}${data.urls.export}/${link.dataset.kind}?${asked}`;
      for (const link of meanLinks) link.href = `${base}${scenes.urls.export}/${link.dataset.kind}?${new URLSearchParams({ measure: state.score, family: state.family })}`;
    },
  };
}

/** One sentence for a screen reader. */
export function spokenFinding(data, state) {
  const method = data.methodOf(state.found);
  if (state.pointed < 0) return sentenceOfFinding(data, state);
  const where = method ? `, ${maskWords(data, method, state.pointed, shownMasks(method, state.number))}` : "";
  return `patch ${nameOfPatch(state.pointed, data.columns)}${where}, coherence ${number(data.coherence[state.pointed])}`;
}
