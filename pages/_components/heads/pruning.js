/** The pruning set: chips of heads, and a field that fills it with the least important ones. */
import { leastImportant } from "./atlas.js";

/** @param {(heads: string[]) => void} change  @param {(heads: number[][]) => void} prune */
export function createPruning(part, atlas, state, change, prune, signal) {
  const field = part("least");
  let drawn = null;

  field.max = String(atlas.count - 1);

  function chip(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.dataset.out = name;
    const label = atlas.labelOf(atlas.index.get(name));
    button.textContent = `${label} ×`;
    button.setAttribute("aria-label", `take ${label} out of the pruning set`);
    return button;
  }

  function fillLeast() {
    const count = Math.floor(Number(field.value));
    if (!field.value || !(count >= 0)) return;
    const metric = atlas.metricIndex(state().metric);
    change(leastImportant(atlas, metric, Math.min(count, atlas.count - 1)));
  }

  field.addEventListener("change", fillLeast, { signal });
  part("chips").addEventListener("click", (event) => {
    const name = event.target.closest("[data-out]")?.dataset.out;
    if (name) change(state().set.filter((one) => one !== name));
  }, { signal });
  part("prune").addEventListener("click", () => {
    prune(state().set.map((name) => name.split(":").map(Number)));
  }, { signal });
  part("clear").addEventListener("click", () => {
    field.value = "";
    change([]);
  }, { signal });

  return {
    update({ set, layer, head }) {
      const key = set.join(",");
      const inside = set.includes(`${layer}:${head}`);
      part("member").textContent = inside ? "take out of pruning set" : "add to pruning set";
      if (key === drawn) return;
      drawn = key;
      part("chips").replaceChildren(...set.map(chip));
      part("setCount").textContent = set.length ? `${set.length} of ${atlas.count} heads` : "";
      part("setHint").hidden = set.length > 0;
      part("clear").hidden = !set.length;
      part("prune").disabled = !set.length;
    },
  };
}
