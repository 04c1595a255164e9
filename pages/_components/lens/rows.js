/** Attention rows from the server: at most two requests at a time, the latest wish wins. */
import { neighbours } from "./record.js";

const MAX_BYTES = 96 * 1024 * 1024;
const IN_FLIGHT = 2;
const IDLE_MS = 90;
const REACH = 2;
// All rows of a small grid (16 x 16 with 72 heads: 9.5 MB) are fetched while nothing else
// happens, so that every later hover is local; larger grids get the neighbourhood only.
const FILL_BYTES = 12 * 1024 * 1024;
const FILL_PAUSE_MS = 12;

/**
 * @param {string} base address of the record, without a slash at its end
 * @param {object} record prepared metadata
 * @param {(query: string, direction: string, fromNetwork: boolean) => void} onRow a wished row is here
 * @param {(status: number, message: string) => void} onError the wished row did not come
 */
export function createRows(base, record, onRow, onError) {
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

  async function load(query, direction) {
    const key = keyOf(query, direction);
    flying.add(key);
    try {
      const address = `${base}/row?q=${encodeURIComponent(query)}&direction=${direction}`;
      const response = await fetch(address);
      if (!response.ok) throw await failure(response);
      const bits = new Uint16Array(await response.arrayBuffer());
      if (bits.length !== record.rowLength[direction]) {
        throw { status: 0, message: `a row has ${bits.length} values, expected ${record.rowLength[direction]}` };
      }
      if (!cache.has(key)) keep(key, bits);
      flying.delete(key);
      // A stale answer is kept for later but never painted.
      if (!closed && wish?.key === key) {
        wish = null;
        onRow(query, direction, true);
      }
    } catch (error) {
      flying.delete(key);
      if (!closed && wish?.key === key) {
        wish = null;
        onError(error.status ?? 0, error.message ?? "the server did not answer");
      }
    }
    // Fetching ahead leaves gaps, so that other visitors of the server do not wait.
    if (wish) pump();
    else setTimeout(pump, FILL_PAUSE_MS);
  }

  function pump() {
    if (closed) return;
    if (wish && !flying.has(wish.key)) {
      if (flying.size < IN_FLIGHT) load(wish.query, wish.direction);
      return;
    }
    // Rows are fetched ahead one at a time, so that a wish never waits behind more than one.
    if (!wish && !flying.size && ahead.length) {
      ahead = ahead.filter((one) => !cache.has(keyOf(one.query, one.direction)));
      const next = ahead.shift();
      if (next) load(next.query, next.direction);
    }
  }

  function fetchAhead(query, direction) {
    const all = 2 * record.rowLength[direction] * record.rows * record.columns;
    // The first wish is the page's own: before the user points at anything only little is fetched.
    const reach = all <= FILL_BYTES && wishes > 1 ? Math.max(record.rows, record.columns) : REACH;
    ahead = neighbours(record, query, reach).map((near) => ({ query: near, direction }));
    pump();
  }

  return {
    /** The row if it is here; otherwise asks for it and returns null. */
    want(query, direction) {
      const key = keyOf(query, direction);
      clearTimeout(idle);
      ahead = [];
      wishes += 1;
      idle = setTimeout(() => fetchAhead(query, direction), IDLE_MS);
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
