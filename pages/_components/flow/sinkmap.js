/** What every token receives in a layer, on the picture: sinks hatched, prefix tokens above. */
import { shade } from "../heads/plot.js";
import { number } from "../lens/scale.js";
import { focusLayer } from "./outlook.js";
import { kindOfToken, nameOfToken } from "./evidence.js";
import { createGround, hatchSink, linearPlace } from "./ground.js";
import { paintBar } from "./mapcards.js";

const STRIP = 18; // height of the prefix tokens above the picture
const BOX = 14;
const BELOW = 74; // title, colour bar and its words
export const KIND_INK = { cls: "cls", registers: "green", patches: "orange" };

/** Received attention that is on screen: before, after, or the change. */
export function receivedShown(evidence, changed, state, layer) {
  const before = evidence.rowOf("received", layer);
  const after = changed?.rowOf("changed:received", layer) ?? null;
  if (state.shown === "before" || !after) return before;
  if (state.shown === "after") return after;
  return after.map((value, token) => value - before[token]);
}

export function createSinkMap(part, evidence, scale) {
  const canvas = part("sinkMap");
  const ground = createGround(canvas, evidence);
  const bar = part("receivedBar");
  const ticks = [...part("receivedTicks").children];
  let boxes = []; // places of the prefix tokens

  /** Prefix tokens in one line; many get narrow boxes without names. */
  function prefixLine(context, values, before, state, paint, colours) {
    boxes = [];
    const width = canvas.clientWidth;
    const named = evidence.ahead <= 3;
    const step = named ? width / Math.max(1, evidence.ahead) : Math.min(24, width / Math.max(1, evidence.ahead));
    context.font = `11px ${colours.font}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (let token = 0; token < evidence.ahead; token += 1) {
      const left = Math.round(token * Math.min(step, 92)) + 1;
      const at = { left, top: 1, width: BOX, height: BOX, token };
      context.fillStyle = paint(values[token]);
      context.fillRect(left, 1, BOX, BOX);
      if (before[token] > state.threshold) hatchSink(context, left, 1, BOX, BOX);
      context.lineWidth = token === state.pointed ? 3 : 1.5;
      context.strokeStyle = colours[KIND_INK[kindOfToken(evidence, token)]];
      context.strokeRect(left, 1, BOX, BOX);
      if (named) {
        context.fillStyle = colours.text;
        const text = `${nameOfToken(evidence, token)} ${number(values[token]).replace("-", "−")}`;
        context.fillText(text, left + BOX + 5, 9);
        at.width = BOX + 5 + context.measureText(text).width;
      }
      boxes.push(at);
    }
  }

  return {
    setPhoto: ground.setPhoto,
    fit() {
      const box = canvas.parentElement;
      const above = evidence.ahead ? STRIP : 0;
      const wide = box.clientWidth;
      const room = box.parentElement.clientHeight - BELOW;
      const high = Math.floor(Math.max(60, Math.min(room, wide * (evidence.placement.height / evidence.placement.width) + above)));
      box.style.height = `${high}px`;
      ground.fit(wide, high, above);
    },

    draw(state, changed, tables, colours) {
      const layer = focusLayer(state);
      const before = evidence.rowOf("received", layer);
      const values = receivedShown(evidence, changed, state, layer);
      const signed = state.shown === "change" && Boolean(changed);
      let reach = 1e-9;
      if (signed) for (const value of values) reach = Math.max(reach, Math.abs(value) || 0);
      const placeOf = signed ? linearPlace(-reach, reach) : scale.place;
      const table = signed ? tables.signed : tables.maps;
      const context = ground.draw(values.subarray(evidence.ahead), placeOf, table, signed);
      for (let patch = 0; patch < evidence.patches; patch += 1) {
        if (!(before[evidence.ahead + patch] > state.threshold)) continue;
        const at = ground.rectOf(patch);
        hatchSink(context, at.left, at.top, at.width, at.height);
      }
      prefixLine(context, values, before, state, (value) => (Number.isFinite(value) ? shade(table, placeOf(value), 0, 1).fill : colours.missing), colours);
      if (state.pointed >= evidence.ahead) ground.cross(state.pointed - evidence.ahead, colours);
      part("receivedUnit").textContent = signed ? "change, × uniform, this layer" : "× uniform, log scale, all layers";
      paintBar(bar, ticks, table, signed ? [-reach, 0, reach] : [0, scale.value(0.5), scale.high]);
    },

    /** Token under a position, -1 for none. */
    tokenAt(x, y) {
      const box = boxes.find((at) => x >= at.left && x <= at.left + at.width && y <= STRIP);
      if (box) return box.token;
      const patch = ground.patchAt(x, y);
      return patch < 0 ? -1 : evidence.ahead + patch;
    },
  };
}
