/** Buttons, selects and the colour bar around the picture. */
import { PERCENTILE, SCALE_WORDS, cssColour, number } from "./scale.js";
import { alphaOf } from "./stage.js";
import { nameOf, parsePatch } from "./record.js";
import { chosenHeads } from "./overlay.js";

/** Kind of a token, which decides its colour everywhere: cls blue, registers green, patches orange. */
function kindOf(name) {
  if (parsePatch(name)) return "patches";
  return name.startsWith("reg") ? "registers" : "cls";
}

function chip(name, label, kind) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.query = name;
  const dot = document.createElement("i");
  dot.className = `dot ${kind}`;
  button.append(dot, label);
  return button;
}

/** Many registers share one menu, so that the bar keeps its height. */
function registerMenu(names) {
  const select = document.createElement("select");
  select.dataset.part = "registers";
  select.setAttribute("aria-label", "Register as query");
  select.append(new Option("register", ""), ...names.map((name) => new Option(name, name)));
  return select;
}

export function createControls(root, part, record, palettes) {
  const patchChip = chip("", "patch", "patches");
  const patchText = patchChip.lastChild;
  const registers = record.prefix.filter((name) => kindOf(name) === "registers");
  const menu = registers.length > 2 ? registerMenu(registers) : null;
  const chips = record.prefix
    .filter((name) => !menu || kindOf(name) !== "registers")
    .map((name) => chip(name, name, kindOf(name)));
  part("queries").replaceChildren(...chips, ...(menu ? [menu] : []), patchChip);
  part("cmap").replaceChildren(...Object.keys(palettes).map((name) => new Option(name, name)));

  const bar = part("bar").getContext("2d");
  const ticks = [...part("ticks").children];
  let drawn = "";

  function press(selector, test) {
    for (const button of root.querySelectorAll(selector)) {
      const on = String(test(button));
      if (button.getAttribute("aria-pressed") !== on) button.setAttribute("aria-pressed", on);
    }
  }

  function paintBar(state, solid) {
    const name = `${state.cmap}:${state.opacity}:${solid}`;
    if (name === drawn) return;
    drawn = name;
    bar.clearRect(0, 0, 256, 1);
    for (let i = 0; i < 256; i += 1) {
      // The bar fades as the overlay does, so that both show the same colour for a value.
      bar.globalAlpha = solid ? state.opacity : alphaOf(i / 255, state.opacity);
      bar.fillStyle = cssColour(palettes[state.cmap][i]);
      bar.fillRect(i, 0, 1, 1);
    }
    bar.globalAlpha = 1;
  }

  function subject(state, map) {
    if (map.kind === "mean") return `Mean attention of ${chosenHeads(state).length} heads`;
    return `Attention of ${record.layers[state.layer].label} H${state.head}`;
  }

  function caption(state, map) {
    const layer = record.layers[state.layer].label;
    if (map.kind === "pca") {
      return `Patch features after ${layer}: first three principal components as red, green and blue, scaled within the layer`;
    }
    if (map.kind === "norm") {
      return `Norm of patch tokens after ${layer}, ${number(map.low)} to ${number(map.high)} (${PERCENTILE}th percentile of the layer; larger values clipped, maximum ${number(map.max)})`;
    }
    const between = state.direction === "to"
      ? `from ${nameOf(state.query)}` : `to ${nameOf(state.query)}, from every token`;
    const shared = map.kind === "mean" ? "this mean" : SCALE_WORDS[state.scale];
    return `${subject(state, map)} ${between}, 0 to ${number(map.high)} (${PERCENTILE}th percentile of ${shared}; larger values clipped, maximum ${number(map.max)})`;
  }

  return {
    /** Brings every control into line with the state and describes the overlay. */
    update(state, map) {
      press("[data-set]", (button) => {
        const [key, value] = button.dataset.set.split(":");
        return state[key] === value;
      });
      press("[data-toggle]", (button) => state[button.dataset.toggle]);
      const patch = parsePatch(state.query);
      if (patch) patchChip.dataset.query = state.query;
      const last = patchChip.dataset.query;
      const text = last ? `patch ${last}` : "patch";
      if (patchText.data !== text) patchText.data = text;
      patchChip.disabled = !last;
      patchChip.classList.toggle("pinned", state.pinned && Boolean(patch));
      press("[data-query]", (button) => button.dataset.query === state.query);
      if (menu) menu.value = registers.includes(state.query) ? state.query : "";
      part("cmap").value = state.cmap;
      part("opacity").value = state.opacity;
      part("opacityValue").value = state.opacity.toFixed(2);
      this.legend(state, map);
    },

    legend(state, map) {
      const line = part("caption");
      const words = map ? caption(state, map) : state.shown ? "Waiting for the row" : "Overlay hidden";
      if (line.textContent !== words) line.textContent = words;
      const plain = !map || map.kind === "pca";
      part("bar").parentElement.classList.toggle("empty", plain);
      if (plain) return;
      paintBar(state, map.solid);
      const numbers = [map.low, (map.low + map.high) / 2, map.high].map(number);
      ticks.forEach((tick, i) => { if (tick.textContent !== numbers[i]) tick.textContent = numbers[i]; });
    },
  };
}
