/** Follows a coder that is being trained in the background: its losses, and what it draws. */
import { failure } from "../lens/rows.js";
import { paintMap } from "./mappair.js";

const ASK_MS = 900;

/** @param {(live: {train, held_out, epochs} | null) => void} onNews losses so far, or none */
export function createLearning(part, cloud, base, palette, onNews) {
  let token = "";
  let timer = 0;
  let epochs = -1;

  /** Patterns of a grid as one picture; the rows of the grid run upwards. */
  function paintSheet(bytes, { side }) {
    const grid = Math.round(Math.sqrt(bytes.length / (side * side)));
    const gap = 2;
    const sheet = part("learningMaps");
    sheet.width = sheet.height = grid * (side + gap) - gap;
    const tile = document.createElement("canvas");
    const context = sheet.getContext("2d");
    for (let cell = 0; cell < grid * grid; cell += 1) {
      paintMap(tile, bytes.subarray(cell * side * side, (cell + 1) * side * side), side, palette);
      const row = grid - 1 - Math.floor(cell / grid);
      context.drawImage(tile, (cell % grid) * (side + gap), row * (side + gap));
    }
  }

  /** The lower corner with fewer points under it. */
  function emptierCorner() {
    const under = [0, 0];
    for (let row = 0; row < cloud.count; row += 1) {
      if (cloud.v[row] > 0.5 && Math.abs(cloud.u[row] - 0.5) > 0.2) under[Number(cloud.u[row] > 0.5)] += 1;
    }
    return under[0] < under[1];
  }

  async function ask() {
    const mine = token;
    try {
      const query = `?of=${encodeURIComponent(mine)}`;
      const response = await fetch(`${base}${cloud.urls.training}${query}`, { cache: "no-store" });
      if (!response.ok) throw await failure(response);
      const live = await response.json();
      if (token !== mine) return;
      if (live.train.length !== epochs && live.train.length) {
        epochs = live.train.length;
        onNews(live);
        const answer = await fetch(`${base}${cloud.urls.drawn}${query}`, { cache: "no-store" });
        if (token !== mine) return;
        if (answer.ok) {
          paintSheet(new Uint8Array(await answer.arrayBuffer()), cloud.grid);
          part("learningWord").textContent = `What it draws after epoch ${epochs} of ${live.epochs}`;
          part("learning").classList.toggle("atLeft", emptierCorner());
          part("learning").hidden = false;
        }
      }
    } catch {
      // The server may be busy: the next round asks again.
    }
    if (token === mine) timer = setTimeout(ask, ASK_MS);
  }

  function stop() {
    clearTimeout(timer);
    token = "";
    epochs = -1;
    part("learning").hidden = true;
  }

  return {
    /** @param {string} next signed key of the job that trains, empty for none */
    follow(next) {
      if (next === token) return;
      stop();
      token = next;
      onNews(null);
      if (token) ask();
    },
    close: stop,
  };
}
