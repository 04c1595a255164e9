/** Error by epoch while the coder learns, or errors of all points; and how much of the variance it explains beside PCA. */
import { number } from "../lens/scale.js";
import { beginPlot, niceTicks, tickText, yAxis } from "../heads/plot.js";

const ERROR_BINS = 40;
const LOSS_EDGE = { left: 44, right: 12, top: 8, bottom: 18 };

function shareText(value) {
  return value === null ? "none" : value.toFixed(2).replace("-", "−").replace("0.", ".");
}

/** Two bars: variance explained by the autoencoder and by principal components. */
function fitBars(box, cloud) {
  const { r2_autoencoder: own, r2_pca: other, better } = cloud.fit;
  const row = (name, title, value) => {
    const label = document.createElement("span");
    const bar = document.createElement("i");
    const fill = document.createElement("b");
    const text = document.createElement("output");
    label.textContent = title;
    text.textContent = shareText(value);
    fill.style.width = `${100 * Math.max(0, Math.min(1, value ?? 0))}%`;
    bar.append(fill);
    if (name === better) for (const one of [label, bar, text]) one.classList.add("used");
    return [label, bar, text];
  };
  box.replaceChildren(...row("autoencoder", "autoencoder R²", own), ...row("pca", "PCA R²", other));
  const about = "Share of the variance of maps explained on images held out of the fit, at the same latent size";
  box.title = `${about}. In use: ${better === "pca" ? "PCA" : "the autoencoder"}`;
}

/** How many points have errors in equal steps from 0 to a little above the largest usual one. */
function errorBins(errors) {
  const sorted = Float32Array.from(errors).filter((one) => !Number.isNaN(one)).sort();
  const top = Math.max(0.1, sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 1) * 1.05;
  const counts = new Uint32Array(ERROR_BINS);
  for (const one of sorted) counts[Math.min(ERROR_BINS - 1, Math.floor((one / top) * ERROR_BINS))] += 1;
  return { counts, top, most: Math.max(...counts) };
}

export function createLoss(part, cloud) {
  fitBars(part("fits"), cloud);
  const bins = errorBins(cloud.error);

  /** Errors of all points, where nothing was trained here; the shown point is marked. */
  function drawErrors(context, width, height, colours, row) {
    const [left, right] = [LOSS_EDGE.left, width - LOSS_EDGE.right];
    const [top, bottom] = [LOSS_EDGE.top + 8, height - LOSS_EDGE.bottom - 13];
    const x = (error) => left + (Math.min(error, bins.top) / bins.top) * (right - left);
    const y = (count) => bottom - (count / bins.most) * (bottom - top);
    yAxis(context, niceTicks(0, bins.most, 3), y, left, right, colours);
    const wide = (right - left) / ERROR_BINS;
    context.fillStyle = colours.pale;
    bins.counts.forEach((count, i) => context.fillRect(left + i * wide + 0.5, y(count), wide - 1, bottom - y(count)));
    context.fillStyle = colours.faint;
    context.textAlign = "center";
    for (const tick of niceTicks(0, bins.top, 5)) context.fillText(tickText(tick), x(tick), bottom + 9);
    const whole = "error of a map: 0 perfect, 1 no better than the mean map";
    context.fillText(width > 360 ? whole : "error of a map (1: the mean map)", (left + right) / 2, bottom + 23);
    if (row < 0 || Number.isNaN(cloud.error[row])) return;
    context.strokeStyle = colours.accent;
    context.beginPath();
    context.moveTo(x(cloud.error[row]), top - 6);
    context.lineTo(x(cloud.error[row]), bottom);
    context.stroke();
  }

  function line(context, values, x, y, colour, dash) {
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    context.beginPath();
    values.forEach((value, i) => { if (value !== null) context.lineTo(x(i + 1), y(value)); });
    if (values.length === 1 && values[0] !== null) context.arc(x(1), y(values[0]), 1.5, 0, 7);
    context.stroke();
    context.setLineDash([]);
    context.lineWidth = 1;
  }

  return {
    /** Whether the chart marks the point that is shown. */
    marksRow: (live) => !(live ?? cloud.training).train.length,
    title: (live) => {
      if (live) return `Training a coder · epoch ${live.train.length} of ${live.epochs}`;
      const used = cloud.fit.better === "pca" ? "PCA is better and in use" : "Autoencoder in use";
      return `${used} · ${cloud.fit.latent_size} values a map`;
    },
    /** Last losses, in the colours of their lines. */
    ends(live) {
      const { train, held_out: heldOut } = live ?? cloud.training;
      const named = [["training", train, "own"], ["held out", heldOut, "held"]];
      return named.filter(([, values]) => (values.at(-1) ?? null) !== null).map(([name, values, kind]) => {
        const span = document.createElement("span");
        span.className = kind;
        span.textContent = `${name} ${number(values.at(-1))}`;
        return span;
      });
    },
    /** @param {object | null} live losses of a training under way; they stand for the atlas's own */
    draw(colours, live, row) {
      const { train, held_out: heldOut, epochs } = live ?? cloud.training;
      const begun = beginPlot(part("loss"), colours);
      if (!begun) return;
      const { context, width, height } = begun;
      if (!train.length) { drawErrors(context, width, height, colours, row); return; }
      const [left, right] = [LOSS_EDGE.left, width - LOSS_EDGE.right];
      const [top, bottom] = [LOSS_EDGE.top, height - LOSS_EDGE.bottom];
      const all = [...train, ...heldOut].filter((value) => value > 0).map(Math.log10);
      const [low, high] = [Math.min(...all) - 0.03, Math.max(...all) + 0.03];
      const y = (value) => bottom - ((Math.log10(value) - low) / (high - low)) * (bottom - top);
      const last = Math.max(epochs, train.length);
      const x = (epoch) => left + ((epoch - 1) / Math.max(1, last - 1)) * (right - left);
      const ticks = niceTicks(10 ** low, 10 ** high, 4).filter((tick) => tick > 0);
      yAxis(context, ticks, y, left, right, colours);
      context.textAlign = "center";
      context.fillStyle = colours.faint;
      for (const epoch of niceTicks(1, last, 5)) {
        if (Number.isInteger(epoch) && x(epoch) < right - 46) context.fillText(tickText(epoch), x(epoch), bottom + 10);
      }
      context.textAlign = "right";
      context.fillText("epoch", right, bottom + 10);
      line(context, train, x, y, colours.accent, []);
      line(context, heldOut, x, y, colours.orange, [5, 3]);
    },
  };
}
