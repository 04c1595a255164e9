/** The dialog behind `?` of the Discovery view: keys, how to read, every method and score. */
import { createDialog } from "../lens/dialog.js";

const FINDING_KEYS = [
  ["click a small picture", "enlarges it"],
  ["hover", "reads the patch: in which mask it lies, what is there, how alike its neighbours are"],
  ["← →, ↑ ↓", "previous and next small picture"],
  ["M", "next mask of the method alone, then all of them"],
  ["[ ]", "point"],
  ["T", "outlines of the marked objects"],
  ["S", "next score over the scenes"],
  ["click a line of the charts", "enlarges that method, or counts that family alone"],
  ["Enter", "opens the picture in the lens"],
  ["Esc", "all masks of the method again, all families, or closes this"],
];

const FINDING_READING = [
  ["Features", "LOST, TokenCut and MaskCut take the keys of the last layer in their papers; that is the default. With some models all keys share one large part, so that every pair counts as alike and nothing is cut: centred features (ours) leave that part out. Darcet et al. 2024, arXiv 2309.16588, add an offset for the same reason."],
  ["Point", "Keys and cls attention are those of the layer that ends at the point; the probe and the residual stream are read at the point."],
  ["On patches", "Masks and truth live on the model's patches; an object has the patches in which it is the most frequent number. The papers score on pixels."],
  ["Compare", "Filled dots: the model. Hollow dots: the same architecture with random weights. Squares: boxes that look at nothing. Bars: 95 % bootstrap intervals over scenes. On made scenes colour alone parts objects, which random weights keep."],
  ["Chances", "A method with several masks has more chances to meet an object. The best head is chosen with the truth: an upper limit."],
];

export function createFindingHelp(box, data, close) {
  const methods = data.methods.map((one) => [one.title, one.definition, one.reference]);
  const scores = data.measures.map((one) => [one.title, one.definition]);
  return createDialog(box, [
    [["Keys", FINDING_KEYS], ["How to read", FINDING_READING]],
    [["Methods", methods], ["Scores", scores]],
  ], close);
}
