/** The dialog behind `?` of the Subspace view: keys and every definition with its source. */
import { createDialog } from "../lens/dialog.js";
import { spectrumWords } from "./subspacefacts.js";

const SUBSPACE_KEYS = [
  ["hover", "shows a patch in cloud and picture alike"],
  ["click", "pins a patch; again, or Esc, lets it go"],
  ["double click, Enter", "opens the patch in the lens"],
  ["drag", "turns the cloud; moves it where it is flat"],
  ["wheel, + −", "zoom"],
  ["← →", "point"],
  ["Shift + arrows", "turn"],
  ["2, 3", "two or three components"],
  ["P", "next part of the stream"],
  ["C", "next colouring"],
  ["O", "colours on the picture"],
  ["T", "outlines of objects"],
  ["0", "first view"],
  ["Esc", "unpin, or close this"],
];

const SUBSPACE_READING = [
  ["Principal components", "Directions in which the picture's own patches vary most; the share of the part's variance stands at each axis. Scales differ from point to point: each layout is drawn as large as almost all of its points need (ours)."],
  ["Stepping", "The sign of a component means nothing, and like ones change places: each layout is turned onto the one before (orthogonal Procrustes), and its axes turn with it. Flat layouts follow by sign alone.", "Schonemann 1966."],
  ["Dimensions that hold 90 %", "The fewest eigenvalues whose squares make 90 % of the sum of all squares: the variance of the score of two independent patches (ours)."],
  ["Random matrix", "Dashed: mean size by rank of 20 random matrices of the same size, rank, signs and energy; shaded: 90 % of them (ours). What lies above is not chance of the size.", "Marchenko & Pastur 1967; Wigner 1958."],
  ["Share between objects", "Variance of the objects' means over that of all patches in objects, summed over directions; random places give (objects − 1) / (patches − 1), dashed (ours)."],
  ["AUC of nearness", "Chance that two patches of one object lie nearer than two of different ones; .5 is chance. Near patches often are of one object: distance-matched, pairs weigh the same at every distance on the picture (ours)."],
  ["One picture", "These figures are of the picture on screen and have no interval; curves over held-out scenes stand in the view Map."],
];

export function createSubspaceHelp(box, layout, close) {
  const parts = layout.parts.map((one) => [one.title, one.definition, one.name === "binding" ? "Li et al. 2025, arXiv 2510.24709." : ""]);
  return createDialog(box, [[["Keys", SUBSPACE_KEYS], ["Parts", parts]], [["How to read", [["Spectrum", spectrumWords(layout)], ...SUBSPACE_READING]]]], close);
}
