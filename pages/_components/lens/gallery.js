/** Thumbnails as a radio group: arrow keys move, a click or Space chooses. */
export default function gallery({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".gallery");
  const names = data.entries.map((entry) => entry.id).join();
  if (box.dataset.names !== names) {
    box.dataset.names = names;
    box.replaceChildren(...data.entries.map((entry) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.dataset.id = entry.id;
      button.title = entry.title;
      const image = document.createElement("img");
      image.alt = entry.title;
      image.src = entry.src;
      image.loading = "lazy";
      button.append(image);
      return button;
    }));
  }
  const buttons = [...box.children];
  const mark = (id) => buttons.forEach((button) => {
    const on = button.dataset.id === id;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
  });
  const choose = (button) => {
    mark(button.dataset.id);
    setTriggerValue("pick", button.dataset.id);
  };
  mark(data.chosen);
  if (!buttons.some((button) => button.tabIndex === 0) && buttons.length) buttons[0].tabIndex = 0;
  box.onclick = (event) => {
    const button = event.target.closest("button");
    if (button) choose(button);
  };
  box.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const at = buttons.indexOf(event.target.closest("button"));
    buttons[(at + step + buttons.length) % buttons.length].focus();
  };
}
