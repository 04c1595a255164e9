/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { failure } from "../lens/rows.js";
import { fetchEvidence } from "./evidence.js";
import { createFlowDesk } from "./flowdesk.js";
import { mountOn } from "../lens/mounting.js";

const REST_TELL_MS = 350;

async function fetchFlow(base, token) {
  const response = await fetch(`${base}/atlas/flow/${token}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return fetchEvidence(base, await response.json());
}

function createFlow(root) {
  const message = root.querySelector('[data-part="message"]');
  const held = new Map(); // flows by token: the one on screen and its what-if
  let component = null;
  let desk = null;
  let wanted = "";
  let serial = null;
  let later = 0;

  function say(text) {
    message.hidden = !text;
    message.textContent = text ?? "";
  }

  /** Python hears the last view only, once the user rests. */
  function tell(view) {
    clearTimeout(later);
    later = setTimeout(() => component.setStateValue("view", view), REST_TELL_MS);
  }

  /** A wish takes the view along: a later word about it could overtake the change of the page. */
  function trigger(name, value) {
    clearTimeout(later);
    component.setTriggerValue(name, value);
  }

  async function fetched(base, token) {
    if (!token) return null;
    if (!held.has(token)) held.set(token, await fetchFlow(base, token));
    return held.get(token);
  }

  async function show(data) {
    const mine = `${data.token} ${data.changed} ${data.asked} ${data.serial}`;
    if (mine === wanted) return;
    wanted = mine;
    try {
      const [evidence, changed] = await Promise.all([data.token, data.changed].map((token) => fetched(data.base, token)));
      if (wanted !== mine || !root.isConnected) return;
      const same = data.serial === serial;
      if (!same) clearTimeout(later);
      const before = desk && same ? desk.before() : null;
      desk?.close();
      serial = data.serial;
      root.dataset.ready = "true";
      desk = createFlowDesk(root, evidence, changed, data, before, { tell, trigger });
      for (const token of held.keys()) if (token !== data.token && token !== data.changed) held.delete(token);
      say(null);
    } catch (error) {
      if (wanted !== mine) return;
      wanted = "";
      if (error.status === 410) component.setTriggerValue("gone", data.token);
      else say(error.message);
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

const entry = mountOn(".flow", createFlow);

export default function flow(component) {
  return entry(component);
}
