/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { failure } from "../lens/rows.js";
import { createBench } from "./bench.js";
import { fetchProfile } from "./profile.js";
import { mountOn } from "../lens/mounting.js";

const REST_SAY_MS = 350;
const LOOK_AGAIN_MS = 2000;

async function described(base, token) {
  const response = await fetch(`${base}/atlas/profile/${token}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** The control, or none: the page is whole without it. */
async function describedControl(base, token) {
  if (!token) return null;
  try {
    return await described(base, token);
  } catch {
    return null;
  }
}

function createStrength(root) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const cache = new Map(); // offset maps, by address
  let component = null;
  let bench = null;
  let asked = ""; // what the data asked for last: profile, control and serial
  let serial = null;
  let seen = "";
  let later = 0;
  let again = 0;

  function say(message) {
    part("message").hidden = !message;
    part("message").textContent = message ?? "";
  }

  /** Python hears the last view only, once the user rests. */
  function tell(view) {
    clearTimeout(later);
    later = setTimeout(() => component.setStateValue("view", view), REST_SAY_MS);
  }

  function mount(profile, data) {
    const before = bench && data.serial === serial ? bench.before() : null;
    bench?.close();
    serial = data.serial;
    root.dataset.ready = "true";
    const gone = () => component.setTriggerValue("gone", data.token);
    const trigger = (name, value) => component.setTriggerValue(name, value);
    bench = createBench(root, profile, data, before, cache, { tell, trigger, gone });
    say(null);
  }

  async function show(data, mine) {
    clearTimeout(again);
    asked = mine;
    try {
      const [meta, control] = await Promise.all([
        described(data.base, data.token), describedControl(data.base, data.control),
      ]);
      const now = [mine, meta.images_done, meta.complete, Boolean(control)].join();
      const profile = now === seen ? null : await fetchProfile(data.base, meta, control);
      if (asked !== mine || !root.isConnected) return;
      seen = now;
      if (profile) mount(profile, data);
      if (!meta.complete) again = setTimeout(() => show(component.data, mine), LOOK_AGAIN_MS);
    } catch (error) {
      if (asked !== mine) return;
      if (error.status === 410) component.setTriggerValue("gone", data.token);
      else say(error.message);
    }
  }

  return {
    update(next) {
      component = next;
      const { data } = next;
      const mine = [data.token, data.control, data.serial].join();
      if (mine !== asked) show(data, mine);
      // The theme's variables change without a word: read them again after the page has settled.
      requestAnimationFrame(() => bench?.recolour());
    },
    close() {
      clearTimeout(later);
      clearTimeout(again);
      asked = "";
      bench?.close();
    },
  };
}

const entry = mountOn(".strength", createStrength);

export default function strength(component) {
  return entry(component);
}
