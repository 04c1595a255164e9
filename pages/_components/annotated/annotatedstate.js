/** What is chosen in the gallery, and the numbers that follow from it. */

export const ON_A_PAGE = 12;
export const LOOKS = ["patches", "objects", "picture"];
const NEAR = 1e-6;

/** What a picture is called: of a made scene family and number, as the left panel counts them. */
export function titleOfImage(survey, row) {
  const { name, family } = survey.images[row];
  return survey.kind === "scenes" ? `${family.replaceAll("-", " ")} ${Number(name.slice(family.length)) % 100_000}` : name;
}

/** The page of pictures that hold a number. */
export function pagesOf(data, survey) {
  return data.pages ?? Math.max(1, Math.ceil(survey.images.length / ON_A_PAGE));
}

/** The first state, from what Python says. */
export function firstGallery(data, survey) {
  const { purity, look, background, page } = data.view;
  return {
    purity: nearestPurity(survey, Number(purity)),
    look: LOOKS.includes(look) ? look : LOOKS[0],
    background: background === "1",
    page: Math.max(0, Math.min(pagesOf(data, survey) - 1, Number(page) || 0)),
    pointed: null,
    focused: 0,
    help: false,
  };
}

/** What Python and the address hear of it, as text. */
export function galleryView(data, state) {
  return {
    source: data.view.source, family: data.view.family, side: data.view.side,
    page: String(state.page), look: state.look, purity: state.purity.toFixed(2), background: state.background ? "1" : "0",
  };
}

export function nearestPurity(survey, wanted) {
  return survey.purities.reduce((best, one) => (Math.abs(one - wanted) < Math.abs(best - wanted) ? one : best), survey.purities[0]);
}

/** Rows of pictures on this page: of scenes all that came, as each page is made anew. */
export function rowsOnPage(data, survey, state) {
  const first = data.pages ? 0 : state.page * ON_A_PAGE;
  const last = Math.min(survey.images.length, first + ON_A_PAGE);
  return Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
}

/** Patches and objects that a picture keeps. */
export function remainsOf(survey, state, row) {
  const at = survey.purities.indexOf(state.purity);
  const which = state.background ? 1 : 0;
  return { kept: survey.kept[row][at][which], live: survey.live[row][at][which] };
}

/** The same over all pictures, with those that show two objects or more. */
export function remainsOfAll(survey, state) {
  const total = { kept: 0, live: 0, usable: 0 };
  survey.images.forEach((_, row) => {
    const { kept, live } = remainsOf(survey, state, row);
    total.kept += kept;
    total.live += live;
    total.usable += live > 1 ? 1 : 0;
  });
  return total;
}

/** Whether a patch keeps an object: `yes`, or why not. */
export function fateOf(tile, patch, state) {
  const [most, share] = [tile.most[patch], tile.shares[patch]];
  if (share < state.purity - NEAR) return "mixed";
  return most > 0 || state.background ? "yes" : "unlabelled";
}
