/** What is drawn with words over the points: one dot per head, names of heads and of clusters. */
import { cssTint, tintOf } from "./tints.js";

const DOT = 4.5;

/** Boxes that are taken; a new one is refused where it would cover another. */
export function freeSpace() {
  const taken = [];
  return (left, top, width, height) => {
    const meets = taken.some(([l, t, w, h]) => left < l + w && l < left + width && top < t + h && t < top + height);
    if (!meets) taken.push([left, top, width, height]);
    return !meets;
  };
}

function haloText(context, text, x, y, colours, ink) {
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = colours.paper;
  context.globalAlpha = 0.85;
  context.strokeText(text, x, y);
  context.globalAlpha = 1;
  context.fillStyle = ink;
  context.fillText(text, x, y);
  context.lineWidth = 1;
}

/** A head's mark: a disc, a diamond for the second model. */
export function headMark(context, x, y, radius, model, fill, ring) {
  context.beginPath();
  if (model) {
    const far = radius * 1.25;
    context.moveTo(x, y - far);
    context.lineTo(x + far, y);
    context.lineTo(x, y + far);
    context.lineTo(x - far, y);
    context.closePath();
  } else {
    context.arc(x, y, radius, 0, 7);
  }
  if (fill) { context.fillStyle = fill; context.fill(); }
  if (ring) { context.strokeStyle = ring; context.stroke(); }
}

/** What colours a head's dot: the layer, the model, or the cluster of most of its points. */
function dotValue(cloud, mainClusters, kind, head) {
  const [model, layer] = cloud.heads[head];
  return { layer, model, cluster: Math.max(0, mainClusters[head]) }[kind];
}

/** Cluster names first, then as many names of heads as there is room for. */
export function drawMarks(context, cloud, state, at, colours, tints, mainClusters, area) {
  const { size } = area;
  const free = freeSpace();
  const places = cloud.dots.map(([u, v]) => [at.left + u * at.wide, at.top + v * at.high]);
  const shown = (x, y) => x > -20 && y > -20 && x < size.width + 20 && y < size.height + 20;
  const chosen = cloud.headIndex(state.model, state.layer, state.head);
  places.forEach(([x, y], head) => {
    if (!shown(x, y)) return;
    const fill = cssTint(tintOf(tints, cloud, state.tint, dotValue(cloud, mainClusters, state.tint, head)));
    context.lineWidth = 1.5;
    headMark(context, x, y, DOT, cloud.heads[head][0], fill, colours.paper);
    context.lineWidth = 1;
    free(x - DOT, y - DOT, 2 * DOT, 2 * DOT);
  });
  if (!state.names) return;
  drawClusterNames(context, cloud, at, colours, free, area);
  context.font = `10px ${colours.font}`;
  context.textAlign = "left";
  const first = [...places.keys()].sort((a, b) => (b === chosen) - (a === chosen));
  for (const head of first) {
    const [x, y] = places[head];
    if (!shown(x, y)) continue;
    const text = cloud.labelOf(head);
    const wide = context.measureText(text).width;
    for (const left of [x + DOT + 3, x - DOT - 3 - wide]) {
      if (!free(left, y - 6, wide, 12)) continue;
      haloText(context, text, left, y + 0.5, colours, head === chosen ? colours.accent : colours.text);
      break;
    }
  }
}

/** Names stay inside the box, whose edges `area` gives: at the edge a cut word says nothing. */
function drawClusterNames(context, cloud, at, colours, free, { margin, size }) {
  context.font = `600 12px ${colours.font}`;
  context.textAlign = "center";
  const order = [...cloud.clusters.keys()].sort((a, b) => cloud.clusters[b].size - cloud.clusters[a].size);
  for (const cluster of order) {
    const [u, v] = cloud.middles[cluster];
    if (Number.isNaN(u)) continue;
    const text = cloud.clusters[cluster].name;
    const wide = context.measureText(text).width;
    const half = wide / 2;
    const middle = at.left + u * at.wide;
    const inBox = middle > margin.x && middle < size.width - margin.x;
    const [low, high] = [margin.x + half + 4, size.width - margin.x - half - 4];
    const x = inBox ? Math.max(low, Math.min(high, middle)) : middle;
    const y = at.top + v * at.high;
    const up = [0, -16, 16, -32, 32, -48, 48, -64, 64].find((by) => free(x - half - 2, y + by - 8, wide + 4, 16));
    if (up !== undefined) haloText(context, text, x, y + up, colours, colours.text);
  }
}
