/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { failure } from "../lens/rows.js";
import { fetchReading } from "../binding/reading.js";
import { createTwinsDesk } from "./twinsdesk.js";

const REST_TWINS_MS = 350;

function loadedImage(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject({ status: 0, message: "a part of the canvas did not arrive; reload the page" });
    image.src = address;
  });
}

/** Fetches a canvas, its parts, and its maps with and without position embedding. */
async function fetchTwins(base, token) {
  const response = await fetch(`${base}/atlas/twins/${token}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  const canvas = await response.json();
  const [ground, object, ...readings] = await Promise.all([
    loadedImage(`${base}${canvas.urls.ground}`), loadedImage(`${base}${canvas.urls.object}`),
    ...canvas.bounds.map((bound) => fetchReading(base, bound)),
  ]);
  return { canvas, readings, images: { ground, object } };
}

function createTwins(root) {
  const message = root.querySelector('[data-part="message"]');
  let component = null;
  let desk = null;
  let wanted = "";
  let shown = { token: "", found: null };
  let serial = null;
  let later = 0;

  function say(text) {
    message.hidden = !text;
    message.textContent = text ?? "";
  }

  /** Python hears the last view only, once the user rests. */
  function tell(view) {
    clearTimeout(later);
    later = setTimeout(() => component.setStateValue("view", view), REST_TWINS_MS);
  }

  function trigger(name, value) {
    clearTimeout(later);
    component.setTriggerValue(name, value);
  }

  async function show(data) {
    const mine = [data.token, data.serial, JSON.stringify(data.objects)].join(" ");
    if (mine === wanted) {
      desk?.setProblem(data.problem);
      return;
    }
    wanted = mine;
    try {
      if (shown.token !== data.token) shown = { token: data.token, found: await fetchTwins(data.base, data.token) };
      // A copy that is being dragged is laid down first.
      while (desk?.isDragging() && wanted === mine) await new Promise(requestAnimationFrame);
      if (wanted !== mine || !root.isConnected) return;
      const same = data.serial === serial;
      if (!same) clearTimeout(later);
      const before = desk && same ? desk.before() : null;
      desk?.close();
      serial = data.serial;
      root.dataset.ready = "true";
      desk = createTwinsDesk(root, shown.found, data, before, { tell, trigger });
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

const entry = mountOn(".twins", createTwins);

export default function twins(component) {
  return entry(component);
}
