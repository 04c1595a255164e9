/** Where the selected head's attention lies: mass on the templates and what is left. */
import { beginPlot } from "../heads/plot.js";
import { emptyPlot, topOf, whiskerAt } from "./marks.js";

const TEMPLATE_EDGE = { left: 76, right: 38, top: 2 };
const REST_NAME = "elsewhere";

export function createTemplates(canvas, profile) {
  /** Mean and spread of every template, and of the remainder. */
  function rowsOf(head) {
    const rows = profile.rowsOver("template_score", head, profile.templates.length);
    const known = rows.map(({ mean }) => mean).filter((mean) => !Number.isNaN(mean));
    const rest = known.length ? Math.max(0, 1 - known.reduce((sum, one) => sum + one, 0)) : NaN;
    return [...rows, { mean: rest, std: NaN }];
  }

  const colourFor = (name, colours) => ({ cls: colours.cls, [REST_NAME]: colours.pale })[name] ?? colours.orange;

  return {
    title: (state) => `Where ${profile.labelOf(profile.headIndex(state.layer, state.head))} attends, share of attention`,

    draw(state, colours) {
      const plot = beginPlot(canvas, colours);
      if (!plot) return;
      const { context, width, height } = plot;
      const head = profile.headIndex(state.layer, state.head);
      const rows = rowsOf(head);
      const names = [...profile.templates, REST_NAME];
      const own = profile.row("template_score", state.image, head);
      const top = topOf([...rows.map(({ mean, std }) => mean + (std || 0)), ...own]);
      if (!top) {
        emptyPlot(plot, "no numbers for this head", colours);
        return;
      }
      const line = Math.min(20, (height - TEMPLATE_EDGE.top) / rows.length);
      const x = (share) => TEMPLATE_EDGE.left + (Math.max(0, share) / top) * (width - TEMPLATE_EDGE.left - TEMPLATE_EDGE.right);
      rows.forEach(({ mean, std }, i) => {
        const middle = TEMPLATE_EDGE.top + (i + 0.5) * line;
        context.textAlign = "right";
        context.fillStyle = colours.faint;
        context.fillText(names[i], TEMPLATE_EDGE.left - 7, middle);
        context.textAlign = "left";
        context.fillText(Number.isNaN(mean) ? "none" : mean.toFixed(3).replace(/^0\./, "."), width - TEMPLATE_EDGE.right + 8, middle);
        if (Number.isNaN(mean)) return;
        context.fillStyle = colourFor(names[i], colours);
        context.fillRect(TEMPLATE_EDGE.left, middle - line * 0.3, Math.max(1, x(mean) - TEMPLATE_EDGE.left), line * 0.6);
        if (std > 0) whiskerAt(context, false, middle, x(mean - std), x(mean + std), colours.text);
        if (own[i] >= 0) {
          context.fillStyle = colours.accent;
          context.fillRect(x(own[i]) - 1, middle - line * 0.4, 2, line * 0.8);
        }
      });
    },
  };
}
