/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { createBindingDesk } from "./bindingdesk.js";
import { fetchFits, fetchReading } from "./reading.js";

const REST_BINDING_MS = 350;

function createBinding(root) {
  const message = root.querySelector('[data-part="message"]');
  const held = new Map(); // the last picture and the last result, by what names them
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
    later = setTimeout(() => component.setStateValue("view", view), REST_BINDING_MS);
  }

  function trigger(name, value) {
    clearTimeout(later);
    component.setTriggerValue(name, value);
  }

  async function fetched(kind, name, token, fetching) {
    if (!token) return null;
    const known = held.get(kind);
    if (known?.name === name) return known.value;
    const value = await fetching().catch((error) => { throw { ...error, message: error.message ?? "the server did not answer", token }; });
    held.set(kind, { name, value });
    return value;
  }

  async function show(data) {
    const mine = [data.picture, data.study, data.done, data.probes.join(), data.serial].join(" ");
    if (mine === wanted) return;
    wanted = mine;
    try {
      const [reading, fits] = await Promise.all([
        fetched("reading", data.picture, data.picture, () => fetchReading(data.base, data.picture)),
        fetched("fits", `${data.study} ${data.done}`, data.study, () => fetchFits(data.base, data.study)),
      ]);
      if (wanted !== mine || !root.isConnected) return;
      const same = data.serial === serial;
      if (!same) clearTimeout(later);
      const before = desk && same ? desk.before() : null;
      desk?.close();
      serial = data.serial;
      root.dataset.ready = "true";
      desk = createBindingDesk(root, reading, fits, data, before, { tell, trigger });
      say(null);
    } catch (error) {
      if (wanted !== mine) return;
      wanted = "";
      if (error.status === 410) component.setTriggerValue("gone", error.token);
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

const entry = mountOn(".binding", createBinding);

export default function binding(component) {
  return entry(component);
}
