/** The dialog behind `?` of the Attention view: keys, how to read, every definition with its source. */
import { createDialog } from "../lens/dialog.js";

const ATTENDING_KEYS = [
  ["hover a head", "its values in words, and its attention on the picture"],
  ["click a head", "chooses it; a click on the chosen one opens it in the lens"],
  ["click a curve", "chooses the largest head of that layer"],
  ["hover a map", "asks about the patch under the pointer; a click pins it"],
  ["← → ↑ ↓", "head and layer"],
  ["M", "next measure"],
  ["S", "made scenes, or this picture"],
  ["T", "outlines of the objects"],
  ["Enter", "opens the chosen head in the lens, with the patch as query"],
  ["Esc", "unpin, or close this"],
];

const ATTENDING_READING = [
  ["Pairs", "Patches that lie in objects, two by two, of one picture each; a pair's attention is the mean of both directions. The pairs of all scenes are taken together."],
  ["The probe's score", "The log odds that a probe gives the pair on the input of the layer: what could be read there before the layer attends.", "Li et al. 2025, arXiv 2510.24709."],
  ["Distance", "Near patches belong together and attract attention. What is matched for distance, or taken at equal distance, has this shortcut removed; the rest has not."],
  ["Intervals", "95 %, over scenes drawn with replacement (200 times). One picture has none. The best of many heads looks better than it is: read its interval.", "Efron & Tibshirani 1993, chapter 13."],
  ["Matrix", "Layer 0 on top. Numbers in cells: the ten strongest. Hatched: no such number. Blue to red around 0 for correlations only; the mark on the colour bar is chance."],
  ["What it does not say", "Correlation is not use. A head that attends within objects may serve something else, and objects may be read by heads that do not show here."],
];

export function createAttendingHelp(box, table, close) {
  const measures = (table?.measures ?? []).map((one) => [one.title, one.definition, one.source]);
  return createDialog(box, [[["Keys", ATTENDING_KEYS], ["How to read", ATTENDING_READING]], [["Measures", measures]]], close);
}
