/** A drawing that was not handed in yet: the browser keeps it while the tab is open. */

const draftName = (picture) => `atlas-marks-${picture}`;

/** Runs of equal labels: "3x0 2x1" for 0 0 0 1 1. */
export function packed(pixels) {
  const runs = [];
  for (let i = 0; i < pixels.length;) {
    let end = i;
    while (end < pixels.length && pixels[end] === pixels[i]) end += 1;
    runs.push(`${end - i}x${pixels[i]}`);
    i = end;
  }
  return runs.join(" ");
}

export function unpacked(text, length) {
  const pixels = new Uint8Array(length);
  let at = 0;
  for (const run of text.split(" ")) {
    const [count, label] = run.split("x").map(Number);
    pixels.fill(label, at, at + count);
    at += count;
  }
  return at === length ? pixels : null;
}

export function keepDraft(picture, labels) {
  try {
    sessionStorage.setItem(draftName(picture), `${labels.height} ${labels.width} ${packed(labels.pixels)}`);
  } catch {
    // A full or forbidden storage: the drawing lives until the page is left.
  }
}

export function readDraft(picture, height, width) {
  let text = "";
  try {
    text = sessionStorage.getItem(draftName(picture)) ?? "";
  } catch {
    return null;
  }
  const [high, wide, ...runs] = text.split(" ");
  if (Number(high) !== height || Number(wide) !== width) return null;
  return unpacked(runs.join(" "), height * width);
}
