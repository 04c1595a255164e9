/** The overlay behind `?`: keys, how to read the charts, what every metric means. */
import { createDialog } from "../lens/dialog.js";
import { RULE_WORDS } from "./sight.js";

const SIGHT_KEYS = [
  ["pointer", "reads a head, an image, a hop or an offset"],
  ["click", "selects the head or the image"],
  ["double click, Enter", "opens the head in the lens on the selected image"],
  ["↑ ↓ ← →", "layer and head"],
  ["A D", "the image with the next smaller or larger value"],
  ["M", "next metric"],
  ["R", "the other cls rule"],
  ["U", "next unit"],
  ["H", "hop strength or hop mass"],
  ["Esc", "close this"],
];

const READING = [
  ["Uniform", "Dashed: what attention without any preference gives, over the whole grid, also where a model attends within windows. Mean distance of uniform attention on a grid of 16 x 16 patches: 8.33 patches."],
  ["Local, global", "Ours: a head is local where its mean distance is below half of that of uniform attention (dotted line), else global."],
  ["Random weights", "Band: from the smallest to the largest head of each layer of the same architecture with random weights, on a few of the pictures."],
  ["Selected head", "Short lines: every image; thick line: mean ± standard deviation; long blue line: the selected image."],
  ["Hop strength", "Mean attention over all pairs of patches at the same Chebyshev distance k; hop mass: how much attention goes to that distance in all. Read off the system picture of Li et al. 2023 (2303.13731)."],
  ["Attention by offset", "Mean attention over all pairs with the same offset from query to key, renormalised, mean over images. Arrow: mean offset weighted by attention (Walmer et al. 2023, 2212.03862). Colours end at the 99.5th percentile."],
  ["Where it attends", "Raw attention of a patch to itself, to each neighbour, to the rest of its row and column, to cls, and elsewhere. Ours."],
  ["Block mass", "Mean attention from cls, registers and patches to each of them; rows sum to 1."],
  ["Pixels", "Of the model's input: patches times the mean side of a patch."],
  ["Hatched", "Not a number: no patch asks in that layer, or attention overflowed in half precision. It is not 0."],
];

/** Fills the dialog of the page for a profile. */
export function createGuide(box, profile, close) {
  const metrics = profile.metrics.map((one) => [one.title, `${one.definition} Unit: ${one.axis}.`, one.source]);
  const rules = Object.entries(RULE_WORDS).map(([name, words]) => [`cls rule: ${name}`, words]);
  const left = [["Keys", SIGHT_KEYS], ["How to read", READING]];
  return createDialog(box, [left, [["Metrics", [...metrics, ...rules]]]], close);
}
