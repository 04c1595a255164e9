/** The what-if of sinks: controls, and what it did to the output. */
import { number } from "../lens/scale.js";
import { sinksOf } from "./evidence.js";
import { classWords } from "./flowfacts.js";

/** Share of the squared difference that changed: 1 − cosine of a map before and after. */
function cosineOf(first, second) {
  let product = 0;
  let one = 0;
  let two = 0;
  for (let i = 0; i < first.length; i += 1) {
    product += first[i] * second[i];
    one += first[i] ** 2;
    two += second[i] ** 2;
  }
  return one && two ? product / Math.sqrt(one * two) : NaN;
}

/** What the model said with its sinks redistributed, as [name, value, hint]. */
export function changeRows(evidence, changed) {
  const { what_if: found } = changed;
  const rows = [["Embedding cosine", number(found.cosine), "Of the embedding to that of the model as it is"]];
  const rollout = changed.changedOf("rollout", evidence.raw_layer);
  const raw = changed.changedOf("raw", evidence.raw_layer);
  for (const [title, name, after] of [["Rollout cosine", "rollout", rollout], ["Raw map cosine", "raw", raw]]) {
    const before = evidence.valuesOf(name, evidence.raw_layer);
    if (before && after) rows.push([title, number(cosineOf(before, after)), "Of the map to that before"]);
  }
  if (found.before.length) {
    rows.push(["Probability", `${number(found.score_before)} → ${number(found.score_after)}`, evidence.score]);
    rows.push(["Classes before", classWords(found.before, 2), ""], ["Classes after", classWords(found.after, 2), ""]);
  }
  return rows;
}

/**
 * @param {(name: string) => HTMLElement} part
 * @param {() => object} state  @param {(changes: object) => void} set
 * @param {(wish: object) => void} ask tells Python which what-if is wanted
 */
export function createWhatIf(part, evidence, changed, asked, { state, set, ask }, signal) {
  const slider = part("share");
  const prefix = part("prefixToo");
  const rows = changed ? changeRows(evidence, changed) : [];
  part("whatRows").replaceChildren(...rows.flatMap(([name, value, hint]) => {
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value;
    term.title = hint;
    return [term, detail];
  }));
  part("whatRows").hidden = !rows.length;
  part("whatBack").hidden = !changed;
  part("prefixLine").hidden = !evidence.ahead;

  slider.addEventListener("input", () => set({ p: Number(slider.value) }), { signal });
  prefix.addEventListener("change", () => set({ prefix: prefix.checked }), { signal });
  part("whatRun").addEventListener("click", () => {
    part("whatRun").disabled = true;
    part("whatWord").hidden = false;
    const { threshold, p, prefix: too } = state();
    ask({ threshold, p, prefix: too });
  }, { signal });
  part("whatBack").addEventListener("click", () => ask({}), { signal });

  /** Whether what is on screen is what the controls say. */
  function isShown({ threshold, p, prefix: too }) {
    const found = changed?.what_if;
    return Boolean(found) && found.threshold === threshold && found.p === p && found.prefix === too;
  }

  return {
    update(now) {
      if (Number(slider.value) !== now.p) slider.value = String(now.p);
      prefix.checked = now.prefix;
      const text = now.p.toFixed(2);
      if (part("shareWord").textContent !== text) part("shareWord").textContent = text;
      const waits = asked && !changed;
      const none = !sinksOf(evidence, now.threshold).some(({ token }) => now.prefix || token >= evidence.ahead);
      part("whatRun").disabled = waits || none || isShown(now);
      part("whatRun").title = none ? "no token is a sink: lower the threshold" : "two forward passes";
      part("whatWord").hidden = !waits;
    },
  };
}
