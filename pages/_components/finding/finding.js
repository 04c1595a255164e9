/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { fetchFinding, fetchScenes } from "./findingdata.js";
import { createFindingDesk } from "./findingdesk.js";

const REST_FINDING_MS = 350;

function createFinding(root) {
  const message = root.querySelector('[data-part="message"]');
  const held = { token: "", data: null, scenesToken: "", scenes: null };
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
    later = setTimeout(() => component.setStateValue("view", view), REST_FINDING_MS);
  }

  function trigger(name, value) {
    clearTimeout(later);
    component.setTriggerValue(name, value);
  }

  /** What is new since the last time; the rest stays. */
  async function fetchNew({ base, token, scenes }) {
    const [data, means] = await Promise.all([
      held.token === token ? held.data : fetchFinding(base, token),
      held.scenesToken === scenes ? held.scenes : fetchScenes(base, scenes),
    ]);
    return { token, data, scenesToken: scenes, scenes: means };
  }

  async function show(given) {
    const mine = [given.token, given.scenes, given.job, given.serial].join(" ");
    if (mine === wanted) return;
    wanted = mine;
    try {
      const found = await fetchNew(given);
      if (wanted !== mine || !root.isConnected) return;
      Object.assign(held, found);
      const before = desk && given.serial === serial ? desk.before() : null;
      desk?.close();
      serial = given.serial;
      root.dataset.ready = "true";
      desk = createFindingDesk(root, held, given, before, { tell, trigger });
      say(null);
    } catch (error) {
      if (wanted !== mine) return;
      wanted = "";
      if (error.status === 410) component.setTriggerValue("gone", given.token);
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

const entry = mountOn(".finding", createFinding);

export default function finding(component) {
  return entry(component);
}
