/** The right column and the sentences: what is under the cursor, and in words what is shown. */
import { nameOfPatch, titleOfRow } from "../binding/rowwords.js";
import { aucOfRow } from "../binding/reading.js";
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { shortValue } from "./strongest.js";

const LINK_KINDS = ["svg", "png", "pdf", "csv", "parquet", "json"];
const SAME_WORDS = new Map([[true, "the same object"], [false, "not the same object"], [null, "not marked"]]);

function withEnds([value, low, high]) {
  return Number.isNaN(low) ? shortValue(value) : `${shortValue(value)} (${shortValue(low)} to ${shortValue(high)})`;
}

/** Pearson's r of a head's attention and the probe's map over the patches but the query itself. */
export function agreementOf(attention, same, query) {
  let [n, x, y, xx, yy, xy] = [0, 0, 0, 0, 0, 0];
  attention.forEach((a, patch) => {
    const s = same[patch];
    if (patch === query || Number.isNaN(a) || Number.isNaN(s)) return;
    n += 1; x += a; y += s; xx += a * a; yy += s * s; xy += a * s;
  });
  const spread = Math.sqrt(Math.max(0, n * xx - x * x) * Math.max(0, n * yy - y * y));
  return spread > 1e-12 * n * n ? (n * xy - x * y) / spread : NaN;
}

/** One sentence on the matrix: measured on what. */
export function wordsOfTable(table, measure) {
  if (!table) return "";
  const pairs = table.pairs.toLocaleString("en");
  const where = table.scope === "scenes" ? `${table.images} made scenes that no probe was fitted on` : "this picture; one picture has no interval";
  const near = measure.name === "top_share" && table.chance[1] !== null ? ` Among the neighbours of the query chance is ${shortValue(table.chance[1])}.` : "";
  return `${pairs} pairs of patches of ${where}.${near}`;
}

export function createAttendingFacts(part, reading, base) {
  const fact = factTable(part("facts"));
  const links = LINK_KINDS.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind === "parquet" ? "Parquet" : kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });

  function ofHead(table, measure, summary, shown) {
    const { layer, head } = shown;
    const index = table.headIndex(layer, head);
    fact("head", "Head", index < 0 ? "none" : table.labelOf(index));
    fact("value", measure.axis, index < 0 ? "none" : shortValue(summary.mean[index]), measure.definition);
    fact("ends", "95 % interval", index < 0 || Number.isNaN(summary.low[index]) ? "none" : `${shortValue(summary.low[index])} to ${shortValue(summary.high[index])}`, "Over scenes drawn with replacement");
    fact("rank", "Rank", index < 0 || summary.rank[index] < 0 ? "none" : `${summary.rank[index] + 1} of ${summary.order.length}`);
    fact("mean", "Mean over heads", withEnds(summary.byLayer[layer] ?? [NaN, NaN, NaN]), "Of attention averaged over the heads of the layer");
    fact("probe", "Probe, same layer", withEnds(summary.probe[layer] ?? [NaN, NaN, NaN]), "The probe's own score on the input of the layer, against the truth");
    fact("level", "Chance", measure.signed ? "0" : measure.chance === null ? "none" : shortValue(measure.chance));
  }

  function ofPatch(state, attention, same) {
    const seen = state.pointedPatch >= 0 ? state.pointedPatch : state.query;
    fact("query", "From patch", `${nameOfPatch(state.query, reading.columns)}${state.pinned ? ", pinned" : ""}`);
    fact("seen", "To patch", seen === state.query ? "itself" : nameOfPatch(seen, reading.columns));
    fact("weight", "Attention", attention ? number(attention.values[seen]) : "none", "Of the head, after the softmax");
    fact("chance", "P(same object)", same ? number(same[seen]) : "none");
    fact("truth", "Truth", SAME_WORDS.get(reading.sameObject(state.query, seen)));
  }

  return {
    update(state, table, measure, summary, shown, attention, same) {
      if (table) ofHead(table, measure, summary, shown);
      if (reading) ofPatch(state, attention, same);
      part("exports").replaceChildren(...(table ? links : []));
      if (table) for (const link of links) link.href = `${base}${table.urls.export}/${link.dataset.kind}?measure=${measure.name}`;
      const said = [table?.caution, table?.about, ...(table?.skipped ?? []), ...(table?.notes ?? []), ...(reading?.notes ?? [])].filter(Boolean);
      part("noteBlock").hidden = !said.length;
      part("notes").textContent = said.join(" ");
    },
  };
}

/** What the two maps show, in words, with what can be said of this patch alone. */
export function wordsOfMaps(reading, state, shown, attention, same) {
  if (!reading) return "The picture is read as soon as a probe is fitted.";
  const patch = nameOfPatch(state.query, reading.columns);
  const what = `Left: where L${shown.layer} H${shown.head} attends from patch ${patch}. Right: how likely the ${titleOfRow(reading.row, "probe")} probe, on the input of that layer, holds a patch to be the same object.`;
  if (!attention || !same) return `${what} ${attention ? "The probe does not read this layer." : "The head's attention is on its way."}`;
  const r = agreementOf(attention.values, same, state.query);
  const auc = reading.objects ? aucOfRow(reading, attention.values, state.query) : NaN;
  const truth = Number.isNaN(auc) ? "" : ` As a sign of the same object this patch's attention has an AUC of ${shortValue(auc)}, the probe ${shortValue(aucOfRow(reading, same, state.query))}.`;
  return `${what} Over the other patches the two correlate by ${shortValue(r)}.${truth}`;
}

/** One sentence for a screen reader. */
export function spokenAttending(table, measure, summary, shown) {
  const index = table ? table.headIndex(shown.layer, shown.head) : -1;
  return index < 0 ? "" : `layer ${shown.layer} head ${shown.head}: ${measure.title} ${shortValue(summary.mean[index])}, rank ${summary.rank[index] + 1} of ${summary.order.length}`;
}
