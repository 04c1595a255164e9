/** The controls of the ablation view. */
import { PARTS, titleOfPart } from "./removingdata.js";
import { percent } from "./removingfacts.js";
import { DIMENSIONS, amountOf, isOldEdit, strengthOf } from "./removingstate.js";

const CHOICES_OF = ["at", "dims", "measured", "scenes", "part"];

export function createRemovingBar(part, set, state, signal) {
  let filled = "";
  const options = (name, pairs) => part(name).replaceChildren(...pairs.map(([value, title]) => new Option(title, value)));

  function fill(data) {
    const mine = JSON.stringify([data.points, data.scenes, data.measures]);
    if (mine === filled) return;
    filled = mine;
    options("at", [...Array(data.points).keys()].map((point) => [String(point), point ? `${point}, after L${point - 1}` : "0, embedding"]));
    options("dims", DIMENSIONS.map((one) => [one, one === "all" ? "all" : `top ${one}`]));
    options("measured", Object.entries(data.measures));
    options("scenes", data.scenes.map((count, place) => [String(count), String(count)]));
    options("part", PARTS);
  }

  for (const name of CHOICES_OF) {
    part(name).addEventListener("change", (event) => set({ [name]: name === "at" ? Number(event.target.value) : event.target.value }), { signal });
  }
  part("amount").addEventListener("input", (event) => set({ amount: amountOf(state().edit, Number(event.target.value)) }), { signal });

  function count(sweep, working) {
    const tag = part("count");
    const running = !sweep?.wanted || !sweep.complete;
    tag.textContent = !sweep?.wanted ? (working ? "measuring" : "not measured") : sweep.complete ? `${sweep.images} scenes` : `${sweep.alive ? "" : "stopped: "}${sweep.done} of ${sweep.wanted} steps`;
    tag.title = running ? "Steps of all parts, the strongest first; what is measured is kept" : "Made scenes that no probe was fitted on";
    tag.classList.toggle("partial", Boolean(running));
    tag.style.setProperty("--done", sweep?.wanted ? `${(100 * sweep.done) / sweep.wanted}%` : "0%");
  }

  function moved(edited, old) {
    const tag = part("moved");
    tag.textContent = !edited || old ? "computing" : `moved ${percent(edited.moved)}`;
    tag.title = "Energy that the edit moves, of the variance of this picture's patches";
    tag.classList.toggle("partial", !edited || old);
    tag.style.setProperty("--done", "50%");
  }

  return {
    fill,
    update(sweep, edited, data, limit) {
      const now = state();
      for (const name of CHOICES_OF) if (part(name).value !== String(now[name])) part(name).value = String(now[name]);
      for (const edit of ["shuffle", "inject"]) part(`${edit}Button`).setAttribute("aria-pressed", String(now.edit === edit));
      part("injectButton").disabled = !data.canInject;
      part("sceneBlock").hidden = data.canInject;
      part("amountName").textContent = now.edit === "shuffle" ? "ratio" : "alpha";
      part("amountValue").textContent = String(now.amount);
      if (Number(part("amount").value) !== strengthOf(now)) part("amount").value = String(strengthOf(now));
      count(sweep, data.running);
      moved(edited, isOldEdit(edited, now));
      part("low").textContent = `−${limit}`;
      part("high").textContent = `+${limit}`;
      part("afterName").textContent = `${now.edit === "shuffle" ? "ratio" : "alpha"} ${now.amount}, ${titleOfPart(now.part)}`;
    },
  };
}
