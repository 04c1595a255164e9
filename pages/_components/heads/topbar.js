/** The bar above the charts and the colour bar under the matrix. */
import { imagesText } from "./atlas.js";
import { cssColour, number } from "../lens/scale.js";

function metricButton(metric) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.metric = metric.name;
  button.textContent = metric.title;
  button.title = `${metric.definition} (m: next)`;
  return button;
}

export function createTop(root, part, atlas, tables) {
  const bar = part("bar").getContext("2d");
  const ticks = [...part("ticks").children];
  let drawn = "";

  const names = atlas.metrics.map((one) => one.name).join();
  // The same metrics keep their elements: a menu that is open stays so.
  if (part("metrics").dataset.names !== names) {
    part("metrics").dataset.names = names;
    part("metrics").replaceChildren(...atlas.metrics.map(metricButton));
    part("metricMenu").replaceChildren(...atlas.metrics.map((one) => new Option(one.title, one.name)));
  }
  const how = atlas.preview ? "preview, no head taken out yet" : `${atlas.ablation} ablation`;
  part("kind").textContent = how;
  part("count").textContent = imagesText(atlas);
  part("count").title = atlas.complete ? "Images in the mean" : "Partial: numbers change until every image is in";
  part("count").classList.toggle("partial", !atlas.complete);
  part("count").style.setProperty("--done", `${(100 * atlas.images_done) / Math.max(1, atlas.images_wanted)}%`);

  function paintBar(signed) {
    if (drawn === String(signed)) return;
    drawn = String(signed);
    for (let i = 0; i < 256; i += 1) {
      bar.fillStyle = cssColour((signed ? tables.signed : tables.plain)[i]);
      bar.fillRect(i, 0, 1, 1);
    }
  }

  return {
    update(state) {
      const index = atlas.metricIndex(state.metric);
      const metric = atlas.metrics[index];
      const { bottom, top, order } = atlas.summaries[index];
      part("bar").parentElement.classList.toggle("empty", !order.length);
      for (const button of root.querySelectorAll("[data-metric], [data-tab]")) {
        const own = button.dataset.metric ?? button.dataset.tab;
        const on = String(own === (button.dataset.metric ? state.metric : state.tab));
        if (button.getAttribute("aria-pressed") !== on) button.setAttribute("aria-pressed", on);
      }
      part("metricMenu").value = state.metric;
      paintBar(metric.signed);
      [bottom, (bottom + top) / 2, top].forEach((value, i) => {
        const text = number(value);
        if (ticks[i].textContent !== text) ticks[i].textContent = text.replace("-", "−");
      });
      const each = atlas.images_done === 1 ? "" : "Mean ";
      const words = `${each}${metric.title} (${metric.axis}), ${imagesText(atlas)}, ${how}. Numbers: ranks${state.found.words ? `; corners: ${state.found.words}` : ""}`;
      if (part("caption").textContent !== words) part("caption").textContent = words;
    },

    /** Segments where all metrics fit into one line, else a menu. */
    fit() {
      const line = part("metrics");
      line.hidden = false;
      part("metricMenu").hidden = true;
      const room = part("topBar").clientWidth - part("aboutStudy").offsetWidth - part("metricName").offsetWidth - 40;
      line.hidden = line.scrollWidth > room;
      part("metricMenu").hidden = !line.hidden;
    },

    recolour: () => { drawn = ""; },
  };
}
