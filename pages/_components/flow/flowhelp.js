/** The dialog behind `?` of the page of flow: keys, how to read, every definition with its source. */
import { createDialog } from "../lens/dialog.js";
import { titleOfMap } from "./evidence.js";

const FLOW_KEYS = [
  ["hover", "the same patch in every map, in the band of norms, and in numbers"],
  ["click a patch", "opens it as query in the lens, at the selected layer"],
  ["click a layer's name", "opens that layer in the lens"],
  ["click a cell", "of the sinks, the norms or the shifts: selects its layer"],
  ["↑ ↓", "layer"],
  ["M", "next map"],
  ["S", "same scale, own scale"],
  ["B", "before, after, change, once there is a what-if"],
  ["Enter", "opens the selected layer in the lens"],
  ["Esc", "close this"],
];

const READING = [
  ["Same scale (ours)", "Each map is divided by its mean over the patches, so 1 is what every patch would have if all were alike. All maps share the limits: 0 to the 99.5th percentile of all of them."],
  ["Own scale", "Raw values; each map from its smallest value to its own 99.5th percentile."],
  ["Deletion, insertion", "Patches get the picture's mean colour in the order of the map, the largest first, or are put back into a picture of that colour. The area under the curve: small is good for deletion, large for insertion. A map whose areas lie within the spread of random orders says nothing about this output.", "Petsiuk et al. 2018, RISE; patches instead of pixels."],
  ["Random orders", "Dashed: their mean; grey: their range. The areas: mean ± standard deviation."],
];

const TOKENS = [
  ["Received attention", "Mean of A over heads and queries, times the number of keys: a multiple of uniform attention. Colours are on a log scale, for all layers alike.", "After Preplan-and-Anchor; the unit is ours."],
  ["Sink (ours)", "A key that receives more than the threshold in a layer; hatched. The word is that of Xiao et al. 2024, the rule is ours.", "Adapted from Kang et al. 2025, Visual Attention Sink."],
  ["What-if", "Runs the model again with the attention to sinks scaled by p in every layer, and the freed mass given to the other patches in proportion. It is a question to the model, not what it does.", "Adapted from Kang et al. 2025; all heads alike is ours."],
  ["Token norm", "Euclidean length of a token in the residual stream after the layer.", "Darcet et al. 2024."],
  ["Massive activation", "Above 100 and at least 1,000 × the median magnitude of the layer.", "Sun et al. 2024."],
  ["Shift consistency", "The picture is rolled in a circle by whole patches. Attention: cosine between the map of the shifted picture and the shifted map, mean over heads. Prediction: cosine of the embeddings, and whether the class stays.", "Measure ours, after Reviving Shift Equivariance in Vision Transformers."],
];

/** Fills the dialog for a flow. */
export function createFlowHelp(box, evidence, close) {
  const maps = evidence.maps.map((one) => [titleOfMap(evidence, one.name, evidence.raw_layer), one.definition, one.source]);
  const measured = [
    ["Target", `${evidence.target}.`],
    ["Score of the curves", `${evidence.score}.`],
  ];
  const left = [["Keys", FLOW_KEYS], ["How to read", READING]];
  const right = [["Maps", [...maps, ...measured]], ["Tokens", TOKENS]];
  return createDialog(box, [left, right], close);
}
