/** Entry of the component: Streamlit calls it on mount and on every change of its data. */
import { mountOn } from "../lens/mounting.js";
import { failure } from "../lens/rows.js";
import { createMarkingDesk } from "./markingdesk.js";
import { readDraft } from "./draft.js";

function createMarking(root) {
  const message = root.querySelector('[data-part="message"]');
  let component = null;
  let desk = null;
  let wanted = "";

  function say(text) {
    message.hidden = !text;
    message.textContent = text ?? "";
  }

  /** What was drawn last in this tab, else what the server keeps, else nothing. */
  async function firstLabels(data) {
    const draft = readDraft(data.picture, data.height, data.width);
    if (draft || !data.marked) return draft;
    const response = await fetch(`${data.base}${data.marked}?height=${data.height}&width=${data.width}`);
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  }

  async function use(data, labels) {
    try {
      const response = await fetch(`${data.base}${data.put}?height=${labels.height}&width=${labels.width}`, { method: "PUT", body: labels.pixels });
      if (!response.ok) throw await failure(response);
      component.setTriggerValue("marks", (await response.json()).marks);
      say(null);
    } catch (error) {
      say(`The objects were not kept: ${error.message ?? "the server did not answer"}. The drawing stays here; try again.`);
    }
  }

  async function show(data) {
    const mine = JSON.stringify([data.picture, data.height, data.width, data.serial]);
    if (mine === wanted) {
      desk?.regrid(data);
      return;
    }
    wanted = mine;
    const first = await firstLabels(data);
    if (wanted !== mine || !root.isConnected) return;
    desk?.close();
    root.dataset.ready = "true";
    // The grid may have come while the drawing was fetched.
    desk = createMarkingDesk(root, component.data, first, { use: (labels) => use(component.data, labels) });
  }

  return {
    update(next) {
      component = next;
      show(next.data);
      requestAnimationFrame(() => desk?.recolour());
    },
    close() {
      wanted = "closed";
      desk?.close();
    },
  };
}

const entry = mountOn(".marking", createMarking);

export default function marking(component) {
  return entry(component);
}
