/** The overlay behind `?`: keys, and what each number means. */
import { createDialog } from "./dialog.js";

const KEYS = [
  ["pointer", "moves the query; click pins it, click again unpins it"],
  ["wheel, drag", "zoom at the cursor, pan; Esc goes back"],
  ["↑ ↓ ← →", "layer and head"],
  ["W A S D, Shift + arrows", "move the query patch"],
  ["Enter", "pin or unpin the query"],
  ["Home", "class token (or first prefix token) as query"],
  ["T", "attends to / attended by"],
  ["O", "overlay on or off"],
  ["G", "patch grid on or off"],
  ["F", "whole picture or the model's view"],
  ["M, Shift + click on a map", "put a head into the mean, or take it out"],
  ["0", "switch this head off or on: the model is run again"],
  ["X", "scale per map, per layer, over all maps"],
  ["+ −", "zoom"],
  ["Esc", "close this, unpin, then reset zoom and mean"],
];

const WORDS = [
  ["Attention", "A = softmax(q kᵀ · scale [+ bias]), taken from the running model; each row sums to 1."],
  ["Attended by", "The column of A: how much every query attends to the chosen token. It does not sum to 1."],
  ["× uniform", "A times the number of keys that a query sees (those of its window, if there are windows); 1 is what equal attention would give."],
  ["Row entropy", "−Σ p ln p in nats over all tokens of the row; ln(keys it sees) is the most it can be."],
  ["Mean distance", "Σ p · ‖query − key‖ in patches, prefix tokens dropped and the rest renormalised (Dosovitskiy et al. 2021; Raghu et al. 2021)."],
  ["Scale", "Colours run from 0 to the 99.5th percentile of the patches of a map, a layer or all maps; larger values take the last colour. Grey: no such token in this layer."],
  ["Overlay", "Opacity falls to 0 over the lowest quarter of the scale, so that the picture stays visible; the colour bar fades in the same way."],
  ["What if", "The output of the heads that are off is 0 (zero ablation); all maps, norms and features are those of the model without them. Cls shift: 1 − cosine of the cls token after the final norm, before and after."],
  ["Norms, features", "Norm of the token, and first three principal components of the patch features, after the layer."],
];

/** Fills the dialog of the lens. */
export function createHelp(box, close) {
  return createDialog(box, [[["Keys", KEYS]], [["What the numbers mean", WORDS]]], close);
}
