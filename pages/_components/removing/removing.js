/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { fetchEdited, fetchSweep } from "./removingdata.js";
import { createRemovingDesk } from "./removingdesk.js";

const REST_REMOVING_MS = 300;
const AGAIN_MS = 1500;

function createRemoving(root) {
  const message = root.querySelector('[data-part="message"]');
  let component = null;
  let desk = null;
  let serial = null;
  let closed = false;
  let later = 0;
  let again = 0;
  let sweepToken = null;
  let editedToken = null;

  function say(text) {
    message.hidden = !text;
    message.textContent = text ?? "";
  }

  /** Python hears the last view only, once the user rests. */
  function tell(view) {
    clearTimeout(later);
    later = setTimeout(() => component.setStateValue("view", view), REST_REMOVING_MS);
  }

  function trigger(name, value) {
    clearTimeout(later);
    component.setTriggerValue(name, value);
  }

  function failed(error, token) {
    if (error.status === 410) component.setTriggerValue("gone", token);
    else say(error.message ?? "the server did not answer");
  }

  /** Fetches a sweep, and again as long as it grows. */
  async function follow(base, token) {
    try {
      const sweep = await fetchSweep(base, token);
      if (closed || sweepToken !== token) return;
      desk.setSweep(sweep);
      say(null);
      if (sweep.alive) again = setTimeout(() => follow(base, token), AGAIN_MS);
    } catch (error) {
      if (!closed && sweepToken === token) failed(error, token);
    }
  }

  async function read(base, token) {
    try {
      const edited = await fetchEdited(base, token);
      if (closed || editedToken !== token) return;
      desk.setEdited(edited);
      say(null);
    } catch (error) {
      if (!closed && editedToken === token) failed(error, token);
    }
  }

  function show(data) {
    if (!desk || data.serial !== serial) {
      clearTimeout(later);
      desk?.close();
      serial = data.serial;
      sweepToken = editedToken = null;
      desk = createRemovingDesk(root, data, { tell, trigger });
      root.dataset.ready = "true";
    } else desk.setData(data);
    const mine = `${data.sweep} ${data.running}`;
    if (sweepToken === null || mine !== root.dataset.sweep) {
      clearTimeout(again);
      if (sweepToken !== data.sweep) desk.setSweep(null);
      root.dataset.sweep = mine;
      sweepToken = data.sweep;
      if (data.sweep) follow(data.base, data.sweep);
    }
    if (data.edited !== editedToken) {
      editedToken = data.edited;
      if (data.edited) read(data.base, data.edited);
      else desk.setEdited(null);
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
      closed = true;
      clearTimeout(later);
      clearTimeout(again);
      desk?.close();
    },
  };
}

const entry = mountOn(".removing", createRemoving);

export default function removing(component) {
  return entry(component);
}
