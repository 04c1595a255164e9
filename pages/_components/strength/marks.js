/** Small marks that the charts of one head share. */

/** A vertical or horizontal whisker from `from` to `to` at a place. */
export function whiskerAt(context, upright, place, from, to, colour) {
  context.strokeStyle = colour;
  context.beginPath();
  if (upright) {
    context.moveTo(place, from);
    context.lineTo(place, to);
  } else {
    context.moveTo(from, place);
    context.lineTo(to, place);
  }
  context.stroke();
}

/** Words in the middle of a chart that has nothing to show. */
export function emptyPlot(plot, words, colours) {
  const { context, width, height } = plot;
  context.fillStyle = colours.faint;
  context.textAlign = "center";
  const lines = words.split("\n");
  lines.forEach((line, i) => context.fillText(line, width / 2, height / 2 + 16 * (i - (lines.length - 1) / 2)));
}

/** The largest of numbers, NaN left out; 0 where there are none. */
export function topOf(numbers) {
  return numbers.reduce((top, value) => (value > top ? value : top), 0);
}
