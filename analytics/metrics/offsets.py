"""Attention summed by the offset from query to key, and all that follows from these sums.

A query patch at (y, x) that attends to a key patch at (y + dy, x + dx) adds its attention to
the entry (rows - 1 + dy, columns - 1 + dx) of a table of (2 rows - 1, 2 columns - 1) entries.
Distance, hops, templates and centroid are linear in this table, so it is enough to keep it
instead of the N x N map. A NaN anywhere in the table makes every number made from it NaN.

Under the `raw` rule the table holds the plain attention; what lies on prefix keys is missing in
it and so counts as distance 0. Under `renormalised` each row is first scaled to sum 1 over the
patches; a row without mass on patches has no such scaling and is left out, the others counting
for it, so that the table always sums to the number of patches N. A head without any such row
is NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

from analytics.metrics.strength_catalogue import RULES, TEMPLATES, ClsRule
from analytics.types import PatchGrid, TokenLayout


def precise(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is that already."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def expect_attention(attention: Tensor, layout: TokenLayout) -> None:
    """Check that attention (..., T, T) belongs to a layout with at least one patch.

    Raises:
        ValueError: it does not.
    """
    grid, tokens = layout.grid, layout.num_tokens
    if not grid.count:
        raise ValueError("expected a grid with patches, got none; this layer has no patch queries")
    if attention.shape[-2:] != (tokens, tokens):
        raise ValueError(
            f"expected attention (..., {tokens}, {tokens}) of {len(layout.prefix)} prefix tokens "
            f"and {grid.rows} x {grid.columns} patches, got shape {tuple(attention.shape)}; join "
            "windows with scatter_to_grid, and give the layout of this layer"
        )


def expect_rule(rule: str) -> None:
    """Check that there is such a cls rule.

    Raises:
        ValueError: there is not.
    """
    if rule not in RULES:
        raise ValueError(f"expected the cls rule {' or '.join(RULES)}, got {rule!r}")


def patch_mass(attention: Tensor, layout: TokenLayout) -> Tensor:
    """How much of the attention of each patch query lies on patches.

    Args:
        attention: (..., T, T), prefix tokens first.
        layout: prefix tokens and grid.

    Returns:
        (..., N), float32 or float64. Known answer: mass m on cls leaves 1 - m.
    """
    expect_attention(attention, layout)
    first = len(layout.prefix)
    return attention[..., first:, first:].sum(-1, dtype=_wide(attention))


def row_weights(attention: Tensor, layout: TokenLayout, rule: ClsRule) -> Tensor:
    """The weight of each patch query in a mean over the rows, its rule's scaling included.

    Args:
        attention: (..., T, T), prefix tokens first.
        layout: prefix tokens and grid.
        rule: `raw`: 1 / N everywhere. `renormalised`: 1 / (mass on patches * number of rows
            that have such mass), 0 for the other rows and NaN where no row has any.

    Returns:
        float64 (..., N). Known answer: half of the mass on cls gives 1 / N and 2 / N.
    """
    expect_attention(attention, layout)
    expect_rule(rule)
    count = layout.grid.count
    if rule == "raw":
        lead = attention.shape[:-2]
        return torch.full((*lead, count), 1 / count, dtype=torch.float64, device=attention.device)
    mass = patch_mass(attention, layout).double()
    scale = torch.where(mass == 0, 0, 1 / mass)
    return scale / (mass != 0).sum(-1, keepdim=True)


def offset_sums(attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised") -> Tensor:
    """How much attention goes to each offset (dy, dx), summed over the patch queries.

    Args:
        attention: after the softmax, (..., T, T), prefix tokens first; 0 outside windows.
        layout: prefix tokens and grid.
        rule: what becomes of the mass on prefix keys.

    Returns:
        (..., 2 rows - 1, 2 columns - 1), float32 or float64; offset (0, 0) in the middle. Sums
        to N under `renormalised`. Known answer: uniform attention without prefix tokens gives
        (rows - |dy|) (columns - |dx|) / N.

    Raises:
        ValueError: attention and layout do not fit, or there is no such rule.
    """
    weights = row_weights(attention, layout, rule) * layout.grid.count  # ... N
    rows, columns = layout.grid.rows, layout.grid.columns
    first, lead = len(layout.prefix), attention.shape[:-2]
    pairs = attention[..., first:, first:].unflatten(-1, (rows, columns))
    pairs = pairs.unflatten(-3, (rows, columns))  # ... y x y x
    weights = weights.unflatten(-1, (rows, columns))[..., None, None]  # ... y x 1 1
    along = weights.new_zeros((*lead, rows, rows, 2 * columns - 1))  # ... y y dx
    for x in range(columns):
        at = slice(columns - 1 - x, 2 * columns - 1 - x)
        along[..., at] += pairs[..., x, :, :] * weights[..., x, :, :]
    sums = weights.new_zeros((*lead, 2 * rows - 1, 2 * columns - 1))  # ... dy dx
    for y in range(rows):
        sums[..., rows - 1 - y : 2 * rows - 1 - y, :] += along[..., y, :, :]
    broken = sums.isnan().any(-1, keepdim=True).any(-2, keepdim=True)
    return sums.masked_fill(broken, torch.nan).to(_wide(attention))


def distance_from_offsets(sums: Tensor, grid: PatchGrid) -> Tensor:
    """Mean attention distance, in patches: see `mean_distance`.

    Args:
        sums: from `offset_sums`, (..., 2 rows - 1, 2 columns - 1).
        grid: rows and columns.

    Returns:
        (...). Known answer: all attention one patch to the right gives 1.
    """
    dy, dx = _steps(grid)
    return _weighted(sums, grid, torch.hypot(dy, dx)[..., None])[..., 0]


def hops_from_offsets(sums: Tensor, grid: PatchGrid) -> tuple[Tensor, Tensor]:
    """Attention by the hops between query and key: see `hop_strength` and `hop_mass`.

    Args:
        sums: from `offset_sums`, (..., 2 rows - 1, 2 columns - 1).
        grid: rows and columns; K = max(rows, columns) hops.

    Returns:
        Strength and mass, each (..., K). Known answer: uniform attention has the strength 1 / N
        at every hop, and masses that sum to 1.
    """
    dy, dx = _steps(grid)
    hop = torch.maximum(dy.abs(), dx.abs())
    ours = hop[..., None] == torch.arange(max(grid.rows, grid.columns))  # dy dx k
    mass = _weighted(precise(sums).double(), grid, ours)
    pairs = (ours * _pairs(grid)[..., None]).sum((0, 1)).to(sums.device)  # k
    strength = mass * grid.count / pairs
    return strength.to(_wide(sums)), mass.to(_wide(sums))


def templates_from_offsets(sums: Tensor, grid: PatchGrid) -> Tensor:
    """Mass on the patch itself, its 8 neighbours, and the rest of its row and column.

    Args:
        sums: from `offset_sums`, (..., 2 rows - 1, 2 columns - 1).
        grid: rows and columns.

    Returns:
        (..., 11), in the order of `TEMPLATES` without cls; no key counts twice. Known answer:
        identity attention gives 1 and ten times 0.
    """
    dy, dx = _steps(grid)
    near = [(dy == y) & (dx == x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    ours = [near.pop(4), *near, (dy == 0) & (dx.abs() > 1), (dx == 0) & (dy.abs() > 1)]
    assert len(ours) == len(TEMPLATES) - 1
    return _weighted(sums, grid, torch.stack(ours, dim=-1))


def centroid_from_offsets(sums: Tensor, grid: PatchGrid) -> Tensor:
    """The mean offset from query to key, in patches: see `offset_centroid`.

    Args:
        sums: from `offset_sums`, (..., 2 rows - 1, 2 columns - 1).
        grid: rows and columns.

    Returns:
        (..., 2), down and right. Known answer: (0, 0) for uniform attention.
    """
    return _weighted(sums, grid, torch.stack(torch.broadcast_tensors(*_steps(grid)), dim=-1))


def map_from_offsets(sums: Tensor, grid: PatchGrid) -> Tensor:
    """Mean attention over the pairs of patches at each offset: see `offset_map`.

    Args:
        sums: from `offset_sums`, (..., 2 rows - 1, 2 columns - 1).
        grid: rows and columns.

    Returns:
        The same shape. Known answer: 1 / N everywhere for uniform attention.
    """
    _expect_sums(sums, grid)
    return precise(sums) / _pairs(grid).to(sums.device, _wide(sums))


def uniform_distance(grid: PatchGrid) -> float:
    """Mean distance of uniform attention, in patches: what a head without preference has.

    Returns:
        Known answers: 7.280764 for 14 x 14 patches, 8.326075 for 16 x 16, 0 for one patch.
    """
    return float(distance_from_offsets(_pairs(grid) / grid.count, grid))


def _steps(grid: PatchGrid) -> tuple[Tensor, Tensor]:
    """Offsets dy (2 rows - 1, 1) and dx (1, 2 columns - 1), float64."""
    dy = torch.arange(1 - grid.rows, grid.rows, dtype=torch.float64)[:, None]
    return dy, torch.arange(1 - grid.columns, grid.columns, dtype=torch.float64)[None]


def _pairs(grid: PatchGrid) -> Tensor:
    """How many pairs of patches lie at each offset, float64 (2 rows - 1, 2 columns - 1)."""
    dy, dx = _steps(grid)
    return (grid.rows - dy.abs()) * (grid.columns - dx.abs())


def _weighted(sums: Tensor, grid: PatchGrid, weights: Tensor) -> Tensor:
    """Mean over the queries: sums (..., dy, dx) times weights (dy, dx, n) -> (..., n)."""
    _expect_sums(sums, grid)
    table = weights.flatten(0, 1).to(sums.device, torch.float64)  # dy dx, n
    return (sums.double().flatten(-2) @ table / grid.count).to(_wide(sums))


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _expect_sums(sums: Tensor, grid: PatchGrid) -> None:
    expected = (2 * grid.rows - 1, 2 * grid.columns - 1)
    if not grid.count or sums.shape[-2:] != expected:
        raise ValueError(
            f"expected sums by offset (..., {expected[0]}, {expected[1]}) of a grid of "
            f"{grid.rows} x {grid.columns} patches, got shape {tuple(sums.shape)}"
        )
