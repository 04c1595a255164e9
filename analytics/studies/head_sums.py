"""What a profile keeps of a layer's attention: small sums, made while the model runs.

Everything linear in the attention is a function of how much of it goes to each offset, so
no N x N map outlives the block of a few heads in which it was computed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analytics.capture.blocks import Block, attention_blocks, block_room, flat
from analytics.capture.recording import Heads
from analytics.types import TokenLayout

CLIP = 3.0
"""Longest distance that `clipped_distance` tells apart, in patches."""

KEPT_ENTRIES = 2**16
"""Most entries of a head's map that count for content agnosticism: all up to 16 x 16 patches."""


@dataclass(frozen=True)
class HeadSums:
    """Sums over one layer's attention for b pictures, float32; patches are queries.

    `offsets` maps each cls rule to what `offset_sums` gives, (b, heads, 2 rows - 1,
    2 columns - 1), and `entropy` to the mean entropy of a row, (b, heads). `received` maps it
    to the mean attention of each patch, (b, heads, keys). `clipped` is the mean of
    min(distance, 3) of each query, renormalised, (b, heads, queries); `blocks` the mass from
    and to cls, registers and patches, (b, heads, 3, 3), NaN where there are none; `cls_row`
    what the cls token gives to each patch, (b, heads, keys). `units` is the sum over the
    pictures of each head's map (patches to patches, some rows of a large one) scaled to
    length 1, (heads, entries).
    """

    offsets: dict[str, Tensor]
    entropy: dict[str, Tensor]
    received: dict[str, Tensor]
    clipped: Tensor
    blocks: Tensor
    cls_row: Tensor
    units: Tensor


