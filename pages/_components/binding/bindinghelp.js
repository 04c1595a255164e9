/** The dialog behind `?` of the page of binding: keys, how to read, every definition with its source. */
import { createDialog } from "../lens/dialog.js";
import { hintOfRow, titleOfRow } from "./rowwords.js";

const BINDING_KEYS = [
  ["hover", "asks about the patch under the pointer"],
  ["click a patch", "pins it: the pointer then reads other patches; again, or Esc, lets it go"],
  ["click a small map or the curves", "chooses that point"],
  ["click a probe's name", "reads the picture with that probe"],
  ["← →", "point"],
  ["M", "next measure"],
  ["T", "outlines of a scene's objects"],
  ["Enter", "opens the patch in the lens"],
  ["Esc", "unpin, or close this"],
];

const BINDING_READING = [
  ["P(same object)", "What a probe makes of two patches of the residual stream, standardised; 0 to 1, one scale for all maps.", "Li et al. 2025, arXiv 2510.24709."],
  ["Point", "0 is the embedding, l the residual stream after l layers; prefix tokens are left out."],
  ["Fitted on pictures with masks", "Made scenes, or an annotated set. Pairs of patches of one picture; a patch counts where one object covers 60 % of it, or the purity that was chosen. Pictures are split into those that are fitted on, chosen by and measured on."],
  ["What the numbers are worth", "Most near patches belong together: the position line shows how much of a measure that alone gives. Read the colour-matched AUC first: it takes distance, the picture and the difference of colours out; distance-matched, random weights still reach .76 on made scenes by colour. Read only what stands above the lines of position and colour and above random weights."],
  ["Controls", "The same probe on random weights, and on a trained embedding with random layers: what shows there too comes from the architecture or the pictures."],
  ["About the claims", "The paper's first version said that binding is markedly weaker in ImageNet-supervised models; its authors corrected the table of models later: DINO, CLIP and supervised models bind, and the figure of MAE may come from the order of its tokens. Both versions should be cited; here only our own runs are shown.", "arXiv 2510.24709, v1 and later."],
];

export function createBindingHelp(box, fits, close) {
  const measures = (fits?.measures ?? []).map((one) => [one.title, `${one.definition} ${one.without ?? ""}`]);
  const rows = (fits?.rows ?? []).map((row) => [titleOfRow(row.name, row.kind), hintOfRow(row.name, row.kind)]);
  return createDialog(box, [[["Keys", BINDING_KEYS], ["How to read", BINDING_READING]], [["Measures", measures], ["Rows", rows]]], close);
}
