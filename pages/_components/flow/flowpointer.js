/** Mouse, pen and touch: hover shows a token everywhere, a click goes to the lens or picks a layer. */
import { pointerOn } from "../heads/plot.js";

/**
 * @param {(name: string) => HTMLElement} part
 * @param {{cards, sinkMap, life, band, shifts}} charts
 * @param {{evidence, state, set, deeds}} desk
 */
export function listenToFlow(part, charts, { evidence, state, set, deeds }, signal) {
  const on = (element, name, handler) => element.addEventListener(name, handler, { signal });

  /** Tells what changed under the pointer; the same again paints nothing. */
  function point(changes) {
    const now = state();
    if (Object.keys(changes).some((name) => changes[name] !== now[name])) set(changes);
  }

  function leave(element) {
    on(element, "pointerleave", () => point({ pointed: -1, pointedLayer: -1, at: -1, shift: -1 }));
  }

  for (const card of charts.cards) {
    const tokenAt = (event) => {
      const patch = card.ground.patchAt(...pointerOn(event, card.canvas));
      return patch < 0 ? -1 : evidence.ahead + patch;
    };
    on(card.canvas, "pointermove", (event) => point({ pointed: tokenAt(event), pointedLayer: -1 }));
    on(card.canvas, "click", (event) => { if (tokenAt(event) >= 0) deeds.openToken(tokenAt(event)); });
    leave(card.canvas);
    on(card.curve, "pointermove", (event) => point({ at: card.faithful.pointAt(pointerOn(event, card.curve)[0]) }));
    leave(card.curve);
  }

  const map = part("sinkMap");
  const mapped = (event) => charts.sinkMap.tokenAt(...pointerOn(event, map));
  on(map, "pointermove", (event) => point({ pointed: mapped(event), pointedLayer: -1 }));
  on(map, "click", (event) => { if (mapped(event) >= 0) deeds.openToken(mapped(event)); });
  leave(map);

  for (const [name, chart] of [["life", charts.life], ["band", charts.band]]) {
    const canvas = part(name);
    const hit = (event) => chart.hit(...pointerOn(event, canvas));
    on(canvas, "pointermove", (event) => {
      const { layer, token } = hit(event);
      point({ pointed: token, pointedLayer: layer });
    });
    on(canvas, "click", (event) => {
      const { layer, label } = hit(event);
      if (layer < 0) return;
      if (label) deeds.openLayer(layer);
      else deeds.chooseLayer(layer);
    });
    leave(canvas);
  }

  const shifts = part("shifts");
  const shiftHit = (event) => charts.shifts.hit(...pointerOn(event, shifts));
  on(shifts, "pointermove", (event) => point({ shift: shiftHit(event).shift }));
  on(shifts, "click", (event) => {
    const { layer, label } = shiftHit(event);
    if (layer < 0) return;
    if (label) deeds.openLayer(layer);
    else deeds.chooseLayer(layer);
  });
  leave(shifts);
}
