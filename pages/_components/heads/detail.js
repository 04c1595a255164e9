/** The selected head on the selected image: partial pruning, and the classes before and after. */
import { failure } from "../lens/rows.js";
import { number } from "../lens/scale.js";

const REST_MS = 300;

function bar(entry, top) {
  const row = document.createElement("div");
  row.className = "mode";
  const name = document.createElement("span");
  name.textContent = entry.mode;
  const track = document.createElement("i");
  const fill = document.createElement("b");
  fill.style.width = `${top > 0 ? Math.max(0, (100 * Math.abs(entry.value ?? 0)) / top) : 0}%`;
  track.append(fill);
  const value = document.createElement("output");
  value.textContent = number(entry.value);
  row.append(name, track, value);
  return row;
}

function classList(title, entries) {
  const box = document.createElement("div");
  const heading = document.createElement("h4");
  heading.textContent = title;
  const list = document.createElement("ol");
  list.append(...entries.map(([name, probability]) => {
    const line = document.createElement("li");
    const word = document.createElement("span");
    word.textContent = name;
    word.title = name;
    line.append(word, document.createTextNode(probability.toFixed(2)));
    return line;
  }));
  box.append(heading, list);
  return box;
}

/**
 * @param {(name: string) => HTMLElement} part
 * @param {Map<string, object>} cache answers by address; outlives one state of the study
 */
export function createDetail(part, atlas, base, cache, gone) {
  let wanted = "";
  let later = 0;
  let flying = null;

  function say(text) {
    part("detailWord").textContent = text ?? "";
    part("detailWord").hidden = !text;
  }

  function fill(answer) {
    const top = Math.max(...answer.modes.map((one) => Math.abs(one.value ?? 0)));
    part("modesTitle").textContent = `Parts of its attention pruned: ${answer.metric}`;
    part("modes").replaceChildren(...answer.modes.map((one) => bar(one, top)));
    part("classes").hidden = !answer.before;
    if (answer.before) {
      part("classes").replaceChildren(classList("Unpruned", answer.before), classList("Without it", answer.after ?? []));
    }
    part("detail").hidden = false;
    part("detail").classList.remove("old");
    say(null);
  }

  function empty() {
    part("detail").hidden = true;
  }

  async function load(address) {
    flying?.abort();
    flying = new AbortController();
    say("Pruning parts of this head on this image, about a second");
    try {
      const response = await fetch(address, { signal: flying.signal });
      if (!response.ok) throw await failure(response);
      cache.set(address, await response.json());
      if (address === wanted) fill(cache.get(address));
    } catch (error) {
      if (error.name === "AbortError" || address !== wanted) return;
      empty();
      if (error.status === 410) gone();
      else say(error.message ?? "the server did not answer");
    }
  }

  function addressOf(state) {
    const query = new URLSearchParams({ layer: state.layer, head: state.head, image: state.image });
    return `${base}${atlas.urls.head}?${query}`;
  }

  return {
    update(state) {
      part("detailHead").textContent = `Selected head ${atlas.labelOf(atlas.headIndex(state.layer, state.head))}`;
      part("ask").hidden = state.asked;
      if (!state.asked || !atlas.images.length) return;
      const address = addressOf(state);
      if (address === wanted) return;
      wanted = address;
      clearTimeout(later);
      if (cache.has(address)) {
        flying?.abort();
        fill(cache.get(address));
        return;
      }
      // What was there stays until the answer comes, but paler: nothing jumps.
      part("detail").classList.add("old");
      later = setTimeout(() => load(address), REST_MS);
    },
    close() {
      clearTimeout(later);
      flying?.abort();
    },
  };
}
