/** The bar above the charts, the line of the legend, and the bar of the offset map. */
import { imagesText } from "../heads/atlas.js";
import { cssColour, number } from "../lens/scale.js";
import { sightOf, uniformIn } from "./profile.js";
import { RULE_WORDS, shownBy } from "./sight.js";

export function createStrengthBar(root, part, profile, table) {
  const menu = part("metricMenu");
  // The same metrics keep their elements: a menu that is open stays so.
  if (!menu.options.length) menu.replaceChildren(...profile.metrics.map((one) => new Option(one.title, one.name)));
  part("count").textContent = profile.complete ? imagesText(profile) : `partial: ${profile.images_done} of ${profile.images_wanted}`;
  part("count").title = profile.complete ? "Images in the mean" : "Numbers change until every image is in";
  part("count").classList.toggle("partial", !profile.complete);
  part("count").style.setProperty("--done", `${(100 * profile.images_done) / Math.max(1, profile.images_wanted)}%`);
  const bar = part("bar").getContext("2d");
  for (let i = 0; i < 256; i += 1) {
    bar.fillStyle = cssColour(table[i]);
    bar.fillRect(i, 0, 1, 1);
  }
  for (const button of part("rules").children) button.title = `${RULE_WORDS[button.dataset.rule]} (r)`;

  function press(name, chosen) {
    for (const button of root.querySelectorAll(`[data-${name}]`)) {
      const on = String(button.dataset[name] === chosen);
      if (button.getAttribute("aria-pressed") !== on) button.setAttribute("aria-pressed", on);
    }
  }

  function put(name, text) {
    if (part(name).textContent !== text) part(name).textContent = text;
  }

  function legend(state, metric) {
    const kinds = { local: 0, global: 0 };
    for (let head = 0; head < profile.count; head += 1) {
      const kind = sightOf(profile, head, state.rule);
      if (kind) kinds[kind] += 1;
    }
    const distance = metric.name === "mean_distance";
    part("localKey").hidden = !distance;
    part("globalKey").hidden = !distance;
    part("halfKey").hidden = !distance;
    put("localCount", String(kinds.local));
    put("globalCount", String(kinds.global));
    part("uniformKey").hidden = !profile.layers.some((layer) => uniformIn(layer, metric, state.rule) > 0);
    part("controlKey").hidden = !profile.control;
    if (!profile.control) return;
    const { images_done: done } = profile.control;
    part("controlKey").title = `Smallest to largest head of each layer, mean over ${done} ${done === 1 ? "image" : "images"}`;
  }

  return {
    update(state, high) {
      const { metric, unit, axis } = shownBy(profile, state);
      menu.value = state.metric;
      press("rule", metric.ruled ? state.rule : "");
      press("unit", unit);
      press("hops", state.hops);
      for (const button of part("rules").children) button.disabled = !metric.ruled;
      for (const button of part("units").children) button.disabled = !metric.units.includes(button.dataset.unit);
      const sizes = new Set(profile.layers.filter((layer) => layer.rows).map((layer) => layer.patch_px.join()));
      const words = unit === "patches" && sizes.size > 1 ? "patches of each layer" : axis;
      const title = metric.title.charAt(0).toUpperCase() + metric.title.slice(1);
      put("mainTitle", `${title} by layer (${words}${metric.ruled ? `, ${state.rule}` : ""})`);
      legend(state, metric);
      part("offsetUnder").style.visibility = high === null ? "hidden" : "";
      if (high !== null) put("high", number(high));
    },
  };
}
