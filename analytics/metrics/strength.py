"""How far, how evenly and where heads look: metrics of a head's attention map.

Attention is given after the softmax, (..., T, T), query by key, prefix tokens first, with zeros
outside the windows of a windowed layer. Patches ask in every metric but `block_mass`; distances
are in patches. The cls rule says what becomes of the mass on prefix keys: `raw` keeps it, at
distance 0; `renormalised` drops it and scales each row to sum 1 over the patches. A row without
mass on patches cannot be scaled: it is NaN in a metric with a number for each query, and left
out of means over the queries. A NaN in the rows that a metric reads makes the head's number NaN,
without an error; `nan_heads` finds such heads. Results are float32, or float64 if given that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from analytics.metrics.offsets import (
    centroid_from_offsets,
    distance_from_offsets,
    expect_attention,
    expect_rule,
    hops_from_offsets,
    map_from_offsets,
    offset_sums,
    patch_mass,
    precise,
    row_weights,
    templates_from_offsets,
)
from analytics.metrics.strength_catalogue import ClsRule
from analytics.types import PatchGrid, TokenLayout


def nan_heads(attention: Tensor) -> Tensor:
    """Which maps hold a NaN, as after an overflow in half precision: (..., T, T) -> bool (...)."""
    return attention.isnan().any(-1).any(-1)


def mean_distance(attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised") -> Tensor:
    """Mean over the patches of the distance to what they attend to: mean_i sum_j A_ij d_ij.

    Returns:
        (...), in patches. Known answers: 7.280764 for uniform attention on 14 x 14 patches; 0
        for identity; (g - 1) / g where each patch attends to the one on its right and the last
        of a row to itself; mass m on cls takes the share m from it under `raw` only.

    Reference: Dosovitskiy et al. 2021, section 4.5; Raghu et al. 2021.
    Differs: what becomes of prefix keys is ours.
    """
    return distance_from_offsets(offset_sums(attention, layout, rule), layout.grid)


def hop_strength(attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised") -> Tensor:
    """Mean attention over the pairs of patches that are k hops (Chebyshev distance) apart.

    Returns:
        (..., K), K = max(rows, columns), from hop 0: the plain A_ij under `raw`, the scaled one
        under `renormalised`. Known answer: 1 / N at every hop for uniform attention.

    Reference: Li et al. 2023, as read off the authors' picture; formula and rules are ours.
    """
    return hops_from_offsets(offset_sums(attention, layout, rule), layout.grid)[0]


def hop_mass(attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised") -> Tensor:
    """Mean over the patches of their attention to all patches that are k hops away (ours).

    Returns:
        (..., K), sums to 1 under `renormalised`. Known answer: 1 at hop 0 for identity.
    """
    return hops_from_offsets(offset_sums(attention, layout, rule), layout.grid)[1]


def hop_entropy(strength: Tensor) -> Tensor:
    """Shannon entropy of the hop strengths scaled to sum 1: (..., K) -> (...), in nats.

    NaN where all strengths are 0. Known answers: ln K for uniform attention, 0 for identity,
    0.692881 for the 3 x 3 neighbourhood on 14 x 14 patches.

    Reference: Li et al. 2023, as read off the authors' system picture.
    """
    shares = strength.double() / strength.sum(-1, keepdim=True, dtype=torch.float64)
    return _entropy(shares).to(precise(strength).dtype)


def row_entropy(attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised") -> Tensor:
    """Mean over the patches of the entropy of their attention, in nats.

    Returns:
        (...). Under `raw` prefix keys count like others, and the largest is ln T; under
        `renormalised` it is ln N. Known answers: that for uniform attention, 0 for identity.

    Reference: Clark et al. 2019, section 3.3.
    Differs: the queries are patches, and the rules are ours.
    """
    weights = row_weights(attention, layout, rule)
    mass = patch_mass(attention, layout).double()
    first = len(layout.prefix)
    keys = attention[..., first:, :] if rule == "raw" else attention[..., first:, first:]
    rows = [_entropy(keys[..., at, :].double()) for at in _strips(layout.grid)]
    entropy = torch.cat(rows, dim=-1)  # ... N
    if rule == "renormalised":  # -sum (a / m) ln (a / m) = (-sum a ln a) / m + ln m
        entropy = entropy + torch.special.xlogy(mass, mass)  # its row weight is 1 / (m n)
    return (entropy * weights).sum(-1).to(precise(attention).dtype)


def nmi(attention: Tensor, layout: TokenLayout) -> Tensor:
    """Normalised mutual information of query and key patch, renormalised, queries equally likely.

    Returns:
        (...), 0 to 1. Known answers: 0 for uniform attention, 1 for identity.

    Reference: Park et al. 2023.
    """
    return nmi_from(row_entropy(attention, layout), received_attention(attention, layout))


def nmi_from(row_entropy_mean: Tensor, received: Tensor) -> Tensor:
    """`nmi` from its parts: (H(received) - mean row entropy) / sqrt(ln N * H(received)).

    Args:
        row_entropy_mean: `row_entropy`, renormalised, (...).
        received: `received_attention`, renormalised, (..., N).

    Returns:
        (...); 0 where all patches attend to the same one.
    """
    keys = _entropy(received.double())
    shared = (keys - row_entropy_mean.double()).clamp(min=0)
    scale = (math.log(received.shape[-1]) * keys).clamp(min=0).sqrt()
    return (shared / torch.where(scale == 0, 1, scale)).to(precise(received).dtype)


def received_attention(
    attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised"
) -> Tensor:
    """How much attention each patch receives: its mean over the patch queries.

    Returns:
        (..., N), sums to 1 under `renormalised`. Known answer: 1 / N for uniform attention.

    Reference: Future Attention Influence of Preplan-and-Anchor, for text.
    Differs: all patches of a grid ask, in no order: ours.
    """
    weights = row_weights(attention, layout, rule)
    patches = attention[..., len(layout.prefix) :, len(layout.prefix) :]
    total = torch.zeros_like(weights)
    for at in _strips(layout.grid):
        total += (patches[..., at, :] * weights[..., at, None]).sum(-2)
    return total.to(precise(attention).dtype)


def clipped_distance(
    attention: Tensor, layout: TokenLayout, limit: float = 3.0, rule: ClsRule = "renormalised"
) -> Tensor:
    """How far each patch looks, up to a limit W in patches: sum_j A_ij min(d_ij, W).

    Returns:
        (..., N), in patches. Known answer: mean 2.874005 for uniform attention on 14 x 14
        patches with limit 3.

    Reference: Windowed Average Attention Distance of Preplan-and-Anchor, for text.
    Differs: distances on a grid instead of in a sequence: ours.
    """
    expect_attention(attention, layout)
    expect_rule(rule)
    patches = attention[..., len(layout.prefix) :, len(layout.prefix) :]
    patch = torch.arange(layout.grid.count, dtype=torch.float64, device=attention.device)
    y, x = patch // layout.grid.columns, patch % layout.grid.columns
    reach = []
    for at in _strips(layout.grid):
        near = torch.hypot(y[at, None] - y, x[at, None] - x).clamp(max=limit)
        reach.append((patches[..., at, :] * near).sum(-1))
    clipped = torch.cat(reach, dim=-1)  # ... N
    if rule == "renormalised":
        clipped = clipped / patch_mass(attention, layout)
    return clipped.to(precise(attention).dtype)


def block_mass(attention: Tensor, layout: TokenLayout) -> Tensor:
    """Mean mass from cls, registers and patches to cls, registers and patches (ours).

    Every prefix token that is not cls counts as a register, DeiT's `dist` too.

    Returns:
        (..., 3, 3) in the order of `BLOCKS`, query by key; NaN from and to a kind of token that
        the layout lacks. Rows sum to 1 over the kinds there are. Known answer: uniform
        attention gives the share of each kind among the tokens.
    """
    expect_attention(attention, layout)
    first, wide = len(layout.prefix), precise(attention).dtype
    cls = [i for i, name in enumerate(layout.prefix) if name == "cls"]
    registers = [i for i in range(first) if i not in cls]
    kinds = (cls, registers, slice(first, None))
    keys = torch.stack([attention[..., kind].sum(-1, dtype=wide) for kind in kinds], -1)
    means = torch.stack([keys[..., kind, :].mean(-2) for kind in kinds], -2)  # ... 3 3
    absent = torch.tensor([not cls, not registers, False], device=attention.device)
    return means.masked_fill(absent, torch.nan)


def offset_map(attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised") -> Tensor:
    """Mean attention over the pairs of patches at each offset (dy, dx) from query to key.

    Returns:
        (..., 2 rows - 1, 2 columns - 1), offset (0, 0) in the middle. Known answers: 1 / N
        everywhere for uniform attention; 1 at (0, 1) where each patch attends to its right.

    Reference: Walmer et al. 2023, on heads that look at a fixed offset; the formula is ours.
    """
    return map_from_offsets(offset_sums(attention, layout, rule), layout.grid)


def offset_centroid(
    attention: Tensor, layout: TokenLayout, rule: ClsRule = "renormalised"
) -> Tensor:
    """Mean offset from query to key, weighted by attention (ours).

    Each unit of attention counts once; in the centroid of `offset_map` the few pairs at far
    offsets would count as much as the many near ones. Prefix keys are offset 0 under `raw`.

    Returns:
        (..., 2), in patches down and right. Known answer: (0, (g - 1) / g) where each patch
        attends to its right and the last of a row to itself.
    """
    return centroid_from_offsets(offset_sums(attention, layout, rule), layout.grid)


def template_score(attention: Tensor, layout: TokenLayout, rule: ClsRule = "raw") -> Tensor:
    """Mean mass of the patches on simple places: themselves, neighbours, row, column, cls (ours).

    Returns:
        (..., 12) in the order of `TEMPLATES`; no key counts twice, and 1 - their sum is the
        mass on other patches and on registers. cls is 0 without a cls token and under
        `renormalised`. Known answer: identity gives 1 and eleven times 0.
    """
    offsets = templates_from_offsets(offset_sums(attention, layout, rule), layout.grid)
    cls = offsets[..., :1] * 0  # so that NaN stays NaN
    if rule == "raw" and "cls" in layout.prefix:
        at = layout.prefix.index("cls")
        cls = precise(attention[..., len(layout.prefix) :, at]).mean(-1, keepdim=True)
    return torch.cat([offsets, cls], dim=-1)


def unit_maps(attention: Tensor, layout: TokenLayout) -> Tensor:
    """Attention between patches as a vector of length 1, (..., N * N); NaN where there is none."""
    expect_attention(attention, layout)
    first = len(layout.prefix)
    maps = precise(attention[..., first:, first:]).flatten(-2)  # ... N*N
    length = torch.linalg.vector_norm(maps, dim=-1, keepdim=True, dtype=torch.float64)
    return maps / length.to(maps.dtype)


def content_agnosticism(attention: Tensor, layout: TokenLayout) -> Tensor:
    """Mean cosine between a head's maps on different images, patches to patches (ours).

    Args:
        attention: (images, ..., T, T).
        layout: prefix tokens and grid.

    Returns:
        (...); NaN for a single image. Known answers: 1 where the map is always the same, 0
        where no two images have attention in the same place.
    """
    lead = attention.shape[1:-2]
    total = attention.new_zeros((*lead, layout.grid.count**2), dtype=torch.float64)
    for one in attention:
        total += unit_maps(one, layout)
    return agnosticism_from_sum(total, len(attention)).to(precise(attention).dtype)


def agnosticism_from_sum(sum_of_unit_maps: Tensor, n: int) -> Tensor:
    """`content_agnosticism` from a running sum, (|sum of n unit maps|^2 - n) / (n (n - 1)).

    Args:
        sum_of_unit_maps: the `unit_maps` of n images added up, (..., entries).
        n: number of images.

    Returns:
        (...), at most 1; NaN for fewer than two images.
    """
    wide = sum_of_unit_maps.double()
    squared = torch.linalg.vecdot(wide, wide)
    cosine = ((squared - n) / (n * (n - 1) if n > 1 else math.nan)).clamp(-1, 1)
    return cosine.to(precise(sum_of_unit_maps).dtype)


def _entropy(shares: Tensor) -> Tensor:
    """-sum p ln p over the last axis, with 0 ln 0 = 0."""
    return -torch.special.xlogy(shares, shares).sum(-1)


def _strips(grid: PatchGrid) -> Iterator[slice]:
    """The patches of each row of the grid: float64 then costs the memory of one row only."""
    for y in range(grid.rows):
        yield slice(y * grid.columns, (y + 1) * grid.columns)