def kept_rows(num_queries: int, num_keys: int) -> range:
    """Which patch queries count for content agnosticism: evenly spaced, all of a small grid."""
    step = max(1, -(-num_queries * num_keys // KEPT_ENTRIES))
    return range(step // 2, num_queries, step) if step <= num_queries else range(1)


def is_regular(heads: Heads) -> bool:
    """Whether a call is fused, global, and attends from a grid to the same grid."""
    site = heads.site
    layout = site.query_layout
    return bool(
        heads.query is not None
        and site.num_windows == 1
        and layout is not None
        and layout.grid.count
        and layout == site.key_layout
    )


class GridSums:
    """Sums the attention of a regular call while computing it, block by block."""

    def __init__(self, heads: Heads, visit: Callable[[Block], None] | None = None) -> None:
        """Make room for the sums; `run` fills them, and shows each block to `visit`."""
        layout = heads.site.query_layout
        assert layout is not None and heads.query is not None
        self._heads, self._layout, self._visit = heads, layout, visit
        self._prefix, grid = len(layout.prefix), layout.grid
        self._rows, self._columns, self._count = grid.rows, grid.columns, grid.count
        device = heads.query.device
        lines = heads.query.shape[0] * heads.site.num_heads
        self._rules = ("renormalised", "raw") if self._prefix else ("raw",)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros((lines, *shape), device=device)

        spread = (2 * self._rows - 1, 2 * self._columns - 1)
        self._offsets = {rule: zeros(*spread) for rule in self._rules}
        self._received = zeros(len(self._rules), layout.num_tokens)
        self._entropy = {rule: zeros(self._count) for rule in self._rules}
        self._clipped = zeros(self._count)
        self._masses = zeros(layout.num_tokens, 3)
        self._cls_row = zeros(self._count)
        entries = len(kept_rows(self._count, self._count)) * self._count
        self._units = torch.zeros((heads.site.num_heads, entries), device=device)
        self._kept: list[Tensor] = []
        self._cls = layout.prefix.index("cls") if "cls" in layout.prefix else None
        self._lead = torch.zeros(0, device=device)
        self._memory = torch.zeros(0, device=device)
        self._near = _Near(layout, device)

    def run(self) -> tuple[Tensor, HeadSums]:
        """The head outputs that the model goes on with, in its dtype, and the sums."""
        heads = self._heads
        assert heads.key is not None and heads.value is not None and heads.query is not None
        value = flat(heads.value).float()
        output = torch.empty_like(value)
        runs = self._runs()
        self._plan(runs)
        for block in attention_blocks(heads, runs):
            output[block.lines, block.queries] = torch.bmm(block.attention, value[block.lines])
            self._add(block)
            if self._visit is not None:
                self._visit(block)
        return output.view(heads.value.shape).to(heads.value.dtype), self._finish()

    def _runs(self) -> list[slice]:
        """Some whole rows of the grid each, all heads of a picture having room in a block.

        The prefix tokens join the first run.
        """
        prefix, end = self._prefix, self._prefix + self._count
        row_bytes = 4 * self._columns * self._layout.num_tokens * self._heads.site.num_heads
        most = max(1, block_room(self._units.device) // row_bytes)
        runs = -(-self._rows // most)
        step = self._columns * -(-self._rows // runs)
        ends = [0, *range(prefix + step, end, step), end]
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    def _plan(self, runs: list[slice]) -> None:
        """What is the same for every head, by the first patch of each run.

        `_steps` has the row of the offset sums that each pair of a row of queries and a row
        of keys goes to; `_chosen` the queries that count for content agnosticism.
        """
        kept = kept_rows(self._count, self._count)
        self._steps: dict[int, Tensor] = {}
        self._chosen: dict[int, slice] = {}
        keys = torch.arange(self._rows)
        for run in runs:
            first, last = max(0, run.start - self._prefix), run.stop - self._prefix
            rows = torch.arange(first // self._columns, last // self._columns)
            steps = (keys[None] - rows[:, None] + self._rows - 1).flatten()
            self._steps[first] = steps.to(self._units.device)
            mine = [row - first for row in kept if first <= row < last]
            self._chosen[first] = slice(mine[0], last - first, kept.step) if mine else slice(0)

    def _add(self, block: Block) -> None:
        """Add a block of patch queries, behind the prefix tokens in the first of them."""
        prefix, lines, run = self._prefix, block.lines, block.queries
        attention, ahead = block.attention, max(0, prefix - run.start)
        own = slice(run.start + ahead - prefix, run.stop - prefix)
        self._masses[lines, run] = sides = self._sides(attention)
        if self._cls is not None and run.start == 0:
            self._cls_row[lines] = attention[:, self._cls, prefix:]
        mass = sides[:, ahead:, 2]
        asking = attention[:, ahead:]
        patches = asking[..., prefix:]
        scale = torch.where(mass == 0, 0, 1 / mass)
        by_rule = {"raw": torch.ones_like(mass), "renormalised": scale}
        weights = torch.stack([by_rule[rule] for rule in self._rules], dim=1)  # lines, rules, q
        self._add_offsets(patches, weights, lines, own)
        self._received[lines] += torch.bmm(weights, asking)
        self._clipped[lines, own] = self._near.clipped_sums(patches, mass, own) / mass
        self._add_entropy(block, ahead, mass, own)
        self._add_units(patches[:, self._chosen[own.start]], lines, own.stop == self._count)

    def _add_units(self, rows: Tensor, lines: slice, whole: bool) -> None:
        """Keep some rows of a few heads; when they are `whole`, add their unit maps."""
        if not whole:
            self._kept.append(rows.clone())  # the block's memory is used again
            return
        maps = torch.cat([*self._kept, rows], dim=1) if self._kept else rows
        self._kept = []
        heads = torch.arange(lines.start, lines.stop, device=rows.device) % len(self._units)
        lengths = torch.linalg.vector_norm(torch.linalg.vector_norm(maps, dim=2), dim=1)
        known, factors = _unit_factors(lengths)
        units = self._product(maps, factors[:, None, None])
        if not bool(known.all()):
            units = torch.where(known[:, None, None], units, 0)
        self._units.index_add_(0, heads, units.flatten(1))

    def _product(self, first: Tensor, second: Tensor) -> Tensor:
        """What `first * second` gives, in memory that the next product uses again."""
        size = first.numel()
        if len(self._memory) < size:
            self._memory = first.new_empty(size)
        return torch.mul(first, second, out=self._memory[:size].view(first.shape))

    def _sides(self, attention: Tensor) -> Tensor:
        """Mass on cls, registers and patches, (lines, queries, 3)."""
        prefix = attention[..., : self._prefix].sum(-1)
        none = torch.zeros_like(prefix)
        cls = none if self._cls is None else attention[..., self._cls]
        return torch.stack([cls, prefix - cls, attention[..., self._prefix :].sum(-1)], dim=-1)

    def _add_offsets(self, patches: Tensor, weights: Tensor, lines: slice, own: slice) -> None:
        """Add the weighted attention of some rows of the grid at each offset (dy, dx)."""
        rows, columns = self._rows, self._columns
        count, here = len(patches), patches.shape[1] // columns
        wide, lead = 2 * columns, columns - 1
        spread = rows * wide
        size = count * here * columns * spread
        if len(self._lead) < lead + size:
            self._lead = patches.new_zeros(lead + size)
        # Each row of keys is followed by as many zeros, so that reading on to either side of a
        # query's own column finds attention where there are patches and zeros elsewhere.
        padded = self._lead[lead : lead + size].view(count, here * columns, rows, wide)
        padded[..., :columns] = patches.unflatten(2, (rows, columns))
        # A query one column further begins one place later: offsets stand below each other,
        # and the sum over the queries of a row is a product with their weights.
        skewed = self._lead.as_strided(
            (count * here, columns, spread), (columns * spread, spread + 1, 1)
        )
        factors = weights.unflatten(2, (here, columns)).transpose(1, 2).flatten(0, 1)
        along = torch.bmm(factors, skewed)  # lines * rows here, rules, key rows * wide
        along = along.view(count, here, -1, rows, wide)[..., : wide - 1]
        for i, rule in enumerate(self._rules):
            found = along[:, :, i].flatten(1, 2)
            self._offsets[rule][lines].index_add_(1, self._steps[own.start], found)

    def _add_entropy(self, block: Block, ahead: int, mass: Tensor, own: slice) -> None:
        """-sum A log A = sum A (log normaliser - logit): no logarithm of single entries."""
        prefix = self._prefix
        attention = block.attention[:, ahead:]
        logits = self._product(attention[..., prefix:], block.logits[:, ahead:, prefix:]).sum(-1)
        among = block.log_normaliser[:, ahead:] * mass - logits
        other = torch.special.xlogy(attention[..., :prefix], attention[..., :prefix]).sum(-1)
        self._entropy["raw"][block.lines, own] = among - other
        if prefix:
            scaled = torch.where(mass == 0, 0, among / mass + mass.log())
            self._entropy["renormalised"][block.lines, own] = scaled

    def _finish(self) -> HeadSums:
        heads = self._heads.site.num_heads

        def split(tensor: Tensor) -> Tensor:
            return tensor.unflatten(0, (-1, heads))

        def ruled(tables: dict[str, Tensor]) -> dict[str, Tensor]:
            return {rule: tables.get(rule, tables["raw"]) for rule in ("renormalised", "raw")}

        # Rows without mass on patches have no scaled row: the others count for them.
        mass = self._masses[:, self._prefix :, 2]
        whole = {"raw": torch.ones(len(mass), device=mass.device)}
        whole["renormalised"] = self._count / (mass != 0).sum(-1)
        offsets, received, entropy = {}, {}, {}
        for i, rule in enumerate(self._rules):
            factor = whole[rule][:, None]
            offsets[rule] = split(self._offsets[rule] * factor[..., None])
            received[rule] = split(self._received[:, i, self._prefix :] * factor / self._count)
            entropy[rule] = split(self._entropy[rule].mean(-1, keepdim=True) * factor)[..., 0]
        cls_row = split(self._cls_row)
        return HeadSums(
            ruled(offsets),
            ruled(entropy),
            ruled(received),
            split(self._clipped),
            block_means(split(self._masses), self._layout),
            cls_row if self._cls is not None else torch.full_like(cls_row, torch.nan),
            self._units,
        )


def block_means(masses: Tensor, layout: TokenLayout) -> Tensor:
    """Mean over the queries of each side: (b, heads, queries, 3) -> (b, heads, 3, 3).

    NaN in the rows and columns of a side that the layout does not have.
    """
    is_cls = torch.tensor([name == "cls" for name in layout.prefix], dtype=torch.bool)
    patches = torch.ones(layout.grid.count, dtype=torch.bool)
    none = torch.zeros_like(patches)
    ahead = torch.zeros_like(is_cls)
    sides = [torch.cat(one) for one in ((is_cls, none), (~is_cls, none), (ahead, patches))]
    means = torch.stack([masses[:, :, side.to(masses.device)].mean(2) for side in sides], dim=2)
    absent = torch.tensor([not bool(side.any()) for side in sides], device=masses.device)
    return means.masked_fill(absent[None, None, None, :], torch.nan)


def unit_maps(maps: Tensor) -> Tensor:
    """Each map, (..., entries), scaled to length 1.

    A map that is all 0, or not a number somewhere, has no length and becomes all 0.
    """
    whole, factors = _unit_factors(torch.linalg.vector_norm(maps, dim=-1, keepdim=True))
    return torch.where(whole, maps * factors, 0)


def _unit_factors(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Which maps have a length, and what scales those to 1."""
    whole = lengths.isfinite() & (lengths > 0)
    return whole, torch.where(whole, 1 / lengths, 0)


class _Near:
    """Sums of min(distance, 3) over the keys, from the few patches that are nearer than 3."""

    def __init__(self, layout: TokenLayout, device: torch.device) -> None:
        grid, reach = layout.grid, int(np.ceil(CLIP)) - 1
        y, x = np.divmod(np.arange(grid.count), grid.columns)
        dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
        rows, columns = y[:, None] + dy, x[:, None] + dx  # patches, offsets
        inside = (rows >= 0) & (rows < grid.rows) & (columns >= 0) & (columns < grid.columns)
        missing = np.maximum(CLIP - np.hypot(dy, dx), 0) * inside
        keys = np.where(inside, rows * grid.columns + columns, 0)
        self._keys = torch.from_numpy(keys).to(device)
        self._missing = torch.from_numpy(missing.astype(np.float32)).to(device)

    def clipped_sums(self, patches: Tensor, mass: Tensor, own: slice) -> Tensor:
        """Sum of attention * min(distance, 3) for each query.

        Args:
            patches: attention (lines, queries, patches).
            mass: its sum over the patches, (lines, queries).
            own: which patches ask.
        """
        keys = self._keys[own].expand(len(patches), -1, -1)
        return CLIP * mass - (patches.gather(2, keys) * self._missing[own]).sum(-1)
