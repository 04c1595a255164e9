/** The picture on its canvas: zoom and pan, labels over it, the model's grid, the brush. */

export const INKS = [
  [0, 0, 0], [231, 111, 38], [52, 120, 200], [66, 160, 92], [160, 98, 200], [214, 66, 78],
  [38, 166, 174], [190, 150, 30], [210, 98, 160], [120, 130, 140],
];

export function inkOf(label) {
  return INKS[((label - 1) % (INKS.length - 1)) + 1];
}

export function createEasel(canvas, labels, grid) {
  const context = canvas.getContext("2d");
  const layer = new OffscreenCanvas(labels.width, labels.height);
  const paint = layer.getContext("2d");
  let photo = null;
  let view = { scale: 1, left: 0, top: 0 };
  let least = 1;

  function fit() {
    const box = canvas.parentElement;
    const ratio = devicePixelRatio || 1;
    const [wide, high] = [box.clientWidth, box.clientHeight];
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(high * ratio);
    canvas.style.width = `${wide}px`;
    canvas.style.height = `${high}px`;
    least = Math.min(wide / labels.width, high / labels.height);
    view = { scale: least, left: (wide - least * labels.width) / 2, top: (high - least * labels.height) / 2 };
  }

  function zoom(factor, x, y) {
    const scale = Math.max(least, Math.min(least * 24, view.scale * factor));
    const kept = scale / view.scale;
    view = scale === least
      ? { scale, left: (canvas.clientWidth - scale * labels.width) / 2, top: (canvas.clientHeight - scale * labels.height) / 2 }
      : { scale, left: x - kept * (x - view.left), top: y - kept * (y - view.top) };
  }

  function refresh() {
    const image = paint.createImageData(labels.width, labels.height);
    const { pixels } = labels;
    for (let i = 0; i < pixels.length; i += 1) {
      if (!pixels[i]) continue;
      const [red, green, blue] = inkOf(pixels[i]);
      image.data[4 * i] = red;
      image.data[4 * i + 1] = green;
      image.data[4 * i + 2] = blue;
      image.data[4 * i + 3] = 130;
    }
    paint.putImageData(image, 0, 0);
  }

  function lines(ink) {
    const [top, left, bottom, right] = grid.frame;
    context.lineWidth = 1 / view.scale;
    context.strokeStyle = "rgba(255, 255, 255, .28)";
    context.beginPath();
    for (let row = 1; row < grid.rows; row += 1) {
      const y = top + (row * (bottom - top)) / grid.rows;
      context.moveTo(left, y);
      context.lineTo(right, y);
    }
    for (let column = 1; column < grid.columns; column += 1) {
      const x = left + (column * (right - left)) / grid.columns;
      context.moveTo(x, top);
      context.lineTo(x, bottom);
    }
    context.stroke();
    context.lineWidth = 2 / view.scale;
    context.strokeStyle = ink;
    context.strokeRect(left, top, right - left, bottom - top);
  }

  function draw(state, colours) {
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    context.translate(view.left, view.top);
    context.scale(view.scale, view.scale);
    if (photo) context.drawImage(photo, 0, 0, labels.width, labels.height);
    context.imageSmoothingEnabled = false;
    context.drawImage(layer, 0, 0);
    context.imageSmoothingEnabled = true;
    if (state.grid && grid.rows) lines(colours.accent);
    if (state.line.length > 1) {
      context.lineWidth = 2 / view.scale;
      context.strokeStyle = `rgb(${inkOf(state.object).join()})`;
      context.beginPath();
      state.line.forEach(([x, y]) => context.lineTo(x, y));
      context.stroke();
    }
    if (state.pointed && state.tool !== "lasso") {
      context.lineWidth = 1.5 / view.scale;
      context.strokeStyle = state.tool === "erase" ? "#ffffff" : `rgb(${inkOf(state.object).join()})`;
      context.beginPath();
      context.arc(...state.pointed, state.size / 2, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  return {
    fit,
    zoom,
    pan(dx, dy) { if (view.scale > least) view = { ...view, left: view.left + dx, top: view.top + dy }; },
    refresh,
    draw,
    setPhoto(image) { photo = image; },
    /** Where a place of the canvas lies on the drawing. */
    at: (x, y) => [(x - view.left) / view.scale, (y - view.top) / view.scale],
    place: () => ({ left: view.left, top: view.top, width: view.scale * labels.width, height: view.scale * labels.height }),
  };
}
