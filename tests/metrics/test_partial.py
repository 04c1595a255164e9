"""Partial pruning against counts by hand and a softmax over logits of -inf."""

import pytest
import torch

from analytics.metrics.partial import MODES, prune_attention, pruned_entries

COUNTS = {
    "none": 0,
    "all": 25,
    "cls row and column": 9,
    "patch-patch": 16,
    "cls row and column without cls-cls": 8,
    "cls-cls": 1,
}


def by_hand(mode, query, key, cls):
    kinds = (query == cls) + (key == cls)
    return {
        "none": False,
        "all": True,
        "cls row and column": kinds >= 1,
        "patch-patch": kinds == 0,
        "cls row and column without cls-cls": kinds == 1,
        "cls-cls": kinds == 2,
    }[mode]


def logits(dtype=torch.float32):
    return torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_the_modes_are_those_of_the_picture():
    assert set(MODES) == set(COUNTS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cls", [0, 2, 4])
def test_entries_are_those_by_hand(mode, cls):
    pruned = pruned_entries(mode, 5, cls)
    assert pruned.dtype == torch.bool
    assert int(pruned.sum()) == COUNTS[mode]
    expected = [[by_hand(mode, query, key, cls) for key in range(5)] for query in range(5)]
    assert pruned.tolist() == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cls", [0, 3])
def test_after_the_softmax_entries_are_zero_and_the_others_untouched(mode, cls):
    attention = logits().softmax(-1)
    pruned = prune_attention(attention, mode, cls)
    out = pruned_entries(mode, 5, cls)
    assert torch.equal(pruned[..., ~out], attention[..., ~out])
    assert float(pruned[..., out].sum()) == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cls", [0, 3])
def test_before_the_softmax_is_a_softmax_over_minus_infinity(mode, cls):
    pruned = prune_attention(logits().softmax(-1), mode, cls, before_softmax=True)
    masked = logits().masked_fill(pruned_entries(mode, 5, cls), -torch.inf)
    expected = masked.softmax(-1).nan_to_num(0)  # rows of nothing but -inf are NaN
    assert torch.allclose(pruned, expected, atol=1e-6)
    sums = pruned.sum(-1)
    assert ((sums - 1).abs().minimum(sums.abs()) < 1e-6).all()


@pytest.mark.parametrize("before_softmax", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_none_changes_no_bit_and_all_leaves_nothing(before_softmax, dtype):
    attention = logits().softmax(-1).to(dtype)
    kept = prune_attention(attention, "none", before_softmax=before_softmax)
    assert torch.equal(kept, attention)
    assert kept.dtype == dtype
    assert not prune_attention(attention, "all", before_softmax=before_softmax).any()


def test_only_the_rows_of_the_block_are_scaled():
    attention = logits().softmax(-1)
    pruned = prune_attention(attention, "cls-cls", before_softmax=True)
    assert torch.equal(pruned[..., 1:, :], attention[..., 1:, :])
    assert torch.allclose(pruned[..., 0, 1:], attention[..., 0, 1:] / (1 - attention[..., 0, :1]))


def test_gradients_stay_finite_where_a_row_is_lost():
    attention = logits().softmax(-1).requires_grad_()
    pruned = prune_attention(attention, "all", before_softmax=True)
    pruned.square().sum().backward()
    assert attention.grad.tolist() == torch.zeros(2, 3, 5, 5).tolist()


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"expected a mode of 'none', .*; got 'cls'"):
        pruned_entries("cls", 5)


@pytest.mark.parametrize("cls", [-1, 5])
def test_a_cls_token_that_is_not_there_is_refused(cls):
    with pytest.raises(ValueError, match=f"cls token from 0 to 4, got {cls}"):
        prune_attention(logits().softmax(-1), "cls-cls", cls)


def test_attention_to_other_tokens_is_refused():
    with pytest.raises(ValueError, match=r"tokens to themselves.*, got shape \(2, 4, 5\)"):
        prune_attention(torch.ones(2, 4, 5), "all")
