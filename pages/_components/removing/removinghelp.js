/** The dialog behind `?` of the ablation view: keys, how to read, every definition. */
import { createDialog } from "../lens/dialog.js";

const REMOVING_KEYS = [
  ["arrow left, right", "weaker or stronger edit of the picture"],
  ["arrow up, down, [ ]", "point at which the stream is changed"],
  ["Shift + arrow keys", "another patch of the picture"],
  ["click a map", "asks about that patch"],
  ["click a chart", "takes that edit, amount and part for the picture"],
  ["E", "shuffle, or to the mean of the object"],
  ["P", "part that is changed"],
  ["D", "directions of the probe"],
  ["M", "measure"],
  ["Esc", "lets the pointer's step go, or closes this"],
];

const REMOVING_READING = [
  ["Charts", "On the left of both charts nothing is changed; to the right more is. Dashed: the unchanged model. Binding part below its controls: taking it away hurts more than moving as much energy elsewhere. A control below: the edit singles out nothing about binding."],
  ["Maps", "The chance that the probe, read at the last point, gives for each patch to be the same object as the one asked about; on one scale, with the difference (with the edit less unchanged) around 0. Ratio 0 and alpha 1 change no bit."],
  ["Pale maps", "Of the edit before, until the one that is chosen is computed."],
];

const REMOVING_WORDS = [
  ["Binding part", "What of a standardised patch x lies in the row space of the probe's matrix W1; the strongest directions where fewer are taken.", "Li et al. 2025, arXiv 2510.24709, h = f + b."],
  ["Shuffle", "A ratio of the patches is drawn, and their parts change places: no drawn patch keeps its own. The rest of each patch stays.", "Li et al. 2025; without fixed points: ours."],
  ["To object mean", "part ← alpha · part + (1 − alpha) · mean of the parts of its object.", "Li et al. 2025."],
  ["PCA part", "The principal directions of the patches, as many as the binding part has; the change is scaled to the same energy, picture by picture. Ours."],
  ["Random part", "As many directions drawn at random, scaled likewise. Ours."],
  ["Whole stream", "The same edit of all directions; it moves its own, larger energy and is no control."],
  ["Energy moved", "Sum of squares of the change over that of the patches around their mean: 1 is as much as all their variance."],
  ["Distance-matched AUC", "Chance that a pair of one object is scored above a pair of two objects as far apart; 0.5 is guessing."],
  ["k-NN mIoU", "Segmentation by votes of the nearest final patch tokens: for the object within a picture, or for the class by the unchanged patches of other pictures, a read-out without training."],
  ["Interval", "95 %, by drawing pictures anew."],
];

export function createRemovingHelp(box, close) {
  return createDialog(box, [[["Keys", REMOVING_KEYS], ["How to read", REMOVING_READING]], [["Measures", REMOVING_WORDS]]], close);
}
