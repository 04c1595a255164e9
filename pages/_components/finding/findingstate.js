/** What is chosen in the Discovery view. */

export const TRUTH_CARD = "truth";
export const COHERENCE_CARD = "coherence";

/** Names of the cards: what is there, what methods found, how alike neighbours are. */
export function cardNames(data) {
  return [...(data.objects ? [TRUTH_CARD] : []), ...data.methods.map(({ name }) => name), COHERENCE_CARD];
}

export function firstFinding(data, view) {
  const names = cardNames(data);
  return {
    found: names.includes(view.found) ? view.found : "lost",
    features: view.features,
    at: view.at,
    groups: view.groups,
    score: view.score,
    family: "all",
    number: -1, // of the mask shown alone; -1 for the method's own way
    pointed: -1,
    pointedRow: -1,
    pointedFamily: -1,
    truth: true,
    help: false,
  };
}

/** Goes on with what was chosen before on other masks. */
export function carryFinding(data, before) {
  const found = cardNames(data).includes(before.found) ? before.found : "lost";
  return { ...before, found, number: -1, pointed: -1, pointedRow: -1, pointedFamily: -1 };
}

/** Masks that are shown of a method: one alone, or all of them; overlapping ones by the best. */
export function shownMasks(method, number) {
  if (number >= 0 && number < method.count) return [number];
  if (!method.apart) return method.best >= 0 ? [method.best] : [];
  return [...method.masks.keys()];
}

/** What Python keeps: texts. */
export function findingView({ found, features, at, groups, score }) {
  return { found, features, at, groups, score };
}
