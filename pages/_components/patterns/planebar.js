/** The bar above the plane and the line of words below it. */
import { TINTS, cssTint, tintOf } from "./tints.js";

const LAYOUT_TITLES = { autoencoder: "autoencoder", umap: "UMAP", pca: "PCA" };

function segButtons(names, titles, field, hint) {
  return names.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset[field] = name;
    button.textContent = titles[name] ?? name;
    button.title = hint;
    return button;
  });
}

export function createPlaneBar(root, part, cloud) {
  // A plane of two latent values is that of the coder in use; UMAP is the alternative.
  const flat = cloud.layout === "umap" ? cloud.fit.better : cloud.layout;
  const several = cloud.models.length > 1;
  part("layouts").replaceChildren(...segButtons([flat, "umap"], LAYOUT_TITLES, "layout", "Layout of the plane (l)"));
  part("tints").replaceChildren(...segButtons(TINTS.filter((one) => several || one !== "model"), {}, "tint", "Colour of points (k)"));
  for (const tab of part("tabs").children) tab.title = "Next tab (t)";
  const { done, wanted } = cloud.progress;
  const shown = cloud.complete ? `${cloud.images.length} images` : `${done} of ${wanted} ${cloud.progress.unit}`;
  part("count").textContent = cloud.complete && cloud.images.length === 1 ? "1 image" : shown;
  part("count").classList.toggle("partial", !cloud.complete);
  part("count").style.setProperty("--done", `${(100 * done) / Math.max(1, wanted)}%`);

  function press(button, on) {
    if (button.getAttribute("aria-pressed") !== String(on)) button.setAttribute("aria-pressed", on);
  }

  function caption() {
    const images = cloud.images.length;
    const dots = `dot: median of a head over ${images === 1 ? "one image" : `${images} images`}`;
    const marks = several ? ` · ● ${cloud.models[0].label} ◇ ${cloud.models[1].label}` : "";
    return `${cloud.count.toLocaleString("en")} points, one for each head on each image · ${dots}${marks}`;
  }

  return {
    update(state) {
      for (const button of root.querySelectorAll("[data-layout], [data-tint], [data-tab], [data-show]")) {
        const { layout, tint, tab, show } = button.dataset;
        press(button, layout ? layout === cloud.layout : tint ? tint === state.tint : tab ? tab === state.tab : state[show]);
      }
      part("caption").textContent = caption();
    },
    /** The ramp from the first to the last layer. */
    ramp(tints, kind) {
      part("ramp").hidden = kind !== "layer";
      const [first, canvas, last] = part("ramp").children;
      first.textContent = "L0";
      last.textContent = `L${cloud.layers - 1}`;
      const context = canvas.getContext("2d");
      for (let i = 0; i < 64; i += 1) {
        context.fillStyle = cssTint(tintOf(tints, cloud, "layer", (i / 63) * (cloud.layers - 1)));
        context.fillRect(i, 0, 1, 1);
      }
    },
    layouts: [flat, "umap"],
  };
}
