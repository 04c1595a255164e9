/** A sweep and an edited picture as the server tells of them, prepared for the charts. */
import { failure } from "../lens/rows.js";
import { fetchReading } from "../binding/reading.js";

/** Where an edit changes nothing. */
export const UNCHANGED_AT = { shuffle: 0, inject: 1 };
export const EDIT_NAMES = { shuffle: "shuffle", inject: "alpha" };
export const PARTS = [
  ["binding", "binding part"],
  ["principal", "PCA part, equal energy"],
  ["random", "random part, equal energy"],
  ["stream", "whole stream, its own energy"],
];

export const titleOfPart = (name) => PARTS.find(([one]) => one === name)?.[1] ?? name;

async function plainOf(address) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** Fetches the sweep as far as it is measured; `wanted` is 0 before its first step. */
export async function fetchSweep(base, token) {
  return plainOf(`${base}/atlas/ablation/${token}`);
}

/** Fetches an edit with both maps. */
export async function fetchEdited(base, token) {
  const edited = await plainOf(`${base}/atlas/edited/${token}`);
  const [before, after] = await Promise.all(edited.bounds.map((bound) => fetchReading(base, bound)));
  return { ...edited, before, after };
}

/** Lines of a measure for one edit: a part each, with the steps that are measured, unchanged first. */
export function linesOf(sweep, measure, edit) {
  if (!sweep?.wanted) return [];
  const place = sweep.measures.findIndex(({ name }) => name === measure);
  return sweep.subspaces.map(({ name, title, ink }, row) => {
    const dots = sweep.steps.flatMap(([one, amount], at) => {
      const [value, low, high] = sweep.values[row][at][place];
      return one === edit && value !== null ? [{ amount, value, low, high, moved: sweep.moved[row][at] }] : [];
    });
    const strength = ({ amount }) => Math.abs(amount - UNCHANGED_AT[edit]);
    return { name, title, ink, dots: dots.sort((a, b) => strength(a) - strength(b)) };
  });
}

/** Value, low and high of a measure in the unchanged model; nulls where it is not known. */
export function cleanOf(sweep, measure) {
  const place = sweep?.wanted ? sweep.measures.findIndex(({ name }) => name === measure) : -1;
  return place < 0 ? [null, null, null] : sweep.clean[place];
}

/** Ends of the vertical axis, one for both charts. */
export function rangeOf(sweep, measure) {
  const dots = ["shuffle", "inject"].flatMap((edit) => linesOf(sweep, measure, edit)).flatMap(({ dots: own }) => own);
  const ends = [...dots.flatMap(({ value, low, high }) => [value, low, high]), ...cleanOf(sweep, measure)].filter((one) => one !== null);
  if (!ends.length) return [0, 1];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const room = Math.max(0.01, 0.06 * (high - low));
  return [low - room, high + room];
}

/** Differences after − before, and a round limit of their scale. */
export function differenceOf(before, after) {
  const values = Float32Array.from(after, (one, patch) => one - before[patch]);
  const largest = values.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  const limit = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].find((one) => largest <= one) ?? 1;
  return { values, limit };
}
