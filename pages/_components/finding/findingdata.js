/** Masks of a picture and scores over scenes as the browser holds them. */
import { failure } from "../lens/rows.js";

/**
 * @param {object} meta JSON of the masks
 * @param {ArrayBuffer} buffer coherence float32 (patches), then masks uint8 (masks, patches)
 * @param {Int32Array | null} mask instance of every pixel of the model's input
 */
export function prepareFinding(meta, buffer, mask) {
  const patches = meta.rows * meta.columns;
  const every = meta.methods.reduce((sum, one) => sum + one.count, 0);
  const expected = 4 * patches + every * patches;
  if (buffer.byteLength !== expected) {
    throw { status: 0, message: `an answer has ${buffer.byteLength} bytes, expected ${expected}` };
  }
  const coherence = new Float32Array(buffer, 0, patches);
  let at = 4 * patches;
  const methods = meta.methods.map((one) => {
    const masks = Array.from({ length: one.count }, (_, number) => new Uint8Array(buffer, at + number * patches, patches));
    at += one.count * patches;
    return { ...one, masks };
  });
  const known = coherence.filter(Number.isFinite);
  return {
    ...meta,
    patches,
    mask,
    methods,
    coherence,
    lowest: known.length ? Math.min(...known) : 0,
    highest: known.length ? Math.max(...known) : 1,
    methodOf: (name) => methods.find((one) => one.name === name) ?? null,
    /** Numbers of masks that cover a patch. */
    masksAt: (method, patch) => method.masks.flatMap((one, number) => (one[patch] ? [number] : [])),
    numbers: [...new Set(meta.objects ?? [])].filter((one) => one > 0),
  };
}

async function answerAt(address, options) {
  const response = await fetch(address, options);
  if (!response.ok) throw await failure(response);
  return response;
}

/** Fetches masks and the objects' outlines. */
export async function fetchFinding(base, token) {
  const meta = await (await answerAt(`${base}/atlas/finding/${token}`, { cache: "no-store" })).json();
  const bytes = async (url) => (await answerAt(`${base}${url}`)).arrayBuffer();
  const [buffer, mask] = await Promise.all([bytes(meta.urls.masks), meta.urls.mask ? bytes(meta.urls.mask) : null]);
  return prepareFinding(meta, buffer, mask && new Int32Array(mask));
}

/** Fetches scores over scenes; null where there are none. */
export async function fetchScenes(base, token) {
  return token ? (await answerAt(`${base}/atlas/finding-scenes/${token}`, { cache: "no-store" })).json() : null;
}
