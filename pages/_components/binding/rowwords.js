/** Names of probes, controls, baselines and points as a reader gets them. */

const PROBE_TITLES = {
  plda: "PLDA", quadratic: "quadratic", linear: "linear", diagonal: "diagonal", full: "full quadratic",
  pointwise: "class of each patch", cosine: "cosine", dot: "dot product", next_qk: "next layer's q·k",
};
const PROBE_HINTS = {
  plda: "Closed form from the scatter within and between objects; no training",
  quadratic: "sigma((W x)ᵀ S (W y) + b), rank 64: what the paper calls the quadratic probe",
  linear: "sigma(w·x + w·y + b): it cannot compare two patches",
  diagonal: "sigma(xᵀ diag(w) y + b)",
  full: "A symmetric quadratic probe of full rank",
  pointwise: "Whether both patches get the same of some classes that the probe makes up",
  cosine: "Cosine of the standardised patches, scaled",
  dot: "Dot product of the standardised patches, scaled",
  next_qk: "Mean over heads of the next layer's attention logits, both ways, scaled; nothing is learned but the scale",
};
const BASELINE_TITLES = {
  majority: "majority: always different", position: "position alone", pixel: "colour alone", both: "position and colour",
};
const BASELINE_HINTS = {
  majority: "Calls every pair different",
  position: "A probe of the offset between two patches: it sees no picture",
  pixel: "A probe of the mean colours and spreads of both patches: it sees no model",
  both: "Offset and colours together",
};

export function titleOfRow(name, kind) {
  if (kind === "baseline") return BASELINE_TITLES[name] ?? name;
  const [probe, control] = name.split(", ");
  const title = PROBE_TITLES[probe] ?? probe;
  return control ? `${title}, ${control}` : title;
}

export function hintOfRow(name, kind) {
  if (kind === "baseline") return BASELINE_HINTS[name] ?? "";
  if (kind === "control") return "A control: the same probe on the same architecture, drawn anew";
  return PROBE_HINTS[name] ?? "";
}

/** "the embedding", "after layer L8": layers count from 0, points from the embedding. */
export function wordsOfPoint(point) {
  return point === 0 ? "the embedding" : `after layer L${point - 1}`;
}

/** "patch 7,9": row, column. */
export function nameOfPatch(patch, columns) {
  return `${Math.floor(patch / columns)},${patch % columns}`;
}
