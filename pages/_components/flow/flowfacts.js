/** The right column: the token under the cursor in every map, massive activations, exports. */
import { factTable } from "../heads/facts.js";
import { number } from "../lens/scale.js";
import { MAP_ORDER, MAP_TITLES, sinksOf, wordsOfToken } from "./evidence.js";
import { focusLayer, focusToken } from "./outlook.js";
import { receivedShown } from "./sinkmap.js";

const FLOW_KINDS = ["svg", "pdf", "png", "npz", "csv", "json"];
const MOST_MASSIVE = 4;

function percent(share) {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** "tabby 62 %, tiger cat 21 %". */
export function classWords(top, count = 3) {
  return top.slice(0, count).map(([name, share]) => `${name} ${percent(share)}`).join(", ");
}

/** "L8 patch 3,4, dimension 120: −312 (1520 × the median)". */
function massiveWords(evidence, one) {
  const token = one.token.includes(",") ? `patch ${one.token}` : one.token;
  const value = number(one.value).replace("-", "−");
  return `${evidence.layers[one.layer]} ${token}, dimension ${one.dimension}: ${value} (${number(one.ratio)} × the median)`;
}

/** A note as a sentence. */
export function sentenceOf(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return !text || /[.!?]$/.test(text) ? whole : `${whole}.`;
}

function massiveLines(evidence) {
  const { massive } = evidence;
  if (!massive.length) return ["None: no activation is above 100 and 1,000 × the median of its layer."];
  const lines = massive.slice(0, MOST_MASSIVE).map((one) => massiveWords(evidence, one));
  const rest = massive.length - lines.length;
  return rest > 0 ? [...lines, `and ${rest} more; all of them are in the JSON file`] : lines;
}

function lineOf(text) {
  const line = document.createElement("p");
  line.className = "small";
  line.textContent = text;
  return line;
}

export function createFlowFacts(part, evidence, base) {
  const fact = factTable(part("facts"));
  const links = FLOW_KINDS.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  const drawable = evidence.maps.length > 0;
  part("exports").replaceChildren(...links.filter(({ dataset }) => drawable || !["svg", "pdf", "png"].includes(dataset.kind)));
  part("massive").replaceChildren(...massiveLines(evidence).map(lineOf));
  const lines = [evidence.caution, ...evidence.notes].filter(Boolean);
  part("noteBlock").hidden = !lines.length;
  part("notes").textContent = lines.map(sentenceOf).join(" ");

  /** Value of a map at a patch, in the unit of the scaling, as it is coloured. */
  function mapRow(name, state, found, token) {
    const patch = token - evidence.ahead;
    const one = found.get(name);
    let text = "none";
    if (one && patch >= 0) {
      const unit = state.scaling === "same" ? " × mean" : "";
      text = `${number(one.values[patch]).replace("-", "−")}${unit}`;
    }
    const raw = one && patch >= 0 ? `raw value ${number(one.raw[patch])}` : "";
    const title = MAP_TITLES[name];
    fact(name, title.charAt(0).toUpperCase() + title.slice(1), text, raw);
  }

  return {
    update(state, changed, scaled) {
      const layer = focusLayer(state);
      const token = focusToken(evidence, state, scaled);
      const label = evidence.layers[layer];
      const largest = state.pointed < 0 && scaled.get(state.map) ? ` (top of ${MAP_TITLES[state.map].split(" ")[0]})` : "";
      fact("token", "Token", wordsOfToken(evidence, token) + largest, "Move over a map; until then the patch with the largest value of the chosen map");
      fact("layer", "Layer", label + (layer === state.layer ? ", selected" : ""));
      for (const name of MAP_ORDER) if (evidence.byName.has(name)) mapRow(name, state, scaled, token);
      const received = receivedShown(evidence, changed, state, layer)[token];
      const sink = evidence.rowOf("received", layer)[token] > state.threshold;
      const words = Number.isNaN(received) ? "none" : `${number(received).replace("-", "−")} × uniform${sink ? ", sink" : ""}`;
      fact("received", "Received", words, "Mean attention over heads and queries, as a multiple of uniform attention");
      fact("norm", `Norm after ${label}`, number(evidence.rowOf("norms", layer)[token]), "Length of the token in the residual stream");
      const query = new URLSearchParams({ scaling: state.scaling, layer: state.layer, threshold: state.threshold });
      const shown = changed && state.shown !== "before" ? changed : evidence;
      for (const link of links) link.href = `${base}${shown.urls.export}/${link.dataset.kind}?${query}`;
    },
  };
}

/** One sentence for a screen reader. */
export function spokenFlow(evidence, state, scaled) {
  const layer = evidence.layers[focusLayer(state)];
  const sinks = sinksOf(evidence, state.threshold).length;
  if (state.pointed < 0) return `layer ${layer}; ${sinks} sinks above ${state.threshold} times uniform`;
  const patch = state.pointed - evidence.ahead;
  const maps = MAP_ORDER.filter((name) => scaled.get(name) && patch >= 0)
    .map((name) => `${MAP_TITLES[name]} ${number(scaled.get(name).values[patch])}`);
  const received = number(evidence.rowOf("received", focusLayer(state))[state.pointed]);
  return `${wordsOfToken(evidence, state.pointed)}: ${[...maps, `received ${received} times uniform in ${layer}`].join(", ")}`;
}
