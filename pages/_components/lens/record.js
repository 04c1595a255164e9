/** The metadata of one computed record, with the offsets needed to cut a row into maps. */

function side(prefix, rows, columns) {
  return { prefix, rows, columns, tokens: prefix.length + rows * columns, offset: 0 };
}

/**
 * Adds to every layer its token layout and its offset in a row, for both directions.
 * `to` rows run over keys, `from` rows over queries; a windowed or hierarchical model has
 * another grid in every layer, so offsets are cumulative and nothing is assumed equal.
 */
export function prepare(meta) {
  const offsets = { to: 0, from: 0 };
  const layers = meta.layers.map((layer) => {
    const to = side(layer.prefix, layer.rows, layer.columns);
    const from = side(layer.queryPrefix, layer.queryRows, layer.queryColumns);
    to.offset = offsets.to;
    from.offset = offsets.from;
    offsets.to += layer.heads * to.tokens;
    offsets.from += layer.heads * from.tokens;
    return { ...layer, to, from };
  });
  return {
    ...meta,
    layers,
    rowLength: offsets,
    maxHeads: Math.max(...layers.map((layer) => layer.heads)),
    aspect: meta.columns / meta.rows,
  };
}

/** Where the patches of one map stand in a row: start index, grid and prefix names. */
export function mapSlice(record, layer, head, direction) {
  const entry = record.layers[layer];
  const grid = entry[direction];
  const first = grid.offset + head * grid.tokens;
  return {
    first,
    start: first + grid.prefix.length,
    count: grid.rows * grid.columns,
    rows: grid.rows,
    columns: grid.columns,
    prefix: grid.prefix,
    tokens: grid.tokens,
  };
}

/** The patch of a layer's own grid that covers a patch of the base grid. */
export function project(record, grid, row, column) {
  return [
    Math.min(grid.rows - 1, Math.floor(((row + 0.5) * grid.rows) / record.rows)),
    Math.min(grid.columns - 1, Math.floor(((column + 0.5) * grid.columns) / record.columns)),
  ];
}

/** "7,9" -> [7, 9]; a prefix token -> null. */
export function parsePatch(query) {
  const match = /^(\d+),(\d+)$/.exec(query ?? "");
  return match ? [Number(match[1]), Number(match[2])] : null;
}

/** Words for a query: "patch 7,9", "cls", "reg0". */
export function nameOf(query) {
  return parsePatch(query) ? `patch ${query}` : query;
}

/** The query if the record has such a token, otherwise its first token. */
export function validQuery(record, query) {
  if (record.prefix.includes(query)) return query;
  const patch = parsePatch(query);
  if (patch && patch[0] < record.rows && patch[1] < record.columns) return query;
  return record.prefix[0] ?? `${record.rows >> 1},${record.columns >> 1}`;
}

/** Names of all tokens that can be pointed at, in the server's order. */
export function tokenNames(record) {
  const patches = Array.from({ length: record.rows * record.columns }, (_, i) => {
    return `${Math.floor(i / record.columns)},${i % record.columns}`;
  });
  return [...record.prefix, ...patches];
}

/** The patches around a patch, nearest first, for fetching ahead. */
export function neighbours(record, query, reach) {
  const patch = parsePatch(query);
  if (!patch) return [];
  const found = [];
  for (let dy = -reach; dy <= reach; dy += 1) {
    for (let dx = -reach; dx <= reach; dx += 1) {
      const row = patch[0] + dy;
      const column = patch[1] + dx;
      const inside = row >= 0 && column >= 0 && row < record.rows && column < record.columns;
      if (inside && (dx || dy)) found.push([Math.hypot(dx, dy), `${row},${column}`]);
    }
  }
  return found.sort((a, b) => a[0] - b[0]).map((entry) => entry[1]);
}

/** Names of the heads that are switched off: "3:5". */
export function offNames(record) {
  return new Set((record.off?.heads ?? []).map(([layer, head]) => `${layer}:${head}`));
}
