/** The model's view of the picture on a small canvas, with a map laid over it. */
import { sizeCanvas } from "../lens/geometry.js";
import { pack } from "../lens/scale.js";

const OPACITY = 0.85;
const GREY = pack(148, 152, 160, 255); // no number: not 0
const STRIPE = 4.5;

/** Opacity of a value on the picture: faint below a quarter of the scale, full above it. */
function coverOf(place, signed) {
  return OPACITY * Math.min(1, (signed ? Math.abs(place - 0.5) * 2 : place) * 4);
}

/** One pixel for each patch: colours of values between low and high. */
export function paintSheet(sheet, values, columns, rows, placeOf, table, signed = false) {
  sheet.width = columns;
  sheet.height = rows;
  const context = sheet.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i += 1) {
    const value = values[i];
    if (!Number.isFinite(value)) {
      pixels[i] = GREY;
      continue;
    }
    const place = placeOf(value);
    const alpha = Math.round(255 * coverOf(place, signed));
    pixels[i] = ((table[Math.round(place * 255)] & 0xffffff) | (alpha << 24)) >>> 0;
  }
  context.putImageData(image, 0, 0);
}

/** Place of a value between two limits, 0 to 1. */
export function linearPlace(low, high) {
  return (value) => (high > low ? Math.max(0, Math.min(1, (value - low) / (high - low))) : 0);
}

/** Diagonal lines that stand out on any colour: a sink. */
export function hatchSink(context, left, top, width, height) {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  for (const [shift, ink] of [[0.9, "rgba(0, 0, 0, .75)"], [0, "rgba(255, 255, 255, .95)"]]) {
    context.strokeStyle = ink;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = left - height; x < left + width; x += STRIPE) {
      context.moveTo(x + shift, top + height);
      context.lineTo(x + shift + height, top);
    }
    context.stroke();
  }
  context.restore();
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {object} evidence the flow, for the grid and where the model's input lies
 */
export function createGround(canvas, evidence) {
  const context = canvas.getContext("2d");
  const sheet = document.createElement("canvas");
  const { placement, picture, rows, columns } = evidence;
  const aspect = placement.width / placement.height;
  let photo = null;
  let place = { left: 0, top: 0, width: 1, height: 1 };

  function photoOn() {
    context.fillStyle = "rgb(128, 128, 128)"; // padding, as the model saw it
    context.fillRect(place.left, place.top, place.width, place.height);
    if (!photo) return;
    const ratio = photo.naturalWidth / picture.width;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(
      photo, placement.left * ratio, placement.top * ratio, placement.width * ratio,
      placement.height * ratio, place.left, place.top, place.width, place.height,
    );
  }

  return {
    setPhoto(image) { photo = image; },

    /** Takes a box of the canvas; the view stands in it with its own shape. */
    fit(width, height, above = 0) {
      sizeCanvas(canvas, width, height);
      const wide = Math.max(8, Math.min(width, (height - above) * aspect));
      const high = wide / aspect;
      place = { left: Math.round((width - wide) / 2), top: above, width: wide, height: high };
    },

    /** Clears the canvas and draws picture and map. */
    draw(values, placeOf, table, signed) {
      const ratio = window.devicePixelRatio || 1;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      photoOn();
      if (!values) return context;
      paintSheet(sheet, values, columns, rows, placeOf, table, signed);
      context.imageSmoothingEnabled = false;
      context.drawImage(sheet, place.left, place.top, place.width, place.height);
      return context;
    },

    /** Rectangle of a patch on the canvas. */
    rectOf(patch) {
      const wide = place.width / columns;
      const high = place.height / rows;
      const [row, column] = [Math.floor(patch / columns), patch % columns];
      return { left: place.left + column * wide, top: place.top + row * high, width: wide, height: high };
    },

    /** An outline around the whole view: the chosen map. */
    frame(ink) {
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(place.left + 1, place.top + 1, place.width - 2, place.height - 2);
    },

    /** Hair lines through a patch, and its outline. */
    cross(patch, colours) {
      const at = this.rectOf(patch);
      const x = at.left + at.width / 2;
      const y = at.top + at.height / 2;
      context.lineWidth = 1;
      for (const [offset, ink] of [[0, "rgba(255, 255, 255, .75)"], [1, "rgba(0, 0, 0, .45)"]]) {
        context.strokeStyle = ink;
        context.beginPath();
        context.moveTo(Math.round(x) + 0.5 + offset, place.top);
        context.lineTo(Math.round(x) + 0.5 + offset, at.top);
        context.moveTo(Math.round(x) + 0.5 + offset, at.top + at.height);
        context.lineTo(Math.round(x) + 0.5 + offset, place.top + place.height);
        context.moveTo(place.left, Math.round(y) + 0.5 + offset);
        context.lineTo(at.left, Math.round(y) + 0.5 + offset);
        context.moveTo(at.left + at.width, Math.round(y) + 0.5 + offset);
        context.lineTo(place.left + place.width, Math.round(y) + 0.5 + offset);
        context.stroke();
      }
      context.lineWidth = 3;
      context.strokeStyle = "#ffffff";
      context.strokeRect(at.left, at.top, at.width, at.height);
      context.lineWidth = 1.5;
      context.strokeStyle = colours.orange;
      context.strokeRect(at.left, at.top, at.width, at.height);
    },

    /** Patch under a position of the canvas, -1 outside. */
    patchAt(x, y) {
      const column = Math.floor(((x - place.left) / place.width) * columns);
      const row = Math.floor(((y - place.top) / place.height) * rows);
      const inside = row >= 0 && column >= 0 && row < rows && column < columns;
      return inside ? row * columns + column : -1;
    },

    place: () => place,
  };
}
