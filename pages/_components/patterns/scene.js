/** The picture of the plane, drawn once per zoom and larger than the box: panning only moves it. */
import { densityRings } from "./contours.js";
import { mainCluster } from "./cloud.js";
import { drawMarks } from "./marks.js";
import { INSET, projection } from "./space.js";
import { diamondStamp, discStamp, splat } from "./splat.js";
import { drawTiles, patternSheet } from "./tiles.js";
import { pointTints } from "./tints.js";

const MARGIN = 0.35; // of the box on each side

/** Points get larger with the zoom, and smaller the more there are. */
function pointRadius(count, zoom, ratio) {
  const base = count > 40000 ? 0.5 : count > 8000 ? 0.8 : count > 1500 ? 1.3 : 2;
  return Math.min(4, base * zoom ** 0.45) * ratio;
}

function inkOf(colours) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = colours.text;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

export function createScene(cloud) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false });
  const dust = document.createElement("canvas"); // the points alone
  const own = cloud.models.length > 1 ? [0, 1].map((model) => rowsOfModel(cloud, model)) : [null];
  const mainClusters = cloud.heads.map((_, head) => mainCluster(cloud, head));
  let rings = null;
  let sheet = null;
  let tinted = { key: "", tints: null };
  let image = null;
  let drawn = null;

  function size(box, ratio) {
    const margin = { x: Math.round(box.width * MARGIN), y: Math.round(box.height * MARGIN) };
    const width = Math.round((box.width + 2 * margin.x) * ratio);
    const height = Math.round((box.height + 2 * margin.y) * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      for (const one of [canvas, dust]) { one.width = width; one.height = height; }
      image = new ImageData(width, height);
    }
    return margin;
  }

  function drawDust(state, at, ratio, tints) {
    const key = `${state.tint} ${state.theme}`;
    if (tinted.key !== key) tinted = { key, tints: pointTints(tints, cloud, state.tint) };
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(0);
    const device = { left: at.left * ratio, top: at.top * ratio, wide: at.wide * ratio, high: at.high * ratio };
    const radius = pointRadius(cloud.count, state.view.zoom, ratio);
    own.forEach((rows, model) => {
      const stamp = model ? diamondStamp(radius * 0.8) : discStamp(radius);
      splat(pixels, image.width, image.height, cloud, device, tinted.tints, stamp, 0.62, rows);
    });
    dust.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(dust, 0, 0, image.width / ratio, image.height / ratio);
  }

  /** One path for each level, outermost first. */
  function contourPaths(at) {
    rings ??= densityRings(cloud.u, cloud.v);
    return rings.map((level) => {
      const path = new Path2D();
      for (const ring of level) {
        ring.forEach(([u, v], k) => path[k ? "lineTo" : "moveTo"](at.left + u * at.wide, at.top + v * at.high));
        path.closePath();
      }
      return path;
    });
  }

  /** Bands lie under the points, lines over them. */
  function drawBands(paths, colours) {
    context.fillStyle = colours.band;
    for (const path of paths) context.fill(path, "evenodd");
  }

  function drawLines(paths, colours) {
    context.strokeStyle = colours.dot;
    context.globalAlpha = 0.6;
    paths.forEach((path, i) => {
      context.lineWidth = i ? 0.8 : 1.1;
      context.stroke(path);
    });
    context.globalAlpha = 1;
    context.lineWidth = 1;
  }

  return {
    mainClusters,
    /** Draws everything for a window. @param {{width: number, height: number}} box CSS pixels */
    render(state, box, ratio, colours, tints) {
      const margin = size(box, ratio);
      const at = projection(box, state.view);
      at.left += margin.x;
      at.top += margin.y;
      const whole = { width: box.width + 2 * margin.x, height: box.height + 2 * margin.y };
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.fillStyle = colours.paper;
      context.fillRect(0, 0, whole.width, whole.height);
      context.textBaseline = "middle";
      context.lineWidth = 1;
      const paths = state.contours ? contourPaths(at) : [];
      drawBands(paths, colours);
      if (state.patterns) {
        if (sheet?.theme !== state.theme) sheet = { theme: state.theme, canvas: patternSheet(cloud, inkOf(colours)) };
        drawTiles(context, cloud, sheet.canvas, at, colours);
      }
      if (state.points) drawDust(state, at, ratio, tints);
      drawLines(paths, colours);
      drawMarks(context, cloud, state, at, colours, tints, mainClusters, { margin, size: whole });
      drawn = { view: state.view, margin, whole, ratio };
    },
    /** Whether the picture reaches over the whole box under a window. */
    covers(view, box) {
      if (!drawn) return false;
      const { left, top, wide, high } = this.place(view);
      return left <= 0 && top <= 0 && left + wide >= box.width && top + high >= box.height;
    },
    isFor: (view) => drawn?.view.zoom === view.zoom,
    /** Where the picture lies on the box under a window, CSS pixels. */
    place(view) {
      const k = view.zoom / drawn.view.zoom;
      return {
        left: view.x + INSET - (drawn.view.x + INSET + drawn.margin.x) * k,
        top: view.y + INSET - (drawn.view.y + INSET + drawn.margin.y) * k,
        wide: drawn.whole.width * k,
        high: drawn.whole.height * k,
      };
    },
    canvas,
  };
}

function rowsOfModel(cloud, model) {
  return Uint32Array.from([...cloud.model.keys()].filter((row) => cloud.model[row] === model));
}
