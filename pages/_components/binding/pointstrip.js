/** Small maps of the same patch, one for each point, and the truth beside them. */
import { sizeCanvas } from "../lens/geometry.js";
import { strokeOutline } from "./outline.js";

const LABEL = 15;
const GAP = 6;
const UNKNOWN = 0xff98a094; // grey: nobody has marked it
const LEAST = 40;
const MOST = 92;

export function createPointStrip(part, reading, outline) {
  const canvas = part("strip");
  const box = part("stripBox");
  const context = canvas.getContext("2d");
  const sheet = document.createElement("canvas");
  const count = reading.points.length + (reading.objects ? 1 : 0);
  const aspect = reading.input[1] / reading.input[0];
  let cell = { wide: LEAST, high: LEAST, across: count };

  function paintMap(values, table) {
    sheet.width = reading.columns;
    sheet.height = reading.rows;
    const small = sheet.getContext("2d");
    const image = small.createImageData(reading.columns, reading.rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i += 1) {
      pixels[i] = Number.isFinite(values[i]) ? table[Math.round(Math.max(0, Math.min(1, values[i])) * 255)] : UNKNOWN;
    }
    small.putImageData(image, 0, 0);
  }

  /** 1 in the patch's own object, 0 in others, NaN where there is none. */
  function truthOf(query) {
    return Float32Array.from(reading.objects, (_, patch) => {
      const same = reading.sameObject(query, patch);
      return same === null ? NaN : Number(same);
    });
  }

  function rectAt(index) {
    const row = Math.floor(index / cell.across);
    return {
      left: (index % cell.across) * (cell.wide + GAP), top: row * (cell.high + LABEL + 3), width: cell.wide, height: cell.high,
    };
  }

  function drawCell(index, values, label, table, strong, colours) {
    const at = rectAt(index);
    paintMap(values, table);
    context.imageSmoothingEnabled = false;
    context.drawImage(sheet, at.left, at.top, at.width, at.height);
    if (strong) {
      context.strokeStyle = strong;
      context.lineWidth = 2;
      context.strokeRect(at.left + 1, at.top + 1, at.width - 2, at.height - 2);
    }
    context.fillStyle = strong || colours.faint;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(label, at.left + at.width / 2, at.top + at.height + LABEL / 2 + 1);
    return at;
  }

  return {
    /** As large as one line allows; two lines where there are many points. */
    fit() {
      const room = box.clientWidth;
      const lines = Math.ceil((count * (LEAST + GAP)) / Math.max(room, 1));
      const across = Math.ceil(count / lines);
      const wide = Math.max(16, Math.min(MOST * aspect, Math.floor((room - (across - 1) * GAP) / across)));
      cell = { wide, high: Math.round(wide / aspect), across };
      const high = lines * (cell.high + LABEL + 3);
      if (box.style.height !== `${high}px`) box.style.height = `${high}px`;
      sizeCanvas(canvas, room, high);
    },
    draw(state, table, colours) {
      const ratio = window.devicePixelRatio || 1;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      if (state.query < 0) return;
      context.font = `11px ${colours.font}`;
      reading.rowsOf(state.query).forEach((row, place) => {
        const point = reading.points[place];
        const ink = point === state.pointedPoint ? colours.text : "";
        drawCell(place, row, point === 0 && cell.wide >= 60 ? "embedding" : String(point), table, point === state.point ? colours.accent : ink, colours);
      });
      if (!reading.objects) return;
      const at = drawCell(count - 1, truthOf(state.query), "truth", table, "", colours);
      if (outline) strokeOutline(context, outline, reading.input, at);
    },
    /** The point under a position, or -1. */
    pointAt(x, y) {
      const index = reading.points.findIndex((_, place) => {
        const at = rectAt(place);
        return x >= at.left && x < at.left + at.width + GAP && y >= at.top && y < at.top + at.height + LABEL;
      });
      return index < 0 ? -1 : reading.points[index];
    },
    rectAt,
  };
}
