/** The right column: what is under the cursor, the selected head, exports and notes. */
import { imagesText } from "../heads/atlas.js";
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { sightOf, whyMissing } from "./profile.js";
import { headSentences } from "./sentences.js";
import { shownBy } from "./sight.js";

const FILE_KINDS = ["svg", "png", "pdf", "csv", "parquet", "npz", "json"];

/** "6.1 to 7.4", or why there is none. */
function intervalOf(summary, head, factor) {
  const low = summary.low[head] * factor;
  const high = summary.high[head] * factor;
  return Number.isNaN(low) ? "none" : `${number(low)} to ${number(high)}`;
}

/** A note as a sentence: a capital first, a full stop last. */
function asSentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

export function createHeadFacts(part, profile, base, control) {
  const fact = factTable(part("facts"));
  const links = FILE_KINDS.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind === "parquet" ? "Parquet" : kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  part("exports").replaceChildren(...links);
  const lines = [profile.caution, ...(profile.notes ?? [])].filter(Boolean);
  part("noteBlock").hidden = !lines.length;
  part("notes").textContent = lines.map(asSentence).join(" ");

  function stdOf(summary, head, factor) {
    return profile.images.length < 2 ? "needs two images" : number(summary.std[head] * factor);
  }

  function imageFact(state, shown, head, factor) {
    const index = state.seen >= 0 ? state.seen : state.image;
    const image = profile.images[index];
    if (!image) return;
    fact("image", "Image", image.name, image.name);
    fact("own", "On this image", number(profile.valueOf(shown.table, index, head) * factor), "The metric for this image alone");
  }

  return {
    update(state) {
      const shown = shownBy(profile, state);
      const chosen = profile.headIndex(state.layer, state.head);
      const head = state.pointed >= 0 ? state.pointed : chosen;
      const factor = profile.factorOf(head, shown.unit);
      const summary = profile.summaryOf(shown.table);
      const { title, definition, ruled } = shown.metric;
      const level = Math.round((profile.level ?? 0.95) * 100);
      const value = summary.mean[head] * factor;
      const why = Number.isNaN(value) ? whyMissing(profile, shown.metric, head) : number(value);
      const kind = sightOf(profile, head, state.rule);
      fact("head", "Head", `${profile.labelOf(head)}${kind ? `, ${kind}` : ""}${head === chosen ? ", selected" : ""}`);
      fact("value", title.charAt(0).toUpperCase() + title.slice(1), why, definition);
      fact("unit", "Unit", `${shown.axis}${ruled ? `, ${state.rule}` : ""}`);
      fact("std", "Std over images", stdOf(summary, head, factor), "Sample standard deviation");
      fact("interval", `${level} % interval`, intervalOf(summary, head, factor), "Of the mean: bootstrap over images; one image has none");
      imageFact(state, shown, head, factor);
      fact("n", "Mean over", imagesText(profile));
      const words = headSentences(profile, state);
      if (part("words").textContent !== words) part("words").textContent = words;
      const query = new URLSearchParams({ metric: state.metric, rule: state.rule, unit: shown.unit, control });
      for (const link of links) link.href = `${base}${profile.urls.export}/${link.dataset.kind}?${query}`;
      return head;
    },
  };
}

/** One sentence for a screen reader about the head in focus. */
export function spokenSight(profile, state, head) {
  const shown = shownBy(profile, state);
  const summary = profile.summaryOf(shown.table);
  const value = summary.mean[head] * profile.factorOf(head, shown.unit);
  const [layer, own] = profile.heads[head];
  const kind = sightOf(profile, head, state.rule);
  const partial = profile.complete ? "" : `; partial, ${imagesText(profile)}`;
  return `layer ${layer} head ${own}: ${shown.metric.title} ${number(value)} ${shown.axis}${kind ? `, ${kind}` : ""}${partial}`;
}
