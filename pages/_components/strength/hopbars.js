/** Attention of the selected head by hop: mean over the images, with spread. */
import { beginPlot, niceTicks, yAxis } from "../heads/plot.js";
import { number } from "../lens/scale.js";
import { emptyPlot, topOf, whiskerAt } from "./marks.js";
import { hopsOf, pairsByHop, seesAll } from "./profile.js";

const HOP_EDGE = { left: 46, right: 8, top: 8, bottom: 34 };

export function createHopBars(canvas, profile) {
  let step = 1;
  let count = 0;
  let at = -1; // hop under the pointer

  /** What uniform attention gives: strength 1/N at every hop, mass by the number of pairs. */
  function uniformByHop(state, layer) {
    if (state.rule !== "renormalised" || !seesAll(layer)) return null;
    const patches = layer.rows * layer.columns;
    return pairsByHop(layer).map((pairs) => (state.hops === "mass" ? pairs / patches : 1 / patches));
  }

  return {
    title: (state) => `Hops of ${profile.labelOf(profile.headIndex(state.layer, state.head))}`,

    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      const head = profile.headIndex(state.layer, state.head);
      const layer = profile.layerOf(head);
      count = hopsOf(layer);
      const table = `hop_${state.hops}:${state.rule}`;
      const bars = profile.rowsOver(table, head, count);
      if (!bars.some(({ mean }) => !Number.isNaN(mean))) {
        count = 0;
        emptyPlot(plot, "no numbers for this head", colours);
        return;
      }
      const own = [...profile.row(table, state.image, head)];
      const uniform = uniformByHop(state, layer);
      const top = 1.05 * topOf([...bars.map(({ mean, std }) => mean + (std || 0)), ...own.slice(0, count), ...(uniform ?? [])]) || 1;
      const bottom = height - HOP_EDGE.bottom;
      step = (width - HOP_EDGE.left - HOP_EDGE.right) / count;
      const y = (value) => bottom - (Math.max(0, value) / top) * (bottom - HOP_EDGE.top);
      yAxis(context, niceTicks(0, top, 4), y, HOP_EDGE.left, width - HOP_EDGE.right, colours);
      const every = Math.max(1, Math.ceil(20 / step));
      bars.forEach(({ mean, std }, hop) => {
        const left = HOP_EDGE.left + hop * step;
        const middle = left + step / 2;
        context.fillStyle = hop === at ? colours.text : colours.pale;
        context.fillRect(left + step * 0.14, y(mean), step * 0.72, bottom - y(mean));
        if (std > 0) whiskerAt(context, true, middle, y(mean - std), y(mean + std), colours.faint);
        if (own[hop] >= 0) {
          context.fillStyle = colours.accent;
          context.fillRect(left + 1, y(own[hop]) - 1, step - 2, 2);
        }
        if (uniform) {
          context.setLineDash([3, 2]);
          whiskerAt(context, false, y(uniform[hop]), left, left + step, colours.faint);
          context.setLineDash([]);
        }
        if (hop % every) return;
        context.textAlign = "center";
        context.fillStyle = colours.faint;
        context.fillText(String(hop), middle, bottom + 9);
      });
      context.textAlign = "center";
      context.fillStyle = colours.faint;
      context.fillText("hops from query to key", (HOP_EDGE.left + width) / 2, height - 8);
    },

    /** Marks the hop under the pointer; true where that changed. */
    point(x) {
      const hop = x === null || !count ? -1 : Math.floor((x - HOP_EDGE.left) / step);
      const next = hop >= 0 && hop < count ? hop : -1;
      const changed = next !== at;
      at = next;
      return changed;
    },

    /** What the hop under the pointer has, in words; "" where there is none. */
    words(state) {
      if (at < 0) return "";
      const head = profile.headIndex(state.layer, state.head);
      const table = `hop_${state.hops}:${state.rule}`;
      const { mean, std } = profile.rowsOver(table, head, count)[at];
      const spread = Number.isNaN(std) ? "" : ` ± ${number(std)}`;
      return `${at} ${at === 1 ? "hop" : "hops"}: ${number(mean)}${spread}; this image ${number(profile.row(table, state.image, head)[at])}`;
    },
  };
}
