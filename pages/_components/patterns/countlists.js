/** Tables below the plane: clusters, what was drawn around, and which clusters models differ in. */
import { headsByCluster } from "./cloud.js";
import { tally } from "./lasso.js";
import { paintMap } from "./mappair.js";

export const COUNT_TABS = ["clusters", "selection", "models"];
const LISTED = 12;

function cellOf(tag, content, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (content instanceof Node) element.append(content);
  else element.textContent = content;
  return element;
}

function tableOf(heads, rows) {
  const table = document.createElement("table");
  table.className = "counts";
  const line = (tag, cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((one) => (one instanceof Node ? one : cellOf(tag, one))));
    return row;
  };
  if (heads.length) table.append(line("th", heads));
  table.append(...rows.map((cells) => line("td", cells)));
  return table;
}

function shareBar(share) {
  const bar = document.createElement("i");
  bar.style.width = `${100 * share}%`;
  return cellOf("td", bar, "share");
}

function percentOf(share) {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** Mean map, name, points and heads of each cluster. */
function clusterTable(cloud, palette) {
  const heads = headsByCluster(cloud);
  const { side } = cloud.grid;
  const rows = cloud.clusters.map(({ name, size }, cluster) => {
    const map = document.createElement("canvas");
    paintMap(map, cloud.patterns.means.subarray(cluster * side * side, (cluster + 1) * side * side), side, palette);
    const title = document.createElement("span");
    title.append(map, name);
    const share = size / cloud.count;
    const many = heads.reduce((sum, one) => sum + one[cluster].length, 0);
    return [cellOf("td", title), shareBar(share), percentOf(share), `${size.toLocaleString("en")}`, String(many)];
  });
  return tableOf(["cluster", "", "share", "points", "heads"], rows);
}

function countColumn(title, entries, total) {
  const rows = entries.slice(0, LISTED).map(([name, count]) => [name, shareBar(count / entries[0][1]), String(count)]);
  const more = entries.length - LISTED;
  if (more > 0) rows.push([`${more} more`, "", ""]);
  const box = document.createElement("div");
  box.append(tableOf([title, "", `of ${total}`], rows));
  return box;
}

function sentence(text) {
  return cellOf("p", text, "small");
}

/** Counts by cluster, layer and head of the points inside the line. */
function selectionTable(cloud, rows) {
  if (!rows.length) return sentence("Shift + drag draws a line around points. What lies inside is counted here by cluster, layer and head, and can be saved as CSV.");
  const named = (entries, nameOf) => entries.map(([value, count]) => [nameOf(value), count]);
  const layers = tally(rows, (row) => cloud.layer[row]).sort((a, b) => a[0] - b[0]);
  const most = Math.max(...layers.map(([, count]) => count));
  const box = document.createElement("div");
  box.className = "countColumns";
  const total = rows.length.toLocaleString("en");
  const layerRows = layers.map(([layer, count]) => [`L${layer}`, shareBar(count / most), String(count)]);
  const layerBox = document.createElement("div");
  layerBox.append(tableOf(["layer", "", `of ${total}`], layerRows));
  box.append(
    countColumn("cluster", named(tally(rows, (row) => cloud.cluster[row]), (k) => cloud.clusters[k]?.name ?? "none"), total),
    layerBox,
    countColumn("head", named(tally(rows, (row) => cloud.headOf[row]), cloud.labelOf), total),
  );
  return box;
}

/** Heads of each model by cluster: what the second has more or fewer of. */
function modelTable(cloud) {
  if (cloud.models.length < 2) return sentence("Place another model's heads into this atlas (left panel) to see which clusters gain and lose heads.");
  const [first, second] = headsByCluster(cloud);
  const total = [first, second].map((one) => one.reduce((sum, list) => sum + list.length, 0));
  const rows = cloud.clusters.map(({ name }, cluster) => {
    const counts = [first[cluster].length, second[cluster].length];
    const change = counts[1] / Math.max(1, total[1]) - counts[0] / Math.max(1, total[0]);
    const sign = change > 0.0005 ? "+" : change < -0.0005 ? "−" : "";
    return [name, String(counts[0]), String(counts[1]), `${sign}${percentOf(Math.abs(change))}`];
  });
  const short = cloud.models.map(({ label }, i) => `${i ? "◇" : "●"} ${label}`);
  const table = tableOf(["cluster", ...short, "± share"], rows);
  table.title = "Heads, each in the cluster of most of its points; shares are of the model's own heads";
  return table;
}

export function createCounts(part, cloud, palette) {
  let drawn = "";
  return {
    draw(state) {
      const key = `${state.tab} ${state.serial}`;
      if (key === drawn) return;
      drawn = key;
      const made = {
        clusters: () => clusterTable(cloud, palette),
        selection: () => selectionTable(cloud, state.inside),
        models: () => modelTable(cloud),
      }[state.tab]();
      part("counts").replaceChildren(made);
      const some = state.tab === "selection" && state.inside.length > 0;
      part("save").hidden = !some;
      part("clear").hidden = !some;
    },
  };
}
