/** The bar above the canvas: object, size, ground, and whether what is shown is up to date. */

const SIZES = [15, 20, 25, 30, 35, 40, 50, 60, 70];

/** @param {{objects: object[], grounds: object}} offers groups of objects; grounds with a title each */
export function createTwinsBar(part, canvas, { objects, grounds }) {
  const groups = objects.map(({ group, options }) => {
    const element = document.createElement("optgroup");
    element.label = group;
    element.append(...(options.length ? options.map(([name, title]) => new Option(title, name)) : [Object.assign(new Option("none yet", ""), { disabled: true })]));
    return element;
  });
  part("object").replaceChildren(...groups);
  const offered = new Set(objects.flatMap(({ options }) => options.map(([name]) => name)));
  if (!offered.has(canvas.layout.object)) part("object").append(new Option(canvas.layout.object, canvas.layout.object));
  part("share").replaceChildren(...SIZES.map((size) => new Option(`${size} %`, String(size))));
  part("ground").replaceChildren(...Object.entries(grounds).map(([name, title]) => Object.assign(new Option(name, name), { title })));

  function choose(name, value) {
    const field = part(name);
    const known = [...field.options].some((one) => one.value === value);
    if (!known) field.append(new Option(value, value));
    if (field.value !== value) field.value = value;
  }

  const press = (name, on) => part(name).setAttribute("aria-pressed", String(on));

  return {
    /** @param {(changes: object) => void} change of the layout */
    listen(change, signal) {
      const on = (name, make) => part(name).addEventListener("change", (event) => change(make(event.target.value)), { signal });
      on("object", (object) => ({ object }));
      on("share", (share) => ({ share: Number(share) }));
      on("ground", (ground) => ({ ground }));
    },
    update(state, old, problem) {
      const { layout } = state;
      choose("object", layout.object);
      choose("share", String(layout.share));
      choose("ground", layout.ground);
      choose("point", String(state.point));
      press("snapButton", layout.snapped);
      part("snapButton").textContent = layout.snapped ? "on grid" : "off grid";
      press("withButton", state.variant === 0);
      press("withoutButton", state.variant === 1);
      part("variants").hidden = canvas.bounds.length < 2;
      press("distanceButton", state.measure === "differences");
      press("cosineButton", state.measure === "cosines");
      press("overlayButton", state.shown);
      part("overlayButton").hidden = !canvas.bounds.length;
      part("removeButton").disabled = layout.places.length < 2;
      part("seedButton").textContent = `seed ${layout.seed}`;
      const tag = part("count");
      const patches = canvas.compared[0]?.length ?? 0;
      const failed = old && problem;
      tag.textContent = failed ? "not measured" : old ? "old: measuring" : `${patches} patches`;
      tag.title = failed ? problem : old ? "The map and the curves are of the copies before" : "Patches of each copy that are compared with the same place of the others";
      tag.classList.toggle("partial", Boolean(old));
      tag.style.setProperty("--done", old ? "50%" : "0%");
    },
  };
}
