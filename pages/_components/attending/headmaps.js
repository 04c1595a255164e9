/** The picture twice: where a head attends from a patch, and what the probe says of that patch. */
import { createGround, linearPlace } from "../flow/ground.js";
import { outlineOf, strokeOutline } from "../binding/outline.js";
import { HALF } from "../lens/half.js";
import { mapSlice } from "../lens/record.js";
import { limits } from "../lens/scale.js";

const SAME_SCALE = linearPlace(0, 1);
const CAPTION = 18;

/** A head's attention from a patch to every patch; null where the row or the head is not there. */
export function attentionOf(record, bits, layer, head) {
  if (!record || !bits || !record.layers[layer] || head >= record.layers[layer].heads) return null;
  const slice = mapSlice(record, layer, head, "to");
  const values = Float32Array.from({ length: slice.count }, (_, i) => HALF[bits[slice.start + i]]);
  return { values, high: limits(bits, [slice]).high };
}

export function createHeadMaps(part, reading) {
  const canvases = [part("attention"), part("same")];
  const grounds = canvases.map((canvas) => createGround(canvas, reading));
  const outline = reading.mask ? outlineOf(reading.mask, ...reading.input) : null;
  const box = part("pairBox");

  function finish(context, ground, state, colours) {
    if (outline && state.truth) strokeOutline(context, outline, reading.input, ground.place());
    ground.cross(state.query, colours);
    if (state.pointedPatch < 0 || state.pointedPatch === state.query) return;
    const at = ground.rectOf(state.pointedPatch);
    context.lineWidth = 1.5;
    context.strokeStyle = "#ffffff";
    context.strokeRect(at.left, at.top, at.width, at.height);
  }

  return {
    setPhoto: (photo) => grounds.forEach((ground) => ground.setPhoto(photo)),
    /** As high as the row allows; the words beside them get at least a third. */
    fit() {
      const aspect = reading.input[1] / reading.input[0];
      const high = Math.max(90, Math.min(box.clientHeight - CAPTION, (box.clientWidth * 0.34) / aspect));
      box.style.setProperty("--tile", `${Math.round(high * aspect)}px`);
      box.style.setProperty("--tileHigh", `${Math.round(high)}px`);
      grounds.forEach((ground) => ground.fit(Math.round(high * aspect), Math.round(high)));
    },
    draw(state, attention, same, table, colours) {
      const place = linearPlace(0, attention?.high || 1);
      finish(grounds[0].draw(attention?.values ?? null, place, table), grounds[0], state, colours);
      finish(grounds[1].draw(same, SAME_SCALE, table), grounds[1], state, colours);
    },
    patchAt: (which, x, y) => grounds[which].patchAt(x, y),
    place: () => grounds[0].place(),
    canvases,
  };
}
