/** The overlay behind `?`: keys, and what every metric means and where it is from. */
import { createDialog } from "../lens/dialog.js";

const HEADS_KEYS = [
  ["pointer", "reads a head, an image or a point of a curve; its dot lights up everywhere"],
  ["click", "selects the head or the image"],
  ["Shift + click, S", "puts a head into the pruning set, or takes it out"],
  ["double click, Enter", "opens the head in the lens on the selected image"],
  ["↑ ↓ ← →", "layer and head"],
  ["PageUp PageDown", "the next more or less important head"],
  ["Home, End", "the most and the least important head"],
  ["A D", "the image before and after, in the order of the chart"],
  ["M", "next metric"],
  ["P", "partial pruning of the selected head"],
  ["T", "pruning curves, agreement, class overlap"],
  ["Esc", "close this"],
];

const KINDS = {
  zero: "zero: the head's output is set to 0. Overstates dependence, as later layers never saw 0 there.",
  mean: "mean: the head's output is replaced by its mean over a reference set, for every token position.",
  resample: "resample: the head's output is taken from another image.",
};

const NOTES = [
  ["Interval", "Bootstrap over images; none for one image or while images are missing."],
  ["Numbers in the matrix", "The ten most important heads by the chosen metric. Hatched grey: not measured, which is not 0."],
  ["Pruning curve", "Heads are removed in the order of a metric, least important first. Band: spread of random orders."],
  ["Agreement", "Spearman's rank correlation of the heads between two metrics."],
];

/** Fills the dialog of the page of heads for a study. */
export function createAbout(box, atlas, close) {
  const kind = ["Ablation", KINDS[atlas.ablation] ?? atlas.ablation];
  const metrics = atlas.metrics.map((one) => [one.title, `${one.definition} Axis: ${one.axis}.`, one.source]);
  const left = [["Keys", HEADS_KEYS], ["How to read", [kind, ...NOTES]]];
  return createDialog(box, [left, [["Metrics", metrics]]], close);
}
