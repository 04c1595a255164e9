"""The sums of a profile for layers that attend in windows, to a coarser grid, or explicitly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from analytics.capture.recording import Heads
from analytics.capture.sites import Site
from analytics.metrics.strength_catalogue import RULES
from analytics.studies.head_sums import CLIP, HeadSums, block_means, kept_rows, unit_maps
from analytics.types import TokenLayout


def sum_windows(heads: Heads) -> HeadSums:
    """The sums of one call from its attention, one picture after the other.

    Keys of a coarser grid count as lying in the middle of what they cover; their offsets are
    rounded to whole patches. Keys of padding count as nothing.

    Args:
        heads: a call of a placed site whose patches ask.
    """
    places = _Places(heads.site, heads.output.device)
    found = [_one(places, attention) for attention in heads.attention()]
    units = torch.stack([unit_maps(maps.flatten(1)) for _, maps in found]).sum(0)
    tables = [sums for sums, _ in found]

    def joined(name: str) -> dict[str, Tensor]:
        return {rule: torch.stack([one[f"{name}:{rule}"] for one in tables]) for rule in RULES}

    return HeadSums(
        joined("offsets"),
        joined("entropy"),
        joined("received"),
        torch.stack([one["clipped"] for one in tables]),
        block_means(torch.stack([one["masses"] for one in tables]), places.queries),
        torch.stack([one["cls_row"] for one in tables]),
        units,
    )


class _Places:
    """Where the tokens of every window lie, and how far they are apart."""

    def __init__(self, site: Site, device: torch.device) -> None:
        assert site.query_layout is not None and site.key_layout is not None
        assert site.query_index is not None and site.key_index is not None
        self.queries, self.keys = site.query_layout, site.key_layout
        grid = self.queries.grid
        self.query = torch.from_numpy(site.query_index).long().to(device)  # windows, queries
        self.key = torch.from_numpy(site.key_index).long().to(device)  # windows, keys
        self.asks = self.query >= len(self.queries.prefix)
        names = [*self.keys.prefix]
        first = len(names)
        self.is_patch = self.key >= first
        cls = names.index("cls") if "cls" in names else -2
        is_cls = self.key == cls
        register = (self.key >= 0) & ~is_cls & ~self.is_patch
        self.sides = torch.stack([is_cls, register, self.is_patch], dim=-1).float()
        far = _positions(self.queries, self.queries, site.query_index)[:, :, None]
        far = _positions(self.keys, self.queries, site.key_index)[:, None] - far  # w q k 2
        step = np.floor(far + 0.5).astype(np.int64)
        bins = (step[..., 0] + grid.rows - 1) * (2 * grid.columns - 1)
        bins += step[..., 1] + grid.columns - 1
        self.num_bins = (2 * grid.rows - 1) * (2 * grid.columns - 1)
        pairs = (self.asks[:, :, None] & self.is_patch[:, None]).cpu().numpy()
        self.bins = torch.from_numpy(np.where(pairs, bins, self.num_bins)).to(device)
        near = np.minimum(np.linalg.norm(far, axis=-1), CLIP)
        self.near = torch.from_numpy(near.astype(np.float32)).to(device)


def _positions(layout: TokenLayout, base: TokenLayout, index: np.ndarray) -> np.ndarray:
    """Middle of each token's patch in patches of the base grid, (windows, tokens, 2)."""
    place = np.maximum(index - len(layout.prefix), 0)
    grid = layout.grid
    y = (place // grid.columns + 0.5) * base.grid.rows / grid.rows - 0.5
    x = (place % grid.columns + 0.5) * base.grid.columns / grid.columns - 0.5
    return np.stack([y, x], axis=-1)


def _one(places: _Places, attention: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The sums of one picture, attention (windows, heads, queries, keys), and its maps kept."""
    heads = attention.shape[1]
    count = places.queries.grid.count
    sides = torch.einsum("whqk,wks->hwqs", attention, places.sides)  # heads, windows, q, side
    tables = {"masses": _by_place(sides, places.query, places.queries.num_tokens)}
    of_patches = tables["masses"][:, len(places.queries.prefix) :, 2]
    mass = torch.where(places.asks, sides[..., 2], 1)
    inside = torch.where(places.is_patch[:, None, None], attention, 0).transpose(0, 1)  # h w q k
    for rule in RULES:
        raw = rule == "raw"
        counted = torch.full((heads,), count) if raw else (of_patches != 0).sum(-1)
        scale = torch.ones_like(mass) if raw else torch.where(mass == 0, 0, 1 / mass)
        weights = scale * (count / counted.to(mass.device))[:, None, None]
        weights = torch.where(places.asks, weights, 0)
        rows = inside * weights[..., None]
        tables[f"offsets:{rule}"] = _by_offset(rows, places)
        received = rows.sum(2)[..., None] / count  # heads, windows, keys, 1
        placed = _by_place(received, places.key, places.keys.num_tokens)[..., 0]
        tables[f"received:{rule}"] = placed[:, len(places.keys.prefix) :]
        kept = attention.transpose(0, 1) if raw else inside * scale[..., None]
        # Keys of padding count in the raw rows: what lies there is part of the row.
        entropy = -torch.special.xlogy(kept, kept).sum(-1)
        share = torch.where(places.asks, entropy, 0) * (weights / scale).nan_to_num(0)
        tables[f"entropy:{rule}"] = share.sum((1, 2)) / count
    clipped = ((inside * places.near).sum(-1) / mass)[..., None]
    by_query = _by_place(clipped, places.query, places.queries.num_tokens)[..., 0]
    tables["clipped"] = by_query[:, len(places.queries.prefix) :]
    tables["cls_row"] = _cls_row(attention, places)
    return tables, _maps(inside, places)


def _by_offset(rows: Tensor, places: _Places) -> Tensor:
    """Sums by offset, (heads, 2 rows - 1, 2 columns - 1), of rows (heads, windows, q, k)."""
    grid = places.queries.grid
    sums = rows.new_zeros(len(rows), places.num_bins + 1)
    sums.index_add_(1, places.bins.flatten(), rows.flatten(1))
    return sums[:, :-1].unflatten(1, (2 * grid.rows - 1, 2 * grid.columns - 1))


def _by_place(values: Tensor, index: Tensor, num_tokens: int) -> Tensor:
    """(heads, windows, tokens, n) summed into (heads, places, n); padding is left out."""
    table = values.new_zeros(len(values), num_tokens + 1, values.shape[-1])
    places = torch.where(index < 0, num_tokens, index).flatten()
    return table.index_add_(1, places, values.flatten(1, 2))[:, :-1]


def _cls_row(attention: Tensor, places: _Places) -> Tensor:
    """What the cls token gives each patch, (heads, patches); NaN without cls among the queries."""
    keys = places.keys
    if "cls" not in places.queries.prefix:
        return attention.new_full((attention.shape[1], keys.grid.count), torch.nan)
    window, query = torch.nonzero(places.query == places.queries.prefix.index("cls"))[0]
    row = attention[window, :, query][:, None, :, None]  # heads, 1, keys, 1
    placed = _by_place(row, places.key[window][None], keys.num_tokens)[..., 0]
    return placed[:, len(keys.prefix) :]


def _maps(inside: Tensor, places: _Places) -> Tensor:
    """The rows of patches that count for content agnosticism, (heads, rows, keys)."""
    keys = places.is_patch.any(0)  # prefix keys hold nothing
    rows = inside.flatten(1, 2)[:, places.asks.flatten()][..., keys]
    return rows[:, kept_rows(rows.shape[1], rows.shape[2])]
