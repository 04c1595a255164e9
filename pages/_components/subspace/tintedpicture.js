/** The picture with patches in the colours of the points, and the objects' outlines. */
import { createGround } from "../flow/ground.js";
import { outlineOf } from "../binding/outline.js";

const COVER = 0.5;
const MOST_OUTLINES = 24;
const UNDER_PHOTO = 90; // title and sentence
const WITH_BUTTON = 148;

/** A path for each object, in its colour; one for all where there are many. */
function objectPaths(layout) {
  if (!layout.mask) return [];
  const numbers = [...new Set(layout.mask)].filter((one) => one > 0);
  const inkOf = (number) => (layout.inks[number] ? `rgb(${layout.inks[number].join(", ")})` : layout.noInk);
  if (numbers.length > MOST_OUTLINES) return [{ path: outlineOf(layout.mask, ...layout.input), ink: "#ffffff" }];
  return numbers.map((number) => ({ path: outlineOf(layout.mask.map((one) => Number(one === number)), ...layout.input), ink: inkOf(number) }));
}

export function createTintedPicture(part, layout) {
  const canvas = part("photo");
  const box = part("photoBox");
  const ground = createGround(canvas, layout);
  const paths = objectPaths(layout);

  function paintPatches(context, inks, tint) {
    context.globalAlpha = tint === "picture" ? 0.9 : COVER;
    for (let patch = 0; patch < layout.patches; patch += 1) {
      if (inks[patch] === layout.noInk) continue;
      const at = ground.rectOf(patch);
      context.fillStyle = inks[patch];
      context.fillRect(at.left, at.top, at.width + 0.4, at.height + 0.4);
    }
    context.globalAlpha = 1;
  }

  function paintOutlines(context) {
    const place = ground.place();
    const scale = place.width / layout.input[1];
    context.save();
    context.translate(place.left, place.top);
    context.scale(scale, place.height / layout.input[0]);
    for (const [wide, dark] of [[4, true], [2, false]]) {
      for (const { path, ink } of paths) {
        context.lineWidth = wide / scale;
        context.strokeStyle = dark ? "rgba(0, 0, 0, .75)" : ink;
        context.stroke(path);
      }
    }
    context.restore();
  }

  function frameOf(context, patch, ink) {
    if (patch < 0) return;
    const at = ground.rectOf(patch);
    for (const [wide, colour] of [[4, "rgba(0, 0, 0, .75)"], [2, ink]]) {
      context.lineWidth = wide;
      context.strokeStyle = colour;
      context.strokeRect(at.left, at.top, at.width, at.height);
    }
  }

  return {
    hasOutlines: paths.length > 0,
    setPhoto: (photo) => ground.setPhoto(photo),
    fit() {
      const room = box.parentElement.clientHeight - (layout.marked ? UNDER_PHOTO : WITH_BUTTON);
      const high = Math.floor(Math.max(120, Math.min(room, (box.clientWidth * layout.input[0]) / layout.input[1])));
      if (box.style.height !== `${high}px`) box.style.height = `${high}px`;
      ground.fit(box.clientWidth, high);
    },
    draw(state, colours) {
      const context = ground.draw(null);
      if (state.painted) paintPatches(context, layout.inksOf(state.tint), state.tint);
      if (state.outlines) paintOutlines(context);
      frameOf(context, state.pinned, colours.orange);
      frameOf(context, state.pointed, "#ffffff");
    },
    patchAt: (x, y) => ground.patchAt(x, y),
    place: () => ground.place(),
  };
}
