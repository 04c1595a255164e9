/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { fetchLayout } from "./layoutdata.js";
import { createSubspaceDesk } from "./subspacedesk.js";

const REST_SUBSPACE_MS = 350;

function createSubspace(root) {
  const message = root.querySelector('[data-part="message"]');
  let component = null;
  let desk = null;
  let held = null;
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
    later = setTimeout(() => component.setStateValue("view", view), REST_SUBSPACE_MS);
  }

  function trigger(name, value) {
    clearTimeout(later);
    component.setTriggerValue(name, value);
  }

  async function show(data) {
    const mine = [data.token, data.probes.join(), data.serial].join(" ");
    if (mine === wanted) return;
    wanted = mine;
    try {
      const layout = held?.token === data.token ? held.layout : await fetchLayout(data.base, data.token);
      if (wanted !== mine || !root.isConnected) return;
      held = { token: data.token, layout };
      const before = desk && data.serial === serial ? desk.before() : null;
      desk?.close();
      serial = data.serial;
      root.dataset.ready = "true";
      desk = createSubspaceDesk(root, layout, data, before, { tell, trigger });
      say(null);
    } catch (error) {
      if (wanted !== mine) return;
      wanted = "";
      if (error.status === 410) component.setTriggerValue("gone", data.token);
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

const entry = mountOn(".subspace", createSubspace);

export default function subspace(component) {
  return entry(component);
}
