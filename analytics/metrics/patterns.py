"""Attention maps of any grid brought to one small size, on a log scale from 0 to 1.

A map is laid on 8 x 8 equal parts of the picture: (query part, key part), 64 x 64 values. A
query part holds the mean over its patches, a key part the mass on its patches, times 64, so
that 1 is uniform attention whatever the grid, and 64 all mass on one part. A patch that
overlaps several parts counts for each by its area, so oblong grids and grids that 8 does not
divide fit as well. Mass on prefix tokens is missing, which keeps it visible: rows that look at
cls are dark. What cls gives each place is kept beside the map, on 16 x 16 parts.

The log scale is log(1 + value) / log(1 + largest value); both steps are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analytics.types import TokenLayout

MAP_PARTS, CLS_PARTS = 8, 16
"""Parts of the picture along each side, for the map and for the row of cls."""

SIDE = MAP_PARTS**2
"""Queries, and keys, of a small map."""

MOST, CLS_MOST = float(SIDE), float(CLS_PARTS**2)
"""Largest value of a small map and of a small row of cls, in times uniform."""


def small_map(attention: Tensor, queries: TokenLayout, keys: TokenLayout) -> Tensor:
    """Patch-to-patch attention on 8 x 8 parts of the picture, in times uniform.

    Args:
        attention: (..., query tokens, key tokens), prefix tokens first.
        queries: layout of the queries.
        keys: layout of the keys; its grid may be another one.

    Returns:
        float32 (..., 64, 64); NaN wherever a NaN came in. Known answers: uniform attention
        among patches gives 1 everywhere; on an 8 x 8 grid, identity gives 64 on the diagonal.

    Raises:
        ValueError: attention and layouts do not fit, or one has no patches.
    """
    _expect(attention, queries, keys)
    patches = attention[..., len(queries.prefix) :, len(keys.prefix) :].float()
    of_queries, of_keys = (_shares(one, MAP_PARTS).to(patches.device) for one in (queries, keys))
    means = of_queries / of_queries.sum(1, keepdim=True)
    return MOST * (means @ patches @ of_keys.T)  # (..., 64, 64)


def small_cls_row(attention: Tensor, queries: TokenLayout, keys: TokenLayout) -> Tensor:
    """What cls gives each of 16 x 16 parts of the picture, in times uniform.

    Args:
        attention: (..., query tokens, key tokens), prefix tokens first.
        queries: layout of the queries.
        keys: layout of the keys.

    Returns:
        float32 (..., 16, 16), 0 where there is no cls token. Known answer: 1 everywhere for a
        cls token that attends to all patches alike and to nothing else.

    Raises:
        ValueError: attention and layouts do not fit, or one has no patches.
    """
    _expect(attention, queries, keys)
    if "cls" not in queries.prefix:
        return attention.new_zeros((*attention.shape[:-2], CLS_PARTS, CLS_PARTS)).float()
    row = attention[..., queries.prefix.index("cls"), len(keys.prefix) :].float()
    small = CLS_MOST * (row @ _shares(keys, CLS_PARTS).to(row.device).T)
    return small.unflatten(-1, (CLS_PARTS, CLS_PARTS))


def log_scale(values: Tensor, most: float) -> Tensor:
    """Times uniform as log(1 + value) / log(1 + most), 0 to 1.

    Known answer: 1 of at most 64 gives .166, 64 gives 1.
    """
    return torch.log1p(values) / math.log1p(most)


def times_uniform(scaled: Tensor, most: float) -> Tensor:
    """The inverse of `log_scale`."""
    return torch.expm1(scaled * math.log1p(most))


def area_shares(length: int, parts: int) -> Tensor:
    """How much of each of `length` equal patches lies in each of `parts` equal parts.

    Returns:
        float32 (parts, length); columns sum to 1. Known answer: 3 patches in 2 parts give
        (1, 1/2, 0) and (0, 1/2, 1).
    """
    parts_of = torch.arange(parts, dtype=torch.float64)[:, None] * length / parts
    patches = torch.arange(length, dtype=torch.float64)[None]
    low = torch.maximum(parts_of, patches)
    high = torch.minimum(parts_of + length / parts, patches + 1)
    return (high - low).clamp(min=0).float()


def _shares(layout: TokenLayout, parts: int) -> Tensor:
    """Share of each patch in each part of the picture, (parts * parts, patches)."""
    rows = area_shares(layout.grid.rows, parts)
    columns = area_shares(layout.grid.columns, parts)
    return torch.kron(rows, columns)


def _expect(attention: Tensor, queries: TokenLayout, keys: TokenLayout) -> None:
    expected = (queries.num_tokens, keys.num_tokens)
    if not (queries.grid.count and keys.grid.count) or attention.shape[-2:] != expected:
        raise ValueError(
            f"expected attention (..., {expected[0]}, {expected[1]}) between grids of patches, got "
            f"shape {tuple(attention.shape)} for {queries.grid.count} query and {keys.grid.count} "
            "key patches; join windows with scatter_to_grid and give the layouts of this layer"
        )
