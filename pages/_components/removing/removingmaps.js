/** Three maps of one patch: unchanged, with the edit, and their difference. */
import { createGround, linearPlace, paintSheet } from "../flow/ground.js";

const MAP_NAMES = ["before", "after", "difference"];
const CHANCE = linearPlace(0, 1);

export function createRemovingMaps(part, repaint) {
  let grounds = [];
  let size = { rows: 1, columns: 1 };
  let shown = "";
  const sheet = document.createElement("canvas");
  const photo = new Image();
  photo.onload = () => {
    for (const ground of grounds) ground.setPhoto(photo);
    repaint();
  };

  function fit() {
    MAP_NAMES.forEach((name, place) => {
      const box = part(name).parentElement;
      grounds[place]?.fit(box.clientWidth, box.clientHeight);
    });
  }

  /** Differences stand on a pale grey picture, whose colours could be taken for theirs. */
  function drawSigned(ground, element, values, limit, table) {
    const context = element.getContext("2d");
    context.filter = "grayscale(1) contrast(0.35) brightness(1.55)";
    ground.draw(null);
    context.filter = "none";
    const { rows, columns } = size;
    paintSheet(sheet, values, columns, rows, linearPlace(-limit, limit), table, true);
    const at = ground.place();
    context.imageSmoothingEnabled = false;
    context.drawImage(sheet, at.left, at.top, at.width, at.height);
    return context;
  }

  return {
    fit,
    setReading(reading, base) {
      const address = `${base}${reading.urls.picture}`;
      const mine = JSON.stringify([address, reading.rows, reading.columns, reading.placement]);
      if (mine === shown) return;
      shown = mine;
      size = { rows: reading.rows, columns: reading.columns };
      grounds = MAP_NAMES.map((name) => createGround(part(name), reading));
      fit();
      photo.src = address;
    },
    /** @param {Float32Array[]} rows before, after, difference  @param {number} limit of the last */
    draw(rows, limit, { query, pointed, old }, tables, colours) {
      grounds.forEach((ground, place) => {
        const signed = place === 2;
        part(MAP_NAMES[place]).style.opacity = old && place ? "0.35" : "1";
        const context = signed ? drawSigned(ground, part(MAP_NAMES[place]), rows[place], limit, tables.signed) : ground.draw(rows[place], CHANCE, tables.plain);
        ground.cross(query, colours);
        if (pointed >= 0 && pointed !== query) {
          const at = ground.rectOf(pointed);
          context.lineWidth = 2;
          context.strokeStyle = colours.accent;
          context.strokeRect(at.left, at.top, at.width, at.height);
        }
      });
    },
    patchAt: (name, x, y) => grounds[MAP_NAMES.indexOf(name)]?.patchAt(x, y) ?? -1,
    place: () => grounds[0]?.place() ?? null,
    names: MAP_NAMES,
  };
}
