/** Masks on a picture: filled lightly, with contours; the first in the ink, further ones lighter. */
import { outlineOf, strokeOutline } from "../binding/outline.js";

const FILL = 0.38;

function inkOf(method, number) {
  const [red, green, blue] = method.shades[number % method.shades.length];
  return `rgb(${red}, ${green}, ${blue})`;
}

/** The contour of a mask in patches, the rim of the picture with it. */
export function contourOf(mask, rows, columns) {
  const wide = columns + 2;
  const padded = new Int32Array((rows + 2) * wide);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) padded[(row + 1) * wide + column + 1] = mask[row * columns + column];
  }
  return outlineOf(padded, rows + 2, wide);
}

/** Masks of all methods with contours that are made once. */
export function createMaskPainter(data) {
  const contours = new Map();

  function contour(method, number) {
    const key = `${method.name} ${number}`;
    if (!contours.has(key)) contours.set(key, contourOf(method.masks[number], data.rows, data.columns));
    return contours.get(key);
  }

  const objectMasks = data.numbers.map((number) => data.objects.map((one) => Number(one === number)));
  const grounds = objectMasks.map((mask) => contourOf(mask, data.rows, data.columns));
  const outline = data.mask && outlineOf(data.mask, ...data.input);

  function fill(context, mask, ground, ink) {
    context.globalAlpha = FILL;
    context.fillStyle = ink;
    for (let patch = 0; patch < data.patches; patch += 1) {
      if (!mask[patch]) continue;
      const at = ground.rectOf(patch);
      context.fillRect(at.left, at.top, at.width + 0.4, at.height + 0.4);
    }
    context.globalAlpha = 1;
  }

  function stroke(context, path, place, ink, width) {
    const scale = [place.width / data.columns, place.height / data.rows];
    context.save();
    context.beginPath();
    context.rect(place.left - 1, place.top - 1, place.width + 2, place.height + 2);
    context.clip();
    context.translate(place.left - scale[0], place.top - scale[1]);
    const grown = new Path2D();
    grown.addPath(path, new DOMMatrix([scale[0], 0, 0, scale[1], 0, 0]));
    for (const [wide, colour] of [[width + 1.6, "rgba(0, 0, 0, .6)"], [width, ink]]) {
      context.lineWidth = wide;
      context.strokeStyle = colour;
      context.stroke(grown);
    }
    context.restore();
  }

  return {
    masks(context, ground, method, numbers, width) {
      const ink = (number) => inkOf(method, numbers.length > 1 ? number : 0);
      for (const number of numbers) fill(context, method.masks[number], ground, ink(number));
      for (const number of numbers) stroke(context, contour(method, number), ground.place(), ink(number), width);
    },
    /** Patches of the objects, as they are scored. */
    objects(context, ground, width) {
      objectMasks.forEach((mask) => fill(context, mask, ground, "#ffffff"));
      grounds.forEach((path) => stroke(context, path, ground.place(), "#ffffff", width));
    },
    /** The objects' own outlines, to the pixel. */
    outlines(context, ground) {
      if (outline) strokeOutline(context, outline, data.input, ground.place());
    },
  };
}
