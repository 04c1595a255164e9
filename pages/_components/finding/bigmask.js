/** The chosen card, large: a method's masks, the objects, or the coherence of neighbours. */
import { createGround, linearPlace } from "../flow/ground.js";
import { COHERENCE_CARD, TRUTH_CARD, shownMasks } from "./findingstate.js";

const UNDER_BIG = 96; // title, colour bar and the sentence

export function createBigMask(part, data, painter) {
  const canvas = part("big");
  const box = part("bigBox");
  const ground = createGround(canvas, data);
  const place = linearPlace(data.lowest, data.highest);

  function framed(context, patch) {
    if (patch < 0) return;
    const at = ground.rectOf(patch);
    for (const [wide, ink] of [[4, "rgba(0, 0, 0, .75)"], [2, "#ffffff"]]) {
      context.lineWidth = wide;
      context.strokeStyle = ink;
      context.strokeRect(at.left, at.top, at.width, at.height);
    }
  }

  return {
    setPhoto: (photo) => ground.setPhoto(photo),
    fit() {
      const room = box.parentElement.clientHeight - UNDER_BIG;
      const high = Math.floor(Math.max(140, Math.min(room, (box.clientWidth * data.input[0]) / data.input[1])));
      if (box.style.height !== `${high}px`) box.style.height = `${high}px`;
      ground.fit(box.clientWidth, high);
    },
    draw(state, table) {
      const context = state.found === COHERENCE_CARD ? ground.draw(data.coherence, place, table) : ground.draw(null);
      const method = data.methodOf(state.found);
      if (method) painter.masks(context, ground, method, shownMasks(method, state.number), 2.2);
      if (state.found === TRUTH_CARD) painter.objects(context, ground, 2.2);
      if (state.truth) painter.outlines(context, ground);
      framed(context, state.pointed);
    },
    patchAt: (x, y) => ground.patchAt(x, y),
    place: () => ground.place(),
  };
}
