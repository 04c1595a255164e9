/** The row of maps: picture, colour bar, curves and areas of each, hover linked over all. */
import { cssColour, number } from "../lens/scale.js";
import { MAP_ORDER, titleOfMap, whyNot } from "./evidence.js";
import { createFaithful, curveColours } from "./faithful.js";
import { createGround, linearPlace } from "./ground.js";
import { UNIT_OF_SCALING } from "./mapscale.js";

const AREAS = [["deletion", "smaller is better"], ["insertion", "larger is better"]];

/** An element of a class, with its children. */
function made(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** "0.412", "−3.1e−4": short enough for a colour bar. */
function tickNumber(value) {
  return number(value).replace("-", "−");
}

/** A spread needs one digit. */
function spreadNumber(value) {
  return value >= 0.001 ? Number(value.toPrecision(1)).toString() : value.toExponential(0).replace("e-", "e−");
}

/** Draws a colour bar and its three numbers. */
export function paintBar(bar, ticks, table, values) {
  const context = bar.getContext("2d");
  for (let i = 0; i < 256; i += 1) {
    context.fillStyle = cssColour(table[i]);
    context.fillRect(i, 0, 1, 1);
  }
  values.forEach((value, i) => put(ticks[i], tickNumber(value)));
}

function createBar() {
  const canvas = made("canvas");
  canvas.width = 256;
  canvas.height = 1;
  canvas.setAttribute("aria-hidden", "true");
  const ticks = [made("span"), made("span"), made("span")];
  return { canvas, ticks, box: made("div", "scalebar", canvas, made("div", "ticks", ...ticks)) };
}

/** Areas under the curves beside those of random orders. */
function createAreas(evidence, name) {
  const own = evidence.byName.get(name);
  const box = made("div", "areas");
  const head = made("div", "head", made("i"), made("span", "", "area"), made("b", "", "map"), made("span", "beside", "random orders"));
  box.append(head);
  for (const [curve, better] of AREAS) {
    const random = evidence.random[curve];
    const value = own?.[`${curve}_auc`] ?? null;
    const line = made("div", "", made("i", curve), made("span", "", curve));
    line.dataset.curve = curve;
    line.append(made("b", "", number(value)));
    const beside = random ? `${number(random.auc)} ± ${spreadNumber(random.auc_std)}` : "";
    line.append(made("span", "beside", beside));
    const wins = curve === "deletion" ? value < random?.auc - random?.auc_std : value > random?.auc + random?.auc_std;
    line.classList.toggle("wins", value !== null && Boolean(random) && wins);
    line.title = `Area under the ${curve} curve, ${better}. ${random ? `Random: mean ± standard deviation of ${random.orders} orders. ` : ""}Bold: better than that`;
    box.append(line);
  }
  return box;
}

function createCard(evidence, name) {
  const canvas = made("canvas", "mapView");
  canvas.setAttribute("role", "img");
  canvas.title = "click: this patch in the lens";
  const title = made("button", "cardTitle");
  title.type = "button";
  title.dataset.map = name;
  const why = made("p", "why");
  const bar = createBar();
  const curve = made("canvas");
  curve.setAttribute("role", "img");
  curve.setAttribute("aria-label", "Deletion and insertion curve beside random orders");
  const view = made("div", "viewBox", canvas, why);
  const areas = createAreas(evidence, name);
  const unit = made("p", "unit");
  const card = made("div", "card", title, view, bar.box, unit, made("div", "plot", curve), areas);
  card.dataset.card = name;
  return { card, canvas, title, why, bar, view, curve, areas, unit, name };
}

export function createMapCards(box, evidence) {
  const cards = MAP_ORDER.map((name) => createCard(evidence, name));
  box.replaceChildren(...cards.map((one) => one.card));
  for (const card of cards) {
    card.ground = createGround(card.canvas, evidence);
    card.faithful = createFaithful(card.curve, evidence, card.name);
  }

  function words(card, state, found, why) {
    const known = evidence.byName.get(card.name);
    put(card.title, titleOfMap(evidence, card.name, state.layer));
    const about = known ? `${known.definition} ${known.source}` : why;
    if (card.title.title !== about) card.title.title = about;
    const pressed = String(card.name === state.map);
    if (card.title.getAttribute("aria-pressed") !== pressed) card.title.setAttribute("aria-pressed", pressed);
    card.card.classList.toggle("picked", card.name === state.map);
    card.canvas.setAttribute("aria-label", `${titleOfMap(evidence, card.name, state.layer)} over the picture`);
    card.why.hidden = !why;
    put(card.why, why);
    card.bar.box.classList.toggle("empty", !found);
    const unit = UNIT_OF_SCALING[state.scaling];
    const clip = state.scaling === "same" ? "all maps alike" : "this map alone";
    const text = state.shown === "change" ? `change, ${unit}` : `${unit}, ${clip}`;
    put(card.unit, found ? text : "");
  }

  function curveWords(card, state) {
    const own = evidence.layers[evidence.raw_layer];
    if (card.name === "raw" && state.layer !== evidence.raw_layer) return `curves: ${own} only`;
    return evidence.byName.has(card.name) ? "" : "no curves";
  }

  return {
    cards,
    setPhoto(photo) { for (const card of cards) card.ground.setPhoto(photo); },

    /** Every map as large as its column and the row allow. */
    fit() {
      const { view } = cards[0];
      const aspect = evidence.placement.width / evidence.placement.height;
      const wide = view.clientWidth;
      const high = Math.max(60, Math.min(wide / aspect, box.clientHeight - 190));
      for (const card of cards) {
        card.view.style.height = `${Math.floor(high)}px`;
        card.ground.fit(wide, Math.floor(high));
      }
    },

    /** @param {Map<string, object>} scaled what `scaledMaps` gave */
    draw(state, scaled, changed, tables, colours) {
      for (const card of cards) {
        const found = scaled.get(card.name);
        const why = whyNot(evidence, changed, card.name, state);
        const table = found?.signed ? tables.signed : tables.maps;
        card.ground.draw(found?.values ?? null, found && linearPlace(found.low, found.high), table, found?.signed);
        if (card.name === state.map) card.ground.frame(colours.accent);
        if (state.pointed >= evidence.ahead) card.ground.cross(state.pointed - evidence.ahead, colours);
        words(card, state, found, why);
        if (found) paintBar(card.bar.canvas, card.bar.ticks, table, [found.low, (found.low + found.high) / 2, found.high]);
        card.faithful.draw(state, colours, curveWords(card, state));
        card.areas.classList.toggle("old", Boolean(curveWords(card, state)));
        const inks = curveColours(colours);
        for (const line of card.areas.querySelectorAll("[data-curve]")) line.firstChild.style.background = inks[line.dataset.curve];
      }
    },
  };
}
