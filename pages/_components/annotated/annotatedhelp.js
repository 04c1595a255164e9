/** The dialog behind `?` of the Data view. */
import { createDialog } from "../lens/dialog.js";

const GALLERY_KEYS = [
  ["hover", "shows instance and patch under the cursor"],
  ["click, Enter", "looks at this picture, in every view of the page"],
  ["← → ↑ ↓", "another picture"],
  ["Page up, Page down", "other pictures"],
  ["O", "patches, objects, or the bare picture"],
  ["− +", "purity"],
  ["B", "unlabelled patches count as an object, or not"],
  ["Esc", "close this"],
];

const GALLERY_WORDS = [
  ["Instance", "One object of a mask: a number above 0. 0 is background, or what nobody has labelled."],
  ["Object of a patch", "The most frequent instance among the patch's pixels, 0 taking part in the count; of equal ones the smaller number.", "Li et al. 2025, arXiv 2510.24709."],
  ["Purity", "Least share that this instance must have: n / N ≥ purity, n its pixels of the patch's N. Patches below are mixed and left out. The threshold is ours; probes are fitted at 0.60 unless you choose another."],
  ["Unlabelled (id 0)", "Left out. The authors' code counts id 0 as an object, and so takes all background as one; the button does the same."],
  ["Centre crop", "Pictures and masks are shown as the model's input takes them when probes are fitted; instances outside the crop are lost."],
  ["Made scenes", "Number n of a family is one scene, the same on every run. Probes are fitted on scenes of other numbers."],
  ["Crowd regions, void", "COCO's crowd regions and VOC's 255 are read as unlabelled."],
  ["Pictures with 2 objects", "Pairs of patches of different objects lie within one picture: those with one object have none. Fitting splits pictures 60 : 15 : 25 and needs three or more."],
];

export function createGalleryHelp(box, close) {
  return createDialog(box, [[["Keys", GALLERY_KEYS]], [["How to read", GALLERY_WORDS]]], close);
}
