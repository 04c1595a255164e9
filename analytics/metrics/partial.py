"""Partial pruning: taking out one block of a head's attention instead of the whole head.

The blocks are cls or another token as query, against cls or another token as key. The other
tokens are all those that are not cls: patches, and registers too where the model has them,
because the six modes know only two kinds of tokens.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Mode = Literal[
    "none",
    "all",
    "cls row and column",
    "patch-patch",
    "cls row and column without cls-cls",
    "cls-cls",
]
MODES: tuple[Mode, ...] = get_args(Mode)


def pruned_entries(mode: Mode, num_tokens: int, cls: int = 0) -> Tensor:
    """Which entries of one head's attention a mode takes out.

    Args:
        mode: one of `MODES`. "patch-patch" is every pair of tokens other than cls, registers
            included.
        num_tokens: tokens of the layer, T.
        cls: position of the cls token.

    Returns:
        bool (T, T), query by key, True where attention is taken out. Known answers, entries:
        none 0, all T^2, cls row and column 2T - 1, patch-patch (T - 1)^2, cls row and column
        without cls-cls 2T - 2, cls-cls 1.

    Raises:
        ValueError: no such mode, or no such token.
    """
    if not 0 <= cls < num_tokens:
        raise ValueError(
            f"expected the position of the cls token from 0 to {num_tokens - 1}, got {cls}; a "
            "model without a cls token has only the modes 'none' and 'all' of its heads"
        )
    is_cls = torch.arange(num_tokens) == cls
    query, key = is_cls[:, None], is_cls[None, :]
    match mode:
        case "none":
            return (query & ~query) & key
        case "all":
            return (query | ~query) | key
        case "cls row and column":
            return query | key
        case "patch-patch":
            return ~(query | key)
        case "cls row and column without cls-cls":
            return query ^ key
        case "cls-cls":
            return query & key
    raise ValueError(f"expected a mode of {', '.join(map(repr, MODES))}; got {mode!r}")


def prune_attention(
    attention: Tensor, mode: Mode, cls: int = 0, before_softmax: bool = False
) -> Tensor:
    """Attention with the entries of a mode taken out.

    After the softmax they are set to 0, and the row keeps less than 1. Before the softmax,
    logits of -inf are meant: what is left of a row is scaled to sum 1.

    Args:
        attention: after the softmax, (..., T, T), rows sum to 1.
        mode: one of `MODES`.
        cls: position of the cls token.
        before_softmax: whether the rows that lose something are scaled to sum 1.

    Returns:
        (..., T, T) in the dtype given. Rows with nothing kept are 0. Known answers: "none"
        changes nothing, bit for bit; "all" gives zeros, the same as ablating the head.

    Differs: a softmax of nothing but -inf has no value; 0 is given. Attention that was rounded
    to 0 stays 0 where the logits, were they known, could still be told apart.
    """
    if attention.ndim < 2 or attention.shape[-1] != attention.shape[-2]:
        raise ValueError(
            f"expected attention of a layer's tokens to themselves, (..., tokens, tokens), got "
            f"shape {tuple(attention.shape)}"
        )
    pruned = pruned_entries(mode, attention.shape[-1], cls).to(attention.device)
    kept = attention.masked_fill(pruned, 0)
    if not before_softmax:
        return kept
    precise = kept if kept.dtype == torch.float64 else kept.float()
    total = precise.sum(-1, keepdim=True)
    scaled = precise / torch.where(total > 0, total, 1)
    loses = pruned.any(-1, keepdim=True)
    return torch.where(loses, scaled.to(attention.dtype), kept)
