"""Attention in blocks is the whole attention, whatever the size of the blocks."""

from __future__ import annotations

import pytest
import torch

from analytics.capture.blocks import attention_blocks, flat
from analytics.capture.recording import Heads
from analytics.capture.sites import Site


def made(with_bias: bool) -> Heads:
    torch.manual_seed(0)
    site = Site(0, "a", 0, "fused", False, "b,h,w", 1, 3, 9, 9)
    query, key, value = (torch.randn(2, 1, 3, 9, 4) for _ in range(3))
    bias = torch.randn(2, 1, 3, 9, 9) if with_bias else None
    return Heads(site, value, query, key, value, bias, 0.5)


@pytest.mark.parametrize("max_bytes", [1, 4 * 9 * 5 * 2, 10**6])
@pytest.mark.parametrize("with_bias", [False, True])
def test_blocks_join_to_the_whole(with_bias, max_bytes):
    heads = made(with_bias)
    whole = flat(heads.attention())
    joined = torch.full_like(whole, torch.nan)
    logits = flat(heads.query * 0.5 @ heads.key.mT)
    logits = logits + flat(heads.bias) if with_bias else logits
    normaliser = torch.full(whole.shape[:2], torch.nan)
    for block in attention_blocks(heads, [slice(0, 4), slice(4, 9)], max_bytes):
        assert block.attention.shape[0] == 1 or block.attention.nbytes <= max_bytes
        joined[block.lines, block.queries] = block.attention
        normaliser[block.lines, block.queries] = block.log_normaliser
        torch.testing.assert_close(block.logits, logits[block.lines, block.queries])
    torch.testing.assert_close(joined, whole)
    torch.testing.assert_close(normaliser, logits.logsumexp(-1))


def test_half_precision_is_computed_in_float32():
    heads = made(False)
    halves = Heads(
        heads.site, heads.output, heads.query.half(), heads.key.half(), heads.value, None, 0.5
    )
    [block] = attention_blocks(halves, [slice(0, 9)])
    assert block.attention.dtype == torch.float32
    torch.testing.assert_close(block.attention.sum(-1), torch.ones(6, 9))


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [1] * 6), (2, [2, 2, 2]), (3, [3, 3]), (5, [3, 3]), (6, [6]), (100, [6])],
)
def test_a_block_holds_whole_pictures_where_one_has_room(most, expected):
    blocks = attention_blocks(made(False), [slice(0, 9)], most * 4 * 9 * 9)
    assert [len(block.attention) for block in blocks] == expected
