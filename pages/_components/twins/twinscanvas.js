/** The canvas: ground, copies, and over them P(same object) of the patch that is asked about. */
import { createGround, linearPlace, paintSheet } from "../flow/ground.js";

const UNIT = linearPlace(0, 1);
const UNDER = 98; // colour bar and the sentence below it
const OLD = 0.22;

/** The parts of a canvas are pictures of their own, so that a copy moves without a request. */
export function createTwinsCanvas(part, canvas, images) {
  const element = part("map");
  const box = part("mapBox");
  const [height, width] = canvas.input;
  const whole = { left: 0, top: 0, width, height };
  const ground = createGround(element, { placement: whole, picture: { width, height }, rows: canvas.rows, columns: canvas.columns });
  const sheet = document.createElement("canvas");
  const picture = Object.assign(document.createElement("canvas"), { width, height });
  Object.defineProperty(picture, "naturalWidth", { value: width }); // what a loaded image has

  function laid(places) {
    const context = picture.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (images.ground.complete && images.ground.naturalWidth) context.drawImage(images.ground, 0, 0);
    if (!images.object.complete || !images.object.naturalWidth) return;
    for (const [row, column] of places) context.drawImage(images.object, column, row);
  }

  /** Box of a copy on the canvas. */
  function boxAt([row, column]) {
    const place = ground.place();
    const scale = place.width / width;
    return {
      left: place.left + column * scale, top: place.top + row * scale,
      width: canvas.box[1] * scale, height: canvas.box[0] * scale,
    };
  }

  function frame(context, at, ink, wide, dash = []) {
    for (const [line, colour] of [[wide + 2, "rgba(0, 0, 0, .55)"], [wide, ink]]) {
      context.setLineDash(dash);
      context.lineWidth = line;
      context.strokeStyle = colour;
      context.strokeRect(at.left, at.top, at.width, at.height);
    }
    context.setLineDash([]);
  }

  function number(context, at, text, strong, colours) {
    context.font = `600 11px ${colours.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const wide = context.measureText(text).width + 9;
    context.fillStyle = strong ? colours.orange : "rgba(0, 0, 0, .66)";
    context.fillRect(at.left, at.top, wide, 15);
    context.fillStyle = "#ffffff";
    context.fillText(text, at.left + wide / 2, at.top + 8);
  }

  function overlay(context, row, table, old) {
    const place = ground.place();
    paintSheet(sheet, row, canvas.columns, canvas.rows, UNIT, table);
    context.globalAlpha = old ? OLD : 1;
    context.imageSmoothingEnabled = false;
    context.drawImage(sheet, place.left, place.top, place.width, place.height);
    context.globalAlpha = 1;
  }

  /** Lines between patches, where a copy is being moved on the grid. */
  function gridLines(context) {
    const place = ground.place();
    context.strokeStyle = "rgba(128, 128, 128, .45)";
    context.lineWidth = 1;
    context.beginPath();
    for (let i = 1; i < canvas.columns; i += 1) {
      const x = Math.round(place.left + (i * place.width) / canvas.columns) + 0.5;
      context.moveTo(x, place.top);
      context.lineTo(x, place.top + place.height);
    }
    for (let i = 1; i < canvas.rows; i += 1) {
      const y = Math.round(place.top + (i * place.height) / canvas.rows) + 0.5;
      context.moveTo(place.left, y);
      context.lineTo(place.left + place.width, y);
    }
    context.stroke();
  }

  return {
    /** As large as the column allows; what stands below it follows close. */
    fit() {
      const room = box.parentElement.clientHeight - box.previousElementSibling.offsetHeight - UNDER;
      const high = Math.floor(Math.max(120, Math.min(room, (box.clientWidth * height) / width)));
      box.style.height = `${high}px`;
      ground.fit(box.clientWidth, high);
    },
    /** @param {Float32Array | null} row of the patch asked about  @param {number[]} twins patches */
    draw(state, row, twins, old, table, colours) {
      laid(state.layout.places);
      ground.setPhoto(picture);
      const context = ground.draw(null);
      if (state.shown && row) overlay(context, row, table, old);
      if (state.drag) gridLines(context);
      state.layout.places.forEach((place, copy) => {
        const at = boxAt(place);
        const strong = copy === state.selected;
        frame(context, at, strong ? colours.orange : "rgba(255, 255, 255, .8)", strong ? 2 : 1);
        number(context, at, String(copy + 1), strong, colours);
      });
      if (state.drag && !state.drag.fits) frame(context, boxAt(state.drag.at), "#c33d3d", 2, [5, 4]);
      if (old || !row) return;
      for (const twin of twins) frame(context, ground.rectOf(twin), "#ffffff", 1.5, [4, 3]);
      ground.cross(state.query, colours);
      if (state.pointed >= 0 && state.pointed !== state.query) frame(context, ground.rectOf(state.pointed), "#ffffff", 1.5);
    },
    patchAt: (x, y) => ground.patchAt(x, y),
    /** Row and column in pixels of the picture. */
    pixelAt(x, y) {
      const place = ground.place();
      return [((y - place.top) / place.height) * height, ((x - place.left) / place.width) * width];
    },
    place: () => ground.place(),
  };
}
