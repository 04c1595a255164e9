/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { prepare } from "../lens/record.js";
import { failure } from "../lens/rows.js";
import { fetchReading } from "../binding/reading.js";
import { createAttendingDesk } from "./attendingdesk.js";
import { prepareHeads } from "./headtable.js";

const REST_ATTENDING_MS = 350;

async function fetchPlain(address) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

function createAttending(root) {
  const message = root.querySelector('[data-part="message"]');
  const held = new Map(); // what was fetched last, by what names it
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
    later = setTimeout(() => component.setStateValue("view", view), REST_ATTENDING_MS);
  }

  function trigger(name, value) {
    clearTimeout(later);
    component.setTriggerValue(name, value);
  }

  async function fetched(kind, token, fetching) {
    if (!token) return null;
    const known = held.get(kind);
    if (known?.token === token) return known.value;
    const value = await fetching().catch((error) => { throw { ...error, message: error.message ?? "the server did not answer", token }; });
    held.set(kind, { token, value });
    return value;
  }

  const heads = (data, scope) => fetched(scope, data[scope], async () => prepareHeads(await fetchPlain(`${data.base}/atlas/attending/${data[scope]}`)));

  async function show(data) {
    const mine = [data.scenes, data.picture, data.bound, data.lens, data.serial].join(" ");
    if (mine === wanted) return;
    wanted = mine;
    try {
      const [scenes, picture, reading, record] = await Promise.all([
        heads(data, "scenes"),
        heads(data, "picture"),
        fetched("bound", data.bound, () => fetchReading(data.base, data.bound)),
        fetched("lens", data.lens, async () => prepare(await fetchPlain(`${data.base}/atlas/lens/${data.lens}`))),
      ]);
      if (wanted !== mine || !root.isConnected) return;
      const same = data.serial === serial;
      if (!same) clearTimeout(later);
      const before = desk && same ? desk.before() : null;
      desk?.close();
      serial = data.serial;
      root.dataset.ready = "true";
      desk = createAttendingDesk(root, { tables: { scenes, picture }, reading, record }, data, before, { tell, trigger });
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

const attendingEntry = mountOn(".attending", createAttending);

export default function attending(component) {
  return attendingEntry(component);
}
