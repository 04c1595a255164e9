/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { createInstrument } from "./instrument.js";
import { listenToDrops } from "./drop.js";
import { fetchRecord } from "./rows.js";
import { decodePalette } from "./scale.js";
import { mountOn } from "./mounting.js";

const TELL_MS = 350;

function fetchPicture(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the picture did not arrive"));
    image.src = address;
  });
}

function createLens(root) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const closing = new AbortController();
  let component = null;
  let instrument = null;
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
    later = setTimeout(() => component.setStateValue("view", view), TELL_MS);
  }

  function copy(view, button) {
    const address = new URL(window.location.href);
    address.search = "";
    for (const [key, value] of Object.entries({ ...component.data.link, ...view })) {
      if (value !== "") address.searchParams.set(key, value);
    }
    const words = button.textContent;
    const answer = (text) => {
      button.textContent = text;
      setTimeout(() => { button.textContent = words; }, 1500);
    };
    navigator.clipboard?.writeText(address.href).then(() => answer("copied"), () => answer("not allowed"));
    root.dataset.link = address.href;
  }

  async function show(data) {
    const address = `${data.base}/atlas/lens/${data.token}`;
    const mine = data.token;
    token = mine;
    try {
      const record = await fetchRecord(address);
      if (token !== mine) return;
      const before = instrument && data.serial === serial ? instrument.state() : null;
      instrument?.close();
      serial = data.serial;
      const palettes = Object.fromEntries(
        Object.entries(data.palettes).map(([name, text]) => [name, decodePalette(text)]),
      );
      root.dataset.ready = "true";
      notes(record);
      instrument = createInstrument(root, record, address, palettes, data.view, before, {
        tell, copy, off: (pairs) => component.setTriggerValue("off", pairs), gone: () => component.setTriggerValue("gone", mine),
      });
      instrument.setPicture(await fetchPicture(`${data.base}${data.picture}`));
    } catch (error) {
      if (token !== mine) return;
      if (error.status === 410) component.setTriggerValue("gone", mine);
      else say(error.message);
    }
  }

  function notes(record) {
    const lines = [record.caution, ...(record.notes ?? [])].filter(Boolean);
    part("noteBlock").hidden = !lines.length;
    part("notes").textContent = lines.join(" ");
  }

  listenToDrops(root, part("drop"), () => component.data.base,
    (stored) => component.setTriggerValue("upload", stored), say, closing.signal);

  return {
    update(next) {
      component = next;
      const { data } = next;
      if (data.token !== token) show(data);
      else if (instrument && data.serial !== serial) {
        serial = data.serial;
        instrument.goTo(data.view);
      }
      // The theme's variables change without a word: read them again after the page has settled.
      requestAnimationFrame(() => instrument?.recolour());
    },
    close() {
      closing.abort();
      clearTimeout(later);
      instrument?.close();
    },
  };
}

const entry = mountOn(".lens", createLens);

export default function lens(component) {
  return entry(component);
}
