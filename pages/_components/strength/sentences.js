/** The selected head in words; every threshold is ours. */
import { number } from "../lens/scale.js";
import { AGNOSTICISM, hopsOf, sightOf, whyMissing } from "./profile.js";

const NARROW = 0.35;
const WIDE = 0.75;
const ALIKE = 0.8;
const UNLIKE = 0.3;

function distanceWords(profile, state, head) {
  const { mean, std } = profile.summaryOf(`mean_distance:${state.rule}`);
  const kind = sightOf(profile, head, state.rule);
  if (!kind) return "";
  const share = Math.round((100 * mean[head]) / profile.layerOf(head).uniform);
  const spread = Number.isNaN(std[head]) ? "" : ` ± ${number(std[head])} over images`;
  const kindWords = kind === "local" ? "Local: it looks" : "Global: it looks";
  return `${kindWords} ${number(mean[head])} patches far${spread}, ${share} % of uniform attention (${state.rule}).`;
}

/** Hop entropy against its largest value. */
export function entropyWords(profile, state, head) {
  const entropy = profile.summaryOf(`hop_entropy:${state.rule}`).mean[head];
  const most = Math.log(hopsOf(profile.layerOf(head)));
  if (Number.isNaN(entropy) || !(most > 0)) return "";
  const share = entropy / most;
  const words = share < NARROW ? "few distances" : share > WIDE ? "nearly all distances" : "several distances";
  return `Entropy ${number(entropy)} of ${number(most)} nats: ${words}`;
}

function contentWords(profile, head) {
  const value = profile.summaryOf(AGNOSTICISM).mean[head];
  if (Number.isNaN(value)) return profile.images.length < 2 ? "Spread and content agnosticism need two images." : "";
  const words = value > ALIKE ? "it attends nearly alike whatever is shown"
    : value < UNLIKE ? "where it attends depends on the image" : "it follows the image in part";
  return `Content agnosticism ${number(value)}: ${words}.`;
}

/** Two or three sentences about the selected head. */
export function headSentences(profile, state) {
  const head = profile.headIndex(state.layer, state.head);
  const first = distanceWords(profile, state, head);
  if (!first) return `No distance: ${whyMissing(profile, profile.metricOf("mean_distance"), head)}.`;
  return [first, contentWords(profile, head)].filter(Boolean).join(" ");
}
