/** Small multiples: the picture with each method's masks, and their scores in a line below. */
import { createGround, linearPlace } from "../flow/ground.js";
import { COHERENCE_CARD, TRUTH_CARD, cardNames, shownMasks } from "./findingstate.js";

const LINES = 56; // title, two lines of scores and frame of a card
const GAP = [8, 6];

/** "0.62", "−0.01". */
const hundredths = (value) => value.toFixed(2).replace("-", "−");

/** Two lines: IoU of the best mask with the best object; CorLoc and FG-ARI. */
export function scoreWords(method, unscored) {
  if (method.absent) return ["not run", ""];
  const { best_iou: iou, correct, fg_ari: ari } = method.scores;
  const nothing = method.count ? "" : "nothing found";
  if (iou === null) return [nothing || (unscored.startsWith("nobody") ? "not marked" : "not scored"), ""];
  const many = method.apart ? "" : ", best head";
  return [nothing || `IoU ${hundredths(iou)}${many}`, `box ${correct ? "yes" : "no"}${ari === null ? "" : ` · ARI ${hundredths(ari)}`}`];
}

/** As many columns as make the cards largest. */
function cardsFit(count, width, height, aspect) {
  let best = { across: 1, wide: 0 };
  for (let across = 2; across <= count; across += 1) {
    const down = Math.ceil(count / across);
    const wide = Math.min((width - GAP[0] * (across - 1)) / across - 6, ((height - GAP[1] * (down - 1)) / down - LINES) * aspect);
    if (wide > best.wide) best = { across, wide };
  }
  return { across: best.across, wide: Math.max(56, Math.floor(best.wide)) };
}

export function createMaskCards(part, data, painter) {
  const box = part("cards");
  const aspect = data.input[1] / data.input[0];
  const cells = cardNames(data).map((name) => cardOf(name));
  const place = linearPlace(data.lowest, data.highest);
  box.replaceChildren(...cells.map(({ button }) => button));

  function cardOf(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.card = name;
    const method = data.methodOf(name);
    const count = data.numbers.length;
    const title = method?.title ?? (name === TRUTH_CARD ? "truth" : "coherence");
    const words = method ? scoreWords(method, data.unscored)
      : name === TRUTH_CARD ? [`${count} object${count === 1 ? "" : "s"}`, "on patches"] : ["of neighbours", ""];
    const canvas = document.createElement("canvas");
    const gap = Object.assign(document.createElement("span"), { className: "gap", textContent: method?.absent ?? "" });
    const heading = document.createElement("b");
    const swatch = document.createElement("i");
    swatch.style.setProperty("--row", method?.ink ?? (name === TRUTH_CARD ? "#ffffff" : "transparent"));
    heading.append(swatch, title);
    const lines = words.map((textContent) => Object.assign(document.createElement("small"), { textContent: textContent || "\u00a0" }));
    button.title = [title, ...words, method?.absent || method?.note].filter(Boolean).join(", ");
    gap.hidden = !method?.absent;
    canvas.hidden = Boolean(method?.absent);
    button.append(canvas, gap, heading, ...lines);
    return { name, method, button, canvas, gap, ground: createGround(canvas, data) };
  }

  return {
    setPhoto: (photo) => cells.forEach(({ ground }) => ground.setPhoto(photo)),
    fit() {
      const { across, wide } = cardsFit(cells.length, box.clientWidth, box.clientHeight, aspect);
      box.style.setProperty("--across", String(across));
      const high = Math.round(wide / aspect);
      for (const { ground, gap } of cells) {
        ground.fit(wide, high);
        gap.style.width = `${wide}px`;
        gap.style.height = `${high}px`;
      }
    },
    draw(state, table) {
      for (const { name, method, button, ground } of cells) {
        button.setAttribute("aria-pressed", String(name === state.found));
        const context = name === COHERENCE_CARD ? ground.draw(data.coherence, place, table) : ground.draw(null);
        const own = name === state.found ? state.number : -1;
        if (method) painter.masks(context, ground, method, shownMasks(method, own), 1.3);
        else if (name === TRUTH_CARD) painter.objects(context, ground, 1.3);
      }
    },
    /** Card and patch under a pointer event; null outside. */
    at(event) {
      const cell = cells.find(({ canvas }) => event.composedPath().includes(canvas));
      if (!cell) return null;
      const frame = cell.canvas.getBoundingClientRect();
      return { name: cell.name, patch: cell.ground.patchAt(event.clientX - frame.left, event.clientY - frame.top) };
    },
  };
}
