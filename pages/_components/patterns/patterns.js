/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { failure } from "../lens/rows.js";
import { createBoard } from "./board.js";
import { fetchCloud } from "./cloud.js";
import { mountOn } from "../lens/mounting.js";

const TELL_AFTER_MS = 350;

async function fetchStudy(address) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

function createPatterns(root) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const cache = new Map(); // maps of points, by study and row
  let component = null;
  let board = null;
  let token = null;
  let serial = null;
  let later = 0;

  function say(message) {
    part("message").hidden = !message;
    part("message").textContent = message ?? "";
  }

  /** Python hears the last view only, once the user rests. */
  function tell(view) {
    clearTimeout(later);
    later = setTimeout(() => component.setStateValue("view", view), TELL_AFTER_MS);
  }

  function mount(cloud, data) {
    const before = board && data.serial === serial ? board.before() : null;
    board?.close();
    serial = data.serial;
    root.dataset.ready = "true";
    const gone = () => component.setTriggerValue("gone", data.token);
    const trigger = (name, value) => component.setTriggerValue(name, value);
    board = createBoard(root, cloud, data, before, cache, { tell, trigger, gone, say });
    board.learn(component.data.training);
    say(null);
  }

  async function show(data) {
    const mine = data.token;
    token = mine;
    try {
      const meta = await fetchStudy(`${data.base}/atlas/patterns/${mine}`);
      const cloud = await fetchCloud(data.base, meta);
      if (token === mine && root.isConnected) mount(cloud, data);
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
      if (data.token !== token || (board && data.serial !== serial)) show(data);
      else board?.learn(data.training);
      // The theme's variables change without a word: read them again after the page has settled.
      requestAnimationFrame(() => board?.recolour());
    },
    close() {
      clearTimeout(later);
      token = null;
      board?.close();
    },
  };
}

const entry = mountOn(".patterns", createPatterns);

export default function patterns(component) {
  return entry(component);
}
