/** The tabs: pruning curves, agreement of metrics, overlap of classes. */
import { TABS } from "./choice.js";
import { createCurves } from "./curves.js";
import { agreementTable, overlapTable } from "./tables.js";

export function createSide(part, atlas, tables, choose) {
  const curves = createCurves(part("curves"), atlas);
  const agreement = atlas.agreement ? agreementTable(atlas, tables, choose) : null;
  const overlap = atlas.overlap ? overlapTable(atlas, tables) : null;
  const given = { curves: true, agreement: Boolean(agreement), overlap: Boolean(overlap) };

  part("agreement").replaceChildren(...(agreement ? [agreement.table] : []));
  part("overlap").replaceChildren(...(overlap ? [overlap] : []));
  part("noCurves").hidden = Boolean(atlas.curves);
  part("curvesBox").hidden = !atlas.curves;
  for (const button of part("tabs").children) {
    button.disabled = !given[button.dataset.tab];
    button.title = button.disabled ? "Needs several metrics, or images of several classes" : "Next tab (t)";
  }

  return {
    draw(state, colours) {
      const tab = given[state.tab] ? state.tab : "curves";
      for (const name of TABS) part(`${name}Tab`).hidden = name !== tab;
      agreement?.mark(state.metric);
      if (tab === "curves") {
        part("sideTitle").textContent = atlas.curves
          ? `${atlas.curves.quality.charAt(0).toUpperCase()}${atlas.curves.quality.slice(1)}` : "Quality while heads are removed";
        curves.draw(state, colours);
      }
      part("sideTitle").hidden = tab !== "curves";
    },
    point: (x) => curves.point(x),
    /** The tab after this one, of those that there are. */
    next(tab) {
      const open = TABS.filter((name) => given[name]);
      return open[(open.indexOf(tab) + 1) % open.length];
    },
  };
}
