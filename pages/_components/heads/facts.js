/** The right column: what is under the cursor, in words and numbers. */
import { classOf, imagesText } from "./atlas.js";
import { number } from "../lens/scale.js";

const EXPORT_KINDS = ["svg", "png", "pdf", "csv", "parquet", "json"];

/** Keeps a definition list's rows, so that a hover changes text only. */
export function factTable(list) {
  const rows = new Map();
  list.replaceChildren(); // those of the study before
  return (key, name, value, hint) => {
    let row = rows.get(key);
    if (!row) {
      row = { term: document.createElement("dt"), detail: document.createElement("dd") };
      list.append(row.term, row.detail);
      rows.set(key, row);
    }
    if (row.term.textContent !== name) row.term.textContent = name;
    if (row.detail.textContent !== value) row.detail.textContent = value;
    if (hint && row.term.title !== hint) row.term.title = hint;
  };
}

/** "0.110 to 0.140", or why there is none. */
export function intervalText(summary, head) {
  const low = summary.low[head];
  const high = summary.high[head];
  return Number.isNaN(low) || Number.isNaN(high) ? "none" : `${number(low)} to ${number(high)}`;
}

/** "3 of 72". */
export function rankText(summary, head) {
  const place = summary.rank[head];
  return place < 0 ? "none" : `${place + 1} of ${summary.order.length}`;
}

export function createFacts(part, atlas, base) {
  const fact = factTable(part("facts"));
  const links = EXPORT_KINDS.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind === "parquet" ? "Parquet" : kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  part("exports").replaceChildren(...links);
  const lines = [atlas.caution, ...(atlas.notes ?? []), atlas.readout?.summary].filter(Boolean);
  part("noteBlock").hidden = !lines.length;
  part("notes").textContent = lines.join(" ");

  function onImage(state, metric, head) {
    const image = atlas.images[state.seen >= 0 ? state.seen : state.image];
    const index = state.seen >= 0 ? state.seen : state.image;
    if (!image) return;
    fact("image", "Image", image.name, image.name);
    fact("own", "On this image", number(atlas.valueOf(metric, index, head)), "The metric for this image alone");
    if (!atlas.probabilities) return;
    const change = `${number(image.probability)} → ${number(atlas.probabilityOf(index, head))}`;
    fact("chance", `P(${classOf(image)})`, change, "Probability of the image's class: unpruned, and without this head");
  }

  return {
    update(state) {
      const metric = atlas.metricIndex(state.metric);
      const summary = atlas.summaries[metric];
      const chosen = atlas.headIndex(state.layer, state.head);
      const head = state.pointed >= 0 ? state.pointed : chosen;
      const { title, axis, definition } = atlas.metrics[metric];
      const level = Math.round((atlas.level ?? 0.95) * 100);
      fact("head", "Head", atlas.labelOf(head) + (head === chosen ? ", selected" : ""));
      fact("value", title.charAt(0).toUpperCase() + title.slice(1), number(summary.mean[head]), `${definition} (${axis})`);
      fact("interval", `${level} % interval`, intervalText(summary, head), "Bootstrap over images; one image has none");
      fact("rank", "Rank", rankText(summary, head), "1 is the most important head by this metric");
      onImage(state, metric, head);
      fact("n", "Mean over", imagesText(atlas));
      const query = new URLSearchParams({ metric: state.metric });
      for (const link of links) link.href = `${base}${atlas.urls.export}/${link.dataset.kind}?${query}`;
      return head;
    },
  };
}

/** One sentence for a screen reader about the head in focus. */
export function spokenHead(atlas, state, head) {
  const metric = atlas.metricIndex(state.metric);
  const summary = atlas.summaries[metric];
  const [layer, own] = atlas.heads[head];
  const interval = Number.isNaN(summary.low[head]) ? "" : `, ${Math.round((atlas.level ?? 0.95) * 100)} percent interval ${intervalText(summary, head)}`;
  const image = atlas.images[state.image];
  const alone = image ? `; on ${image.name} ${number(atlas.valueOf(metric, state.image, head))}` : "";
  const partial = atlas.complete ? "" : `; partial, ${imagesText(atlas)}`;
  const marked = state.found.heads.has(head) ? `; among ${state.found.words}` : "";
  return `layer ${layer} head ${own}: ${atlas.metrics[metric].title} ${number(summary.mean[head])}${interval}; rank ${rankText(summary, head)}${alone}${marked}${partial}`;
}
