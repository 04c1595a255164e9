/** The overlay behind `?`: keys, and how the atlas is made and read. */
import { createDialog } from "../lens/dialog.js";

const PLANE_KEYS = [
  ["pointer", "reads a point: its map, the reconstruction and the error"],
  ["click", "selects the head: its points on all images light up"],
  ["double click, Enter", "opens the head in the lens on the selected image"],
  ["wheel, + −", "zooms at the cursor"],
  ["drag", "moves the plane; 0 shows everything"],
  ["Shift + drag", "draws a line around points and counts what is inside"],
  ["↑ ↓ ← →", "layer and head"],
  ["A D", "the image before and after"],
  ["M", "the other model, where two are shown"],
  ["L, K", "layout of the plane, colour of the points"],
  ["O C P N", "points, contours, patterns, names"],
  ["T", "clusters, selection, models"],
  ["Esc", "close this, drop the selection"],
];

const MADE = [
  ["Map", "One head's attention on one image, laid on 8 × 8 parts of the image: query part from top to bottom, key part from left to right, row by row, in times uniform on a log scale. A diagonal is attention to the part itself, stripes beside it attention to neighbours, a column to one place. Mass on prefix tokens is missing, so rows that look at cls are dark. Beside it, what cls gives each of 16 × 16 parts."],
  ["Plane", "Autoencoder: a small convolutional network that has to say each map in two values; these are its axes, which have no unit. UMAP lays out a wider latent instead: neighbours stay neighbours, distances and axes mean nothing.", "Architecture: ours. UMAP: McInnes et al. 2018 (1802.03426)"],
  ["R²", "Share of the variance of maps explained on images held out of the fit. PCA of the same size stands beside it; the better one is used, and named."],
  ["Error", "Mean squared error of one reconstruction on the log scale, over the spread of all maps: 0 is perfect, 1 no better than the mean map."],
  ["Clusters", "Groups of the latent (k-means), named by the templates that hold most of their maps' mass: self, a neighbour, row, column, cls; without one, everywhere or chosen places.", "ours"],
  ["Lines", "Enclose 20, 40, 60, 80 and 95 % of all points in the smallest area."],
  ["Patterns", "What the coder makes of places on a grid; nearly left out where no points lie near, as the pattern is a guess there."],
];

/** Fills the dialog of the page of patterns. */
export function createPlaneHelp(box, close) {
  return createDialog(box, [[["Keys", PLANE_KEYS]], [["How it is made and read", MADE]]], close);
}
