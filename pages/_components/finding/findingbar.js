/** The controls of the Discovery view: what masks are looked for in, and what scenes are counted. */
import { wordsOfPoint } from "../binding/rowwords.js";

const MOST_GROUPS = 10;

export function createFindingBar(part, data, scenes, job) {
  const stale = Boolean(scenes) && job !== "done";

  function fill() {
    const put = (name, options) => part(name).replaceChildren(...options);
    put("features", Object.entries(data.sources).map(([name, one]) => Object.assign(new Option(one.title, name), { title: one.definition })));
    const points = [...Array(data.points).keys()];
    put("at", points.map((point) => new Option(point ? `${point}, ${wordsOfPoint(point)}` : "0, the embedding", String(point))));
    put("groups", Array.from({ length: MOST_GROUPS - 1 }, (_, i) => new Option(String(i + 2), String(i + 2))));
    put("score", data.measures.map((one) => Object.assign(new Option(one.title, one.name), { title: one.definition })));
    put("family", (scenes?.families ?? ["all"]).map((one) => new Option(one === "all" ? "all families" : one.replace("-", " "), one)));
  }

  function meanWords() {
    if (scenes && !stale) return "";
    if (job === "running") return "Methods are being measured on made scenes; what is done is kept when it is stopped.";
    const words = "Every method, the same architecture with random weights, and boxes, on made scenes of all families, with intervals: some minutes on two cores, in the background.";
    return job === "stopped" ? "Stopped before it was done; what was measured is kept, and it goes on from there." : job ? words : "Scores over made scenes need a model that can be read.";
  }

  fill();
  return {
    stale,
    listen(set, signal) {
      const on = (name, make) => part(name).addEventListener("change", (event) => set(make(event.target.value)), { signal });
      on("features", (features) => ({ features, ...(features.startsWith("keys") && part("at").value === "0" ? { at: "1" } : {}) }));
      on("at", (at) => ({ at }));
      on("groups", (groups) => ({ groups }));
      on("score", (score) => ({ score }));
      on("family", (family) => ({ family }));
    },
    update(state) {
      const asked = { features: state.features, at: state.at || String(data.points - 1), groups: state.groups, score: state.score, family: state.family };
      for (const [name, value] of Object.entries(asked)) if (part(name).value !== value) part(name).value = value;
      part("at").options[0].disabled = state.features.startsWith("keys");
      const waits = state.features !== data.features || Number(asked.at) !== data.point || Number(state.groups) !== data.groups;
      const method = data.methodOf(state.found);
      const button = part("maskButton");
      button.hidden = !method || method.count < 2;
      if (method) button.textContent = state.number < 0 ? (method.apart ? `${method.count} masks` : `best of ${method.count} heads`) : `${method.apart ? "mask" : "head"} ${method.apart ? state.number + 1 : state.number} of ${method.count}`;
      part("truthButton").hidden = !data.mask;
      part("truthButton").setAttribute("aria-pressed", String(state.truth));
      part("sceneButton").hidden = Boolean(data.objects);
      const tag = part("count");
      tag.textContent = waits ? "old: looking" : data.unscored ? (data.objects ? "not scored" : "not marked") : `${data.numbers.length} object${data.numbers.length === 1 ? "" : "s"} known`;
      tag.title = waits ? "The masks are of the choices before" : data.unscored;
      tag.classList.toggle("partial", waits);
      tag.style.setProperty("--done", waits ? "50%" : "0%");
      const measure = part("measureButton");
      measure.hidden = !job || job === "running" || job === "done";
      measure.textContent = job === "stopped" ? "go on" : "measure on made scenes";
      part("meanWaits").hidden = Boolean(scenes);
      part("meanWaits").textContent = meanWords();
      for (const name of ["score", "family"]) part(name).hidden = !scenes;
    },
  };
}
