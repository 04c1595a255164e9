/** The right column: the point under the cursor with its map, and the selected head. */
import { cssColour, number } from "../lens/scale.js";
import { factTable } from "../heads/facts.js";
import { createMaps, mapParts, paintMap } from "./mappair.js";
import { tally } from "./lasso.js";

const ATLAS_EXPORTS = ["svg", "pdf", "png", "csv", "parquet", "npz", "safetensors"];

function exportLinks(part, cloud, base) {
  part("exports").replaceChildren(...ATLAS_EXPORTS.filter((kind) => cloud.exports.includes(kind)).map((kind) => {
    const link = document.createElement("a");
    link.textContent = { parquet: "Parquet", safetensors: "safetensors" }[kind] ?? kind.toUpperCase();
    link.dataset.kind = kind;
    link.className = "button";
    link.setAttribute("download", "");
    link.href = `${base}${cloud.urls.export}/${kind}`;
    return link;
  }));
}

/**
 * @param {Map} cache maps by study and row, kept when the study grows
 * @param {Uint32Array} palette 256 packed pixels  @param {{gone: () => void, say: (text) => void}} out
 */
export function createPointed(part, cloud, base, cache, palette, schedule, out) {
  const fact = factTable(part("facts"));
  const chosenFact = factTable(part("chosenFacts"));
  let painted = -1;
  const maps = createMaps(`${base}${cloud.urls.map}`, cloud.id, cache, schedule, (error) => {
    if (error.status === 410) out.gone();
    else out.say(`The map did not arrive: ${error.message}`);
  });
  exportLinks(part, cloud, base);
  const lines = [cloud.caution, ...cloud.notes].filter(Boolean);
  part("noteBlock").hidden = !lines.length;
  part("notes").textContent = lines.join(" ");
  part("rebuiltName").textContent = cloud.fit.better === "pca" ? "by PCA" : "reconstruction";
  const bar = part("bar").getContext("2d");
  for (let i = 0; i < 256; i += 1) {
    bar.fillStyle = cssColour(palette[i]);
    bar.fillRect(i, 0, 1, 1);
  }
  ["0", `${cloud.grid.side} × uniform, log scale`].forEach((text, i) => { part("ticks").children[i].textContent = text; });

  function paintMaps(row) {
    const bytes = row < 0 ? null : maps.want(row);
    part("pairMaps").classList.toggle("waiting", row >= 0 && !bytes);
    if (row < 0 && painted >= 0) {
      painted = -1;
      // Cleared, the hatching behind them shows: there is no map.
      for (const name of ["real", "rebuilt", "realCls", "rebuiltCls"]) part(name).width = part(name).height = 1;
    }
    if (!bytes || painted === row) return;
    painted = row;
    const { side, cls_side: clsSide } = cloud.grid;
    const [real, realCls, rebuilt, rebuiltCls] = mapParts(bytes, cloud.grid);
    paintMap(part("real"), real, side, palette);
    paintMap(part("rebuilt"), rebuilt, side, palette);
    paintMap(part("realCls"), realCls, clsSide, palette);
    paintMap(part("rebuiltCls"), rebuiltCls, clsSide, palette);
  }

  function chosenWords(head) {
    part("chosenHead").textContent = head < 0 ? "Selected head" : `Selected head ${cloud.labelOf(head)}`;
    if (head < 0) return;
    const rows = Array.from(cloud.byHead.of(head));
    const clusters = tally(rows, (row) => cloud.cluster[row]);
    const [cluster, count] = clusters[0] ?? [-1, 0];
    chosenFact("Mostly", "Mostly", rows.length ? `${cloud.clusters[cluster]?.name ?? "none"}, ${count} of ${rows.length}` : "none",
      "Cluster of most of its points");
    const errors = rows.map((row) => cloud.error[row]).filter((one) => !Number.isNaN(one));
    const mean = errors.reduce((sum, one) => sum + one, 0) / Math.max(1, errors.length);
    chosenFact("Mean error", "Mean error", errors.length ? number(mean) : "none", "Over all images; 0 is perfect, 1 no better than the mean map");
  }

  return {
    /** @returns {number} the row that the panel shows */
    update(state, chosen) {
      const dotRow = state.pointedHead >= 0 ? cloud.rowOf(state.pointedHead, state.image) : -1;
      const row = [state.pointed, dotRow, cloud.rowOf(chosen, state.image)].find((one) => one >= 0) ?? -1;
      paintMaps(row);
      chosenWords(chosen);
      const none = row < 0;
      fact("Head", "Head", none ? "none" : cloud.labelOf(cloud.headOf[row]) + (cloud.headOf[row] === chosen ? ", selected" : ""));
      fact("Image", "Image", none ? "none" : cloud.images[cloud.image[row]].name + (cloud.heldOut[row] ? ", held out" : ""));
      fact("Cluster", "Cluster", none ? "none" : cloud.clusters[cloud.cluster[row]]?.name ?? "none", "Named after the template that its mean map is nearest to");
      fact("Error", "Error", none ? "none" : number(cloud.error[row]), "Mean squared error on the log scale over the spread of all maps: 0 is perfect, 1 no better than the mean map");
      if (cloud.models.length > 1) fact("Model", "Model", none ? "none" : cloud.models[cloud.model[row]].label);
      return row;
    },
    close: () => maps.close(),
  };
}

/** One sentence for a screen reader about the point in focus. */
export function spokenRow(cloud, row) {
  if (row < 0) return "";
  const [, layer, head] = cloud.heads[cloud.headOf[row]];
  return `layer ${layer} head ${head} on ${cloud.images[cloud.image[row]].name}: `
    + `${cloud.clusters[cloud.cluster[row]]?.name ?? "no cluster"}, error ${number(cloud.error[row])}`;
}
