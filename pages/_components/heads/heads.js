/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { fetchAtlas } from "./atlas.js";
import { createDesk } from "./desk.js";
import { createPressing } from "./pressing.js";
import { failure } from "../lens/rows.js";
import { mountOn } from "../lens/mounting.js";

const REST_TELL_MS = 350;
const ASK_AGAIN_MS = 2000;
// A click while the page is drawn anew can get lost: then curves are asked for again.
const CURVES_HEARD = ["queued", "running", "failed", "cancelled"];

async function fetchMeta(address) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** What of a study changes while it is computed. */
function stamp(meta) {
  return [meta.id, meta.images_done, meta.complete, Boolean(meta.curves), Boolean(meta.agreement)].join();
}

function createHeads(root) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const cache = new Map(); // details of heads, by address
  const closing = new AbortController();
  const whenReleased = createPressing(root, closing.signal);
  let component = null;
  let desk = null;
  let token = null;
  let serial = null;
  let seen = "";
  let awaitsCurves = false;
  let untold = null;
  let later = 0;
  let again = 0;

  function say(message) {
    part("message").hidden = !message;
    part("message").textContent = message ?? "";
  }

  /** Python hears the last view only, once the user rests. */
  function tell(view) {
    untold = view;
    clearTimeout(later);
    later = setTimeout(tellNow, REST_TELL_MS);
  }

  function tellNow() {
    const view = untold;
    forget();
    if (view) component.setStateValue("view", view);
  }

  function forget() {
    clearTimeout(later);
    untold = null;
  }

  // A view told while another page comes would leave that page empty.
  window.addEventListener("pointerdown", (event) => {
    const path = event.composedPath();
    if (!path.includes(root) && path.some((node) => node instanceof HTMLAnchorElement)) forget();
  }, { signal: closing.signal, capture: true });

  function trigger(name, value) {
    // The lens gets the whole view: what came later would call for a page that is left.
    if (name === "lens") forget();
    if (name === "curves") {
      awaitsCurves = true;
      showWaiting();
      askAgain();
    }
    component.setTriggerValue(name, value);
  }

  function showWaiting() {
    part("curvesWord").hidden = !awaitsCurves;
    part("curvesButton").hidden = awaitsCurves;
  }

  function askAgain() {
    clearTimeout(again);
    again = setTimeout(() => show(component.data), ASK_AGAIN_MS);
  }

  function mount(atlas, data) {
    const same = data.serial === serial;
    const before = desk && same ? desk.before() : null;
    // Another serial brings a view of Python's own: what it has not heard yet is over.
    if (!same) forget();
    desk?.close();
    serial = data.serial;
    root.dataset.ready = "true";
    const gone = () => component.setTriggerValue("gone", data.token);
    desk = createDesk(root, atlas, data, before, cache, { tell, trigger, gone });
    // Another serial also says that curves failed or were stopped: they can be asked for again.
    awaitsCurves = awaitsCurves && same && !atlas.curves;
    showWaiting();
    say(null);
  }

  async function show(data) {
    const mine = data.token;
    clearTimeout(again);
    token = mine;
    try {
      const meta = await fetchMeta(`${data.base}/atlas/importance/${mine}`);
      const now = `${mine} ${stamp(meta)}`;
      const fresh = now !== seen || data.serial !== serial;
      const atlas = fresh ? await fetchAtlas(data.base, meta) : null;
      if (token !== mine || !root.isConnected) return;
      seen = now;
      if (atlas) whenReleased(() => { if (token === mine) mount(atlas, component.data); });
      if (awaitsCurves && !CURVES_HEARD.includes(meta.curves_job)) {
        component.setTriggerValue("curves", meta.id);
      }
      if (!meta.complete || awaitsCurves) askAgain();
    } catch (error) {
      if (token !== mine) return;
      if (error.status === 410) component.setTriggerValue("gone", mine);
      else say(error.message);
    }
  }

  return {
    update(next) {
      component = next;
      const { data } = next;
      if (data.token !== token || (desk && data.serial !== serial)) show(data);
      // The theme's variables change without a word: read them again after the page has settled.
      requestAnimationFrame(() => desk?.recolour());
      desk?.mark(data.found);
    },
    close() {
      closing.abort();
      forget();
      clearTimeout(again);
      token = null;
      desk?.close();
    },
  };
}

const entry = mountOn(".heads", createHeads);

export default function heads(component) {
  return entry(component);
}
