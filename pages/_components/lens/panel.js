/** The right column: what is under the cursor, in words and numbers. */
import { cssColour, number, pack } from "./scale.js";
import { summarise, valueAt } from "./stats.js";
import { nameOf, offNames, parsePatch, project } from "./record.js";
import { chosenHeads } from "./overlay.js";

export const EXPORTS = ["svg", "pdf", "png", "npz", "safetensors", "json"];

/** Keeps a definition list's rows, so that a hover changes text nodes only. */
function createTable(list) {
  const rows = new Map();
  list.replaceChildren(); // those of the record before
  return (name, value, hint) => {
    let entry = rows.get(name);
    if (!entry) {
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      list.append(term, detail);
      entry = { term, detail, text: null };
      rows.set(name, entry);
    }
    if (hint && entry.term.title !== hint) entry.term.title = hint;
    const text = typeof value === "string" ? value : null;
    if (text !== null && entry.text === text) return entry.detail;
    entry.text = text;
    if (text === null) entry.detail.replaceChildren(...value);
    else entry.detail.textContent = text;
    return entry.detail;
  };
}

function percent(value) {
  return value.toFixed(value < 0.0995 ? 3 : 2);
}

/** @param {(name: string) => HTMLElement} part finds an element by its data-part */
export function createPanel(part, record, address) {
  const fact = createTable(part("facts"));
  const token = createTable(part("token"));
  const mass = part("mass");
  const bars = ["cls", "registers", "patches"].map((kind) => {
    const bar = document.createElement("i");
    bar.className = kind;
    return bar;
  });
  mass.replaceChildren(...bars);
  const swatch = document.createElement("i");
  swatch.className = "swatch";
  const colourText = document.createTextNode("");
  const links = EXPORTS.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind === "safetensors" ? "safetensors" : kind.toUpperCase();
    link.dataset.kind = kind;
    link.setAttribute("download", "");
    link.className = "button";
    return link;
  });
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "copy link";
  copy.dataset.do = "copy";
  part("exports").replaceChildren(...links, copy);

  function massOf(summary) {
    const total = summary.total || 1;
    const shares = [summary.mass.cls, summary.mass.registers, summary.mass.patches];
    bars.forEach((bar, i) => { bar.style.width = `${(100 * shares[i]) / total}%`; });
    const names = record.prefix.some((name) => name.startsWith("reg"))
      ? "cls / reg / patches" : "cls / patches";
    const shown = names.includes("reg") ? shares : [shares[0], shares[2]];
    fact(`Mass ${names}`, shown.map(percent).join(" / "),
      "Attention that falls on the class token, on registers and on patches");
  }

  function distanceText(summary) {
    if (summary.distance === null) return "none (no position)";
    const pixels = summary.distance * summary.patchPixels;
    return `${summary.distance.toFixed(1)} patches · ${pixels.toFixed(0)} px`;
  }

  function facts(state, bits) {
    const at = state.pointed ?? { layer: state.layer, head: state.head };
    const summary = summarise(record, bits, at.layer, at.head, state.direction, state.query);
    const patch = state.cursor ?? parsePatch(state.query);
    fact("Head", `${record.layers[at.layer].label} H${at.head}`, record.layers[at.layer].name);
    fact("Query", nameOf(state.query) + (state.pinned ? ", pinned" : ""), "The token whose maps are shown");
    fact("Patch", patch ? `${patch[0]}, ${patch[1]}` : "none", "Row and column from 0 at the top left");
    const value = patch ? valueAt(record, bits, at.layer, at.head, state.direction, patch) : NaN;
    fact("Attention there", patch ? number(value) : "none",
      "After softmax; a row of attention sums to 1");
    fact("× uniform", patch && !Number.isNaN(value) ? `${(value * summary.tokens).toPrecision(3)} ×` : "none",
      "The value times the number of keys that a query sees: 1 is what equal attention to them would give");
    if (state.direction === "to") {
      const nats = summary.entropy === null ? "none (no such token in this layer)"
        : `${summary.entropy.toFixed(2)} of ${summary.maxEntropy.toFixed(2)} nats`;
      fact("Row entropy", nats, "−Σ p ln p over all tokens of the row; at most ln(number of keys it sees)");
    } else {
      fact("Row entropy", `sum received ${number(summary.total)}`,
        "A column is no distribution: its sum is the attention the token receives from all queries");
    }
    fact("Mean distance", distanceText(summary),
      "Σ p · distance from the query patch; prefix tokens dropped, the rest renormalised; pixels of the picture");
    massOf(summary);
    return { at, summary, patch, value };
  }

  function tokenFacts(state, extras, at) {
    const layer = record.layers[at.layer].to;
    const patch = state.cursor ?? parsePatch(state.query);
    const prefix = record.prefix.includes(state.query) && !state.cursor
      ? layer.prefix.indexOf(state.query) : -1;
    let index = prefix;
    let place = null;
    if (patch && prefix < 0) {
      place = project(record, layer, patch[0], patch[1]);
      index = layer.prefix.length + place[0] * layer.columns + place[1];
    }
    const norm = extras.norms?.[at.layer]?.[index];
    const name = patch && prefix < 0 ? `patch ${patch.join(",")}` : state.query;
    token("Token", name);
    token(`Norm after ${record.layers[at.layer].label}`.replace(/ after .*/, " after layer"),
      norm === undefined ? "none" : `${number(norm)} (${record.layers[at.layer].label})`,
      "Euclidean norm of the token in the residual stream after this layer");
    const pca = extras.pca?.[at.layer];
    if (pca && place) {
      const start = 3 * (place[0] * pca.columns + place[1]);
      const [red, green, blue] = pca.colours.subarray(start, start + 3);
      swatch.style.background = cssColour(pack(red, green, blue, 255));
      colourText.textContent = ` ${red}, ${green}, ${blue}`;
      token("Feature colour", [swatch, colourText], "First three principal components of the patch features, as red, green, blue");
    } else {
      token("Feature colour", "none", "First three principal components of the patch features, as red, green, blue");
    }
  }

  function exportLinks(state) {
    const query = new URLSearchParams({
      q: state.query, direction: state.direction, layer: state.layer, head: state.head,
      scale: state.scale, cmap: state.cmap, opacity: state.opacity.toFixed(2),
    });
    const heads = chosenHeads(state).map(([layer, head]) => `L${layer}H${head}`).join(",");
    if (heads) query.set("heads", heads);
    for (const link of links) link.href = `${address}/export/${link.dataset.kind}?${query}`;
  }

  /** What the heads that are off changed, by the record: it does not follow the cursor. */
  function effects(off) {
    const fact = createTable(part("offFacts"));
    part("offFacts").hidden = part("offText").hidden = part("allOn").hidden = !off;
    if (!off) return;
    part("offText").textContent = `Off: ${off.heads.map(([l, h]) => `L${l} H${h}`).join(", ")}`;
    fact("Cls shift", number(off.cls_shift), "1 − cosine of the cls token after the final norm, all heads on against these off");
    fact("Patch shift", number(off.patch_shift), "1 − mean cosine of the patch tokens after the final norm");
    const now = new Map(off.after);
    for (const [name, probability] of off.before.slice(0, 3)) {
      const left = now.has(name) ? percent(now.get(name)) : "below the first five";
      fact(name, `${percent(probability)} → ${left}`, "Probability of the class with all heads on, and with these off");
    }
    const first = off.after[0];
    if (first && first[0] !== off.before[0][0]) fact("Predicted now", `${first[0]} ${percent(first[1])}`);
  }
  effects(record.off);

  return {
    /** The buttons of the what-if say what they would do. */
    whatIf(state, chosen) {
      const isOff = offNames(record).has(`${state.layer}:${state.head}`);
      const words = isOff ? "switch this head on" : "switch this head off";
      if (part("switchHead").textContent !== words) part("switchHead").textContent = words;
      part("switchSet").hidden = !chosen.length;
    },

    /** Everything that follows the cursor. Returns what the screen reader is told. */
    update(state, bits, extras) {
      exportLinks(state);
      if (!bits) return null;
      const found = facts(state, bits);
      tokenFacts(state, extras, found.at);
      return found;
    },
  };
}
