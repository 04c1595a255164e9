"""Attention computed some heads and queries at a time, so that no whole map is ever held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from analytics.capture.recording import Heads

CPU_BYTES, SHARED_BYTES, GPU_BYTES = 2**22, 2**21, 2**28
"""Attention at once: what stays in the cache; for each of many threads, so that every operation
is worth sharing out; what keeps a GPU busy."""


@dataclass(frozen=True)
class Block:
    """Attention of some lines (image x window x head) for a run of queries.

    `logits` and `attention` are float32 (lines, queries, keys); their memory is used again for
    the next block. `log_normaliser`, (lines, queries), is the log of the sum of the
    exponentials of each row: log attention = logit - log_normaliser.
    """

    lines: slice
    queries: slice
    logits: Tensor
    attention: Tensor
    log_normaliser: Tensor


def attention_blocks(
    heads: Heads, runs: Sequence[slice], max_bytes: int | None = None
) -> Iterator[Block]:
    """The attention of a fused call block by block, softmax(q k^T * scale + bias) in float32.

    Args:
        heads: a fused call.
        runs: runs of queries in order; a block holds one of them.
        max_bytes: most memory of a block's attention; None for `block_room`. A block holds
            one line at least, and whole pictures where one has room.

    Yields:
        Blocks: all runs of the first lines, then of the next lines.
    """
    assert heads.query is not None and heads.key is not None and heads.scale is not None
    query = flat(heads.query).float() * heads.scale  # lines, queries, width
    key = flat(heads.key).float().mT  # lines, width, keys
    bias = None if heads.bias is None else flat(heads.bias)
    longest, num_keys = max(run.stop - run.start for run in runs), key.shape[-1]
    room = max_bytes or block_room(query.device)
    step = _lines_at_once(len(query), heads.site.num_heads, room // (4 * longest * num_keys))
    memory = query.new_empty(2, step * longest * num_keys)
    for first in range(0, len(query), step):
        lines = slice(first, min(first + step, len(query)))
        for run in runs:
            shape = (lines.stop - first, run.stop - run.start, num_keys)
            size = shape[0] * shape[1] * shape[2]
            logits, attention = (half[:size].view(shape) for half in memory)
            torch.bmm(query[lines, run], key[lines], out=logits)
            if bias is not None:
                logits += bias[lines, run]
            torch.softmax(logits, -1, out=attention)
            # The largest entry is 1 over the sum of the exponentials.
            log_normaliser = logits.amax(-1) - attention.amax(-1).log()
            yield Block(lines, run, logits, attention, log_normaliser)


def block_room(device: torch.device) -> int:
    """Bytes of attention that suit a block on a device."""
    if device.type != "cpu":
        return GPU_BYTES
    return max(CPU_BYTES, SHARED_BYTES * torch.get_num_threads())


def _lines_at_once(count: int, num_heads: int, most: int) -> int:
    """Lines of a block: of whole pictures where one has room, and as even as can be.

    Known answer: 48 lines of 6 heads, room for 27: 24 at once.
    """
    unit = num_heads if most >= num_heads else 1
    units = -(-count // unit)
    blocks = -(-units // max(1, most // unit))
    return unit * -(-units // blocks)


def flat(tensor: Tensor) -> Tensor:
    """(images, windows, heads, tokens, width) as (lines, tokens, width)."""
    return tensor.reshape(-1, *tensor.shape[-2:])
