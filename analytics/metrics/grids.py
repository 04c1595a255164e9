"""Attention of windows put back on the full grid, where other metrics expect it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def scatter_to_grid(
    attention: Tensor,
    query_index: np.ndarray,
    key_index: np.ndarray,
    num_query_tokens: int,
    num_key_tokens: int,
) -> Tensor:
    """One map over all tokens from the maps of windows; keys outside a query's window are 0.

    Padding (-1) is dropped: the mass on padded keys is lost, so that a row may sum to less than
    1, and a token that stands in no window has an empty row. Memory is that of the full maps:
    give a slice of the heads, or use `heads_on_grid`, where they are large.

    Args:
        attention: (images, windows, heads, q, k).
        query_index: place of each query in its layout, int (windows, q), -1 for padding.
        key_index: the same of the keys, int (windows, k).
        num_query_tokens: tokens of the queries' layout, prefix tokens included.
        num_key_tokens: tokens of the keys' layout.

    Returns:
        (images, heads, num_query_tokens, num_key_tokens), in the dtype given. Known answer: one
        window that holds all tokens in order gives its own map.

    Raises:
        ValueError: the indices do not fit the attention or the layout, or a pair of query and
            key stands in two windows.
    """
    queries, keys = (np.asarray(index, np.int64) for index in (query_index, key_index))
    _expect_windows(attention, queries, keys, (num_query_tokens, num_key_tokens))
    images, _, heads = attention.shape[:3]
    grid = attention.new_zeros((images, heads, num_query_tokens, num_key_tokens))
    for window, (query, key) in enumerate(zip(queries, keys, strict=True)):
        here, there = (_kept(index, attention.device) for index in (query, key))
        inside = attention[:, window][..., here[0][:, None], there[0]]  # images heads q k
        grid[..., here[1][:, None], there[1]] = inside
    return grid


def heads_on_grid(
    attention: Tensor,
    query_index: np.ndarray,
    key_index: np.ndarray,
    num_query_tokens: int,
    num_key_tokens: int,
    most: int = 2**25,
) -> Iterator[tuple[slice, Tensor]]:
    """The same a few heads at a time, so that maps of large grids fit into memory.

    Args:
        attention: (images, windows, heads, q, k).
        query_index: as in `scatter_to_grid`.
        key_index: as in `scatter_to_grid`.
        num_query_tokens: as in `scatter_to_grid`.
        num_key_tokens: as in `scatter_to_grid`.
        most: entries of the maps of one step, if that allows one head at least.

    Yields:
        The heads of a step and their maps, (images, heads here, query tokens, key tokens).
    """
    images, heads = len(attention), attention.shape[2]
    step = max(1, most // max(1, images * num_query_tokens * num_key_tokens))
    for first in range(0, heads, step):
        here = slice(first, min(first + step, heads))
        part = attention[:, :, here]
        yield (
            here,
            scatter_to_grid(part, query_index, key_index, num_query_tokens, num_key_tokens),
        )


def _kept(index: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Positions in a window that are no padding, and the places that they stand for."""
    kept = np.flatnonzero(index >= 0)
    return torch.as_tensor(kept, device=device), torch.as_tensor(index[kept], device=device)


def _expect_windows(
    attention: Tensor, queries: np.ndarray, keys: np.ndarray, tokens: tuple[int, int]
) -> None:
    if attention.ndim != 5:
        raise ValueError(
            "expected attention (images, windows, heads, queries, keys), got shape "
            f"{tuple(attention.shape)}; add an axis of one window for global attention"
        )
    windows, _, q, k = attention.shape[1:]
    for name, index, size, limit in zip(
        ("query_index", "key_index"), (queries, keys), (q, k), tokens, strict=True
    ):
        if index.shape != (windows, size):
            raise ValueError(
                f"expected {name} ({windows}, {size}) of attention {tuple(attention.shape)}, got "
                f"shape {index.shape}"
            )
        if index.size and not -1 <= index.min() <= index.max() < limit:
            raise ValueError(
                f"expected {name} from -1 (padding) to {limit - 1}, got {index.min()} to "
                f"{index.max()}; give the number of tokens of this layer's layout"
            )
    _expect_single_pairs(queries, keys, tokens[1])


def _expect_single_pairs(queries: np.ndarray, keys: np.ndarray, num_keys: int) -> None:
    within = any(_repeats(window) for index in (queries, keys) for window in index)
    if not within and _repeats(queries):  # the same query in several windows, with other keys?
        pairs = queries[:, :, None] * num_keys + keys[:, None, :]
        both = (queries >= 0)[:, :, None] & (keys >= 0)[:, None, :]
        within = _repeats(pairs[both])
    if within:
        raise ValueError(
            "expected every pair of query and key in one window only and once there; windows "
            "that overlap in both have no single map"
        )


def _repeats(index: np.ndarray) -> bool:
    """Whether a place occurs twice, padding aside."""
    placed = index[index >= 0]
    return len(np.unique(placed)) < len(placed)
