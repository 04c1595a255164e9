/** The right column of the gallery: under the cursor, what remains, exports, notes. */
import { factTable } from "../heads/facts.js";
import { fateOf, ON_A_PAGE, remainsOf, remainsOfAll, titleOfImage } from "./annotatedstate.js";

const ANNOTATED_EXPORTS = ["svg", "png", "pdf", "csv", "parquet", "npz", "json"];
const MOST_SKIPPED = 200;
export const KIND_WORDS = { scenes: "made scenes", ade20k: "ADE20K", adechallenge: "ADEChallenge", coco: "COCO", voc: "VOC", masks: "pictures with masks" };
const FATES = { yes: "kept", mixed: "left out: mixed", unlabelled: "left out: unlabelled" };

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** "3, dog", or what stands for none. */
function instanceName(tile, place) {
  if (place === 0) return "none (id 0)";
  const name = tile.classes[place - 1];
  return `${tile.ids[place - 1]}${name ? `, ${name}` : ""}`;
}

export function tileWords(survey, state, row, narrow = false) {
  const { kept, live } = remainsOf(survey, state, row);
  if (narrow) return `${live}/${survey.images[row].whole} · ${kept} patches`;
  return `${counted(live, "object")} of ${survey.images[row].whole} in ${counted(kept, "patch").replace(/patchs$/, "patches")}`;
}

export function createGalleryFacts(part, survey, data) {
  const fact = factTable(part("facts"));
  const remains = factTable(part("remains"));
  const links = ANNOTATED_EXPORTS.map((kind) => {
    const link = document.createElement("a");
    link.textContent = kind === "parquet" ? "Parquet" : kind.toUpperCase();
    Object.assign(link.dataset, { kind });
    link.className = "button";
    link.setAttribute("download", "");
    return link;
  });
  part("exports").replaceChildren(...links);
  const patches = survey.rows * survey.columns;
  const instances = survey.images.reduce((sum, one) => sum + one.whole, 0);

  function fixed() {
    part("noteBlock").hidden = !survey.notes.length;
    part("notes").textContent = survey.notes.join(" ");
    part("skippedBlock").hidden = !survey.skipped.length;
    part("skippedTitle").textContent = `Skipped, ${counted(survey.skipped.length, "picture")}`;
    part("skipped").replaceChildren(...survey.skipped.slice(0, MOST_SKIPPED).map(([name, reason]) => {
      const item = document.createElement("li");
      item.textContent = `${name}: ${reason}`;
      return item;
    }));
  }

  function ofAll(state) {
    const all = remainsOfAll(survey, state);
    const whole = patches * survey.images.length;
    const share = whole ? Math.round((100 * all.kept) / whole) : 0;
    remains("kind", "Layout", KIND_WORDS[survey.kind] ?? survey.kind, "The arrangement of files that was recognised");
    remains("images", "Pictures", survey.images.length.toLocaleString("en"), "Those that can be read, each once");
    remains("instances", "Instances", instances.toLocaleString("en"), "In the whole pictures, before the crop");
    remains("kept", "Patches kept", `${all.kept.toLocaleString("en")} (${share} %)`, `Of ${whole.toLocaleString("en")} patches of the model's input`);
    remains("live", "Objects kept", all.live.toLocaleString("en"), "Objects with at least one patch");
    remains("usable", "Pictures with 2 objects", all.usable.toLocaleString("en"), "Only these have pairs of patches of different objects; probes need at least 3");
  }

  function ofOne(state, tiles, row) {
    const image = survey.images[row];
    const tile = tiles.get(row);
    fact("name", "Picture", image ? titleOfImage(survey, row) : "none", image?.name);
    fact("size", "Size", image ? `${image.width} × ${image.height}` : "", "Width and height in pixels");
    fact("whole", "Instances", image ? String(image.whole) : "");
    const at = state.pointed && tile ? state.pointed : null;
    const patch = at?.patch ?? -1;
    fact("here", "Instance here", at ? instanceName(tile, at.place) : "–", "Number and class of the pixel");
    fact("patch", "Patch", at ? `${Math.floor(patch / survey.columns)},${patch % survey.columns}` : "–", "Row and column from 0");
    fact("most", "Most of it", at ? instanceName(tile, tile.most[patch]) : "–", "The most frequent instance of the patch");
    fact("share", "Its share", at ? tile.shares[patch].toFixed(2) : "–", "Of the patch's pixels");
    fact("fate", "At this purity", at ? FATES[fateOf(tile, patch, state)] : "–");
    fact("notes", "Notes", image?.notes.length ? image.notes.join("; ") : "none");
  }

  fixed();
  return {
    update(state, tiles, row) {
      ofOne(state, tiles, row);
      ofAll(state);
      part("fitted").textContent = data.fitted;
      part("fitButton").textContent = `Fit probes on ${survey.kind === "scenes" ? "made scenes" : "this set"} at purity ${state.purity.toFixed(2)}`;
      const query = new URLSearchParams({
        purity: String(state.purity), background: state.background ? "1" : "0",
        first: String(data.pages ? 0 : state.page * ON_A_PAGE), count: String(ON_A_PAGE),
      });
      for (const link of links) link.href = `${data.base}${survey.urls.export}/${link.dataset.kind}?${query}`;
    },
  };
}
