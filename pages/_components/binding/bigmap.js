/** The chosen point's map over the picture, large. */
import { createGround, linearPlace } from "../flow/ground.js";
import { outlineOf, strokeOutline } from "./outline.js";

const UNIT = linearPlace(0, 1);
const UNDER = 142; // title, colour bar and the sentence below it

export function createBigMap(part, reading) {
  const canvas = part("map");
  const box = part("mapBox");
  const ground = createGround(canvas, reading);
  const outline = reading.mask ? outlineOf(reading.mask, ...reading.input) : null;

  function frameOf(context, patch, ink) {
    const at = ground.rectOf(patch);
    context.lineWidth = 3;
    context.strokeStyle = "rgba(0, 0, 0, .7)";
    context.strokeRect(at.left, at.top, at.width, at.height);
    context.lineWidth = 1.5;
    context.strokeStyle = ink;
    context.strokeRect(at.left, at.top, at.width, at.height);
  }

  return {
    outline,
    setPhoto: (photo) => ground.setPhoto(photo),
    /** As large as the column allows; what stands below it follows close. */
    fit() {
      const room = box.parentElement.clientHeight - UNDER;
      const high = Math.floor(Math.max(120, Math.min(room, (box.clientWidth * reading.input[0]) / reading.input[1])));
      box.style.height = `${high}px`;
      ground.fit(box.clientWidth, high);
    },
    draw(state, table, colours) {
      const row = state.query >= 0 ? reading.rowsOf(state.query)[reading.placeOf(state.point)] : null;
      const context = ground.draw(row, UNIT, table);
      if (outline && state.truth) strokeOutline(context, outline, reading.input, ground.place());
      if (state.query >= 0) ground.cross(state.query, colours);
      if (state.pointed >= 0 && state.pointed !== state.query) frameOf(context, state.pointed, "#ffffff");
    },
    patchAt: (x, y) => ground.patchAt(x, y),
    place: () => ground.place(),
  };
}
