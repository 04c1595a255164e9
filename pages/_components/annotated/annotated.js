/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { failure } from "../lens/rows.js";
import { createAnnotatedDesk } from "./annotateddesk.js";

const REST_ANNOTATED_MS = 300;

async function fetchSurvey(base, token) {
  const response = await fetch(`${base}/atlas/annotated/${token}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

function createAnnotated(root) {
  const message = root.querySelector('[data-part="message"]');
  let component = null;
  let desk = null;
  let held = null;
  let wanted = "";
  let later = 0;
  let last = null;
  let serial = null;

  function say(text) {
    message.hidden = !text;
    message.textContent = text ?? "";
  }

  /** Python hears the last view only, once the user rests. */
  function tell(view) {
    last = view;
    clearTimeout(later);
    later = setTimeout(() => component.setStateValue("view", view), REST_ANNOTATED_MS);
  }

  function trigger(name, value) {
    component.setTriggerValue(name, value);
  }

  function failed(error) {
    if (error.status === 410) component.setTriggerValue("gone", wanted);
    else say(error.message ?? "the server did not answer");
  }

  /** The user's own choices stay while the same pictures are shown: Python hears them late. */
  function chosen(data, same) {
    if (!same || !last) return data;
    const { purity, look, background, page } = last;
    return { ...data, view: { ...data.view, purity, look, background, ...(data.pages ? {} : { page }) } };
  }

  async function show(data) {
    const { token, serial: number, looked, fitted, sources, view } = data;
    const mine = JSON.stringify([token, number, looked, fitted, sources, view.source, view.family, view.side, data.pages ? view.page : ""]);
    if (mine === wanted) return;
    wanted = mine;
    try {
      const same = held?.token === token && serial === number;
      const survey = held?.token === token ? held.survey : await fetchSurvey(data.base, token);
      if (wanted !== mine || !root.isConnected) return;
      if (!same) last = null;
      held = { token, survey };
      serial = number;
      const before = desk?.before();
      desk?.close();
      root.dataset.ready = "true";
      desk = createAnnotatedDesk(root, survey, chosen(data, same), before, { tell, trigger, failed });
      say(null);
    } catch (error) {
      if (wanted !== mine) return;
      wanted = "";
      if (error.status === 410) component.setTriggerValue("gone", token);
      else say(error.message ?? "the server did not answer");
    }
  }

  return {
    update(next) {
      component = next;
      show(next.data);
      // The theme's variables change without a word: read them again after the page has settled.
      requestAnimationFrame(() => desk?.recolour());
    },
    close() {
      clearTimeout(later);
      wanted = "closed";
      desk?.close();
    },
  };
}

const entry = mountOn(".annotated", createAnnotated);

export default function annotated(component) {
  return entry(component);
}
