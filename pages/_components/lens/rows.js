/** Attention rows from the server: at most two requests at a time, the latest wish wins. */
import { neighbours, prepare, tokenNames } from "./record.js";

const MAX_BYTES = 96 * 1024 * 1024;
const IN_FLIGHT = 2;
const IDLE_MS = 90;
const REACH = 2;
// All rows of a small grid (16 x 16 with 72 heads: 9.5 MB) are fetched in large parts once the
// user points at something, so that later hovers are local; larger grids get the
// neighbourhood only.
const FILL_BYTES = 12 * 1024 * 1024;
const FILL_ROWS = 32;
const PAUSE_MS = 12;

/**
 * @param {string} base address of the record, without a slash at its end
 * @param {object} record prepared metadata
 * @param {(query: string, direction: string, fromNetwork: boolean) => void} onRow a wished row is here
 * @param {(status: number, message: string) => void} onError the wished row did not come
 */
export function createRows(base, record, onRow, onError) {
  const names = tokenNames(record);
  const cache = new Map(); // insertion order is age: the first key leaves first
  const flying = new Set();
  let bytes = 0;
  let wish = null;
  let ahead = [];
  let idle = 0;
  let closed = false;
  let wishes = 0;

  const keyOf = (query, direction) => `${direction}:${query}`;

  function keep(key, bits) {
    cache.set(key, bits);
    bytes += bits.byteLength;
    while (bytes > MAX_BYTES && cache.size > 1) {
      const oldest = cache.keys().next().value;
      bytes -= cache.get(oldest).byteLength;
      cache.delete(oldest);
    }
  }

  async function fetchBits(address, values) {
    // Rows are held here: keeping them in the browser's own cache as well only takes time.
    const response = await fetch(`${base}/${address}`, { cache: "no-store", priority: "high" });
    if (!response.ok) throw await failure(response);
    const bits = new Uint16Array(await response.arrayBuffer());
    if (bits.length !== values) {
      throw { status: 0, message: `an answer has ${bits.length} values, expected ${values}` };
    }
    return bits;
  }

  /** Fetch one row. */
  async function load({ query, direction }) {
    const length = record.rowLength[direction];
    const bits = await fetchBits(`row?q=${encodeURIComponent(query)}&direction=${direction}`, length);
    if (!cache.has(keyOf(query, direction))) keep(keyOf(query, direction), bits);
  }

  /** Fetch the rows of tokens first, first + 1, ... in one answer. */
  async function loadPart({ first, direction }) {
    const length = record.rowLength[direction];
    const tokens = names.slice(first, first + FILL_ROWS);
    const address = `rows?first=${first}&count=${tokens.length}&direction=${direction}`;
    const bits = await fetchBits(address, length * tokens.length);
    tokens.forEach((query, i) => {
      const key = keyOf(query, direction);
      if (!cache.has(key)) keep(key, bits.slice(i * length, (i + 1) * length));
    });
  }

  /** Run one fetch; paints the wished row when it has come, with this fetch or another. */
  async function run(key, fetching) {
    flying.add(key);
    let failed = null;
    try {
      await fetching();
    } catch (error) {
      failed = error;
    }
    flying.delete(key);
    if (!closed && wish && cache.has(wish.key)) {
      const { query, direction } = wish;
      wish = null;
      onRow(query, direction, true);
    } else if (!closed && failed && wish?.key === key) {
      wish = null;
      onError(failed.status ?? 0, failed.message ?? "the server did not answer");
    }
    // Fetching ahead leaves gaps, so that other visitors of the server do not wait.
    if (wish) pump();
    else setTimeout(pump, PAUSE_MS);
  }

  function pump() {
    if (closed) return;
    if (wish) {
      if (!flying.has(wish.key) && flying.size < IN_FLIGHT) {
        const wished = wish;
        run(wished.key, () => load(wished));
      }
      return;
    }
    // One fetch ahead at a time, so that a wish never waits behind more than one.
    ahead = ahead.filter((one) => !isHere(one));
    if (flying.size || !ahead.length) return;
    const next = ahead.shift();
    if (next.query === undefined) run(`${next.direction}#${next.first}`, () => loadPart(next));
    else run(keyOf(next.query, next.direction), () => load(next));
  }

  function isHere({ query, first, direction }) {
    if (query !== undefined) return cache.has(keyOf(query, direction));
    return names.slice(first, first + FILL_ROWS).every((one) => cache.has(keyOf(one, direction)));
  }

  /** Whether all rows of a direction are few enough to hold. */
  function isSmall(direction) {
    return 2 * record.rowLength[direction] * names.length <= FILL_BYTES;
  }

  function fetchAhead(query, direction) {
    // The first wish is the page's own: before the user points at anything only little is fetched.
    if (wishes > 1 && isSmall(direction)) {
      ahead = parts(query, direction);
      setTimeout(pump, PAUSE_MS); // also while the pointer moves: it ends after a few answers
      return;
    }
    ahead = [];
    idle = setTimeout(() => {
      ahead = neighbours(record, query, REACH).map((near) => ({ query: near, direction }));
      pump();
    }, IDLE_MS);
  }

  /** All rows in parts, those around the query first. */
  function parts(query, direction) {
    const own = Math.floor(Math.max(0, names.indexOf(query)) / FILL_ROWS);
    const count = Math.ceil(names.length / FILL_ROWS);
    return Array.from({ length: count }, (_, i) => i)
      .sort((a, b) => Math.abs(a - own) - Math.abs(b - own))
      .map((part) => ({ first: part * FILL_ROWS, direction }));
  }

  return {
    /** The row if it is here; otherwise asks for it and returns null. */
    want(query, direction) {
      const key = keyOf(query, direction);
      clearTimeout(idle);
      wishes += 1;
      fetchAhead(query, direction);
      const held = cache.get(key);
      if (held) {
        cache.delete(key);
        cache.set(key, held);
        wish = null;
        return held;
      }
      wish = { key, query, direction };
      pump();
      return null;
    },
    get: (query, direction) => cache.get(keyOf(query, direction)) ?? null,
    stats: () => ({ rows: cache.size, bytes, inFlight: flying.size }),
    close() {
      closed = true;
      clearTimeout(idle);
      cache.clear();
    },
  };
}

/** An error with the server's own sentence where it sent one. */
export async function failure(response) {
  let message = `the server answered ${response.status}`;
  try {
    message = (await response.json()).error ?? message;
  } catch {
    // Not JSON: the status has to do.
  }
  return { status: response.status, message };
}

/** Fetches what a lens's token names, ready to be read. */
export async function fetchRecord(address) {
  const response = await fetch(address);
  if (!response.ok) throw await failure(response);
  const record = prepare(await response.json());
  record.viewAspect = record.placement.width / record.placement.height;
  return record;
}
