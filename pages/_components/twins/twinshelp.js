/** The dialog behind `?` of the view of copies: keys, how to read, every definition. */
import { createDialog } from "../lens/dialog.js";

const TWINS_KEYS = [
  ["click a patch", "asks about it; a click on a copy selects the copy too"],
  ["drag a copy", "moves it; red and dashed: no room there, it stays where it last fitted"],
  ["hover", "reads a patch against the one asked about"],
  ["click the curves", "chooses that point"],
  ["Tab, Shift + Tab", "next and previous copy, behind the last one on through the page"],
  ["arrow keys", "move the selected copy by a patch; with none selected, step the point"],
  ["Shift + arrow keys", "move it by one pixel, off the grid"],
  ["N", "adds a copy"],
  ["Delete", "removes the selected copy, or the last one"],
  ["G", "copies on the patch grid, or free"],
  ["R", "other colours, shapes and grounds: the next seed"],
  ["V", "map with or without position embedding"],
  ["M", "distance or cosine"],
  ["O", "map or bare picture"],
  ["[ ]", "point"],
  ["Enter", "opens the picture in the lens"],
  ["Esc", "lets the copy go, or closes this"],
];

const TWINS_READING = [
  ["Identical copies", "One object several times. On the grid each copy lies alike on the patches, so that its patches repeat bit for bit; free copies are cut otherwise by the patches."],
  ["No overlap", "Copies never cover one another, and on the grid no patch shows two of them: a covered patch would differ in its pixels, and nothing would be exact any more. At most 16 copies."],
  ["Without position embedding", "The same model with zeros for the embedding that is added to its tokens. It then treats equal patches alike wherever they lie: aligned copies have equal tokens, exactly at the embedding, and but for rounding after every layer. Relative and rotary positions inside the attention stay."],
  ["Grounds", "Of one colour and of dots every patch shows the same, so that patches at the rim of copies are equal too, and a patch counts where a copy fills 60 % of it. On the other grounds only patches that a copy fills are compared."],
];

const TWINS_WORDS = [
  ["Distance", "Mean over pairs of copies and patches at the same place in them of ‖a − b‖ / ((‖a‖ + ‖b‖) / 2); 0 for equal tokens. Ours."],
  ["Cosine", "Mean over the same pairs of 1 − a·b / (‖a‖ ‖b‖); 0 for one direction."],
  ["P(same object)", "What the probe makes of two patches of the residual stream; it is fitted with positions and reads the stream without them all the same.", "Li et al. 2025, arXiv 2510.24709."],
  ["same place in two copies", "Mean P over patches at the same place of two copies. What tells copies apart must lower it."],
  ["two copies", "Mean P over all pairs of patches of two copies."],
  ["one copy", "Mean P over pairs of different patches of one copy. Above “two copies”: the probe reads which patches hang together. Without positions it can do so by what patches look like alone."],
  ["Known answer", "Without positions, aligned copies: “two copies” is the mean of “one copy” and “same place” weighted by their pairs."],
];

export function createTwinsHelp(box, close) {
  return createDialog(box, [[["Keys", TWINS_KEYS]], [["How to read", TWINS_READING], ["Measures", TWINS_WORDS]]], close);
}
