"""The metrics of strength and distance of one layer, from the sums over its attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor

from analytics.metrics.offsets import (
    centroid_from_offsets,
    distance_from_offsets,
    hops_from_offsets,
    templates_from_offsets,
)
from analytics.metrics.strength import hop_entropy, nmi_from
from analytics.metrics.strength_catalogue import RULES, SCALARS, TEMPLATES
from analytics.studies.head_sums import HeadSums
from analytics.types import PatchGrid


@dataclass(frozen=True)
class HeadTables:
    """One layer's numbers of b pictures, float32, NaN where there is none.

    `scalars` is (tables of `SCALARS`, b, heads); `hops` (rules, strength and mass, b, heads,
    hops); `blocks` (b, heads, 3, 3); `templates` (b, heads, 12). `sums` holds what is added up
    over the pictures, by name, heads first; `counted` how many pictures are in it, (heads,).
    """

    scalars: np.ndarray
    hops: np.ndarray
    blocks: np.ndarray
    templates: np.ndarray
    sums: Mapping[str, np.ndarray]
    counted: np.ndarray

    def part(self, heads: slice) -> HeadTables:
        """Some of the heads."""
        return HeadTables(
            self.scalars[:, :, heads],
            self.hops[:, :, :, heads],
            self.blocks[:, heads],
            self.templates[:, heads],
            {name: table[heads] for name, table in self.sums.items()},
            self.counted[heads],
        )


def head_tables(sums: HeadSums, queries: PatchGrid, keys: PatchGrid) -> HeadTables:
    """All numbers of a layer's heads.

    Args:
        sums: of the layer.
        queries: the grid of its queries.
        keys: the grid of its keys.
    """
    tables: dict[str, Tensor] = {}
    hops = []
    for rule in RULES:
        offsets = sums.offsets[rule]
        strength, mass = hops_from_offsets(offsets, queries)
        hops.append(torch.stack([strength, mass]))
        tables[f"mean_distance:{rule}"] = distance_from_offsets(offsets, queries)
        tables[f"hop_entropy:{rule}"] = hop_entropy(strength)
        tables[f"row_entropy:{rule}"] = sums.entropy[rule]
        centroid = centroid_from_offsets(offsets, queries)
        tables[f"offset_length:{rule}"] = torch.linalg.vector_norm(centroid, dim=-1)
    tables["nmi"] = _nmi(sums, queries, keys)
    local = templates_from_offsets(sums.offsets["raw"], queries)
    tables["self_mass"] = local[..., TEMPLATES.index("self")]
    tables["cls_mass"] = cls = sums.blocks[..., 2, 0]
    templates = torch.cat([local, cls.nan_to_num(0)[..., None]], dim=-1)
    valid = sums.offsets["raw"].flatten(2).isfinite().all(-1)  # b, heads
    return HeadTables(
        _array(torch.stack([tables[name] for name in SCALARS])),
        _array(torch.stack(hops)),
        _array(sums.blocks),
        _array(templates.masked_fill(~valid[..., None], torch.nan)),
        {
            "offsets": _total(sums.offsets["renormalised"], valid),
            "received": _total(sums.received["raw"], valid),
            "clipped": _total(sums.clipped, valid),
            "cls_row": _total(sums.cls_row, valid),
            "units": sums.units.double().cpu().numpy(),
        },
        valid.sum(0).cpu().numpy(),
    )


def tables_of_layers(sums: Sequence[HeadSums], queries: PatchGrid, keys: PatchGrid) -> HeadTables:
    """The same for several layers of the same grids, their heads side by side."""

    def ruled(name: str) -> dict[str, Tensor]:
        return {rule: torch.cat([getattr(one, name)[rule] for one in sums], 1) for rule in RULES}

    def joined(name: str, axis: int = 1) -> Tensor:
        return torch.cat([getattr(one, name) for one in sums], axis)

    together = HeadSums(
        ruled("offsets"),
        ruled("entropy"),
        ruled("received"),
        joined("clipped"),
        joined("blocks"),
        joined("cls_row"),
        joined("units", 0),
    )
    return head_tables(together, queries, keys)


def _nmi(sums: HeadSums, queries: PatchGrid, keys: PatchGrid) -> Tensor:
    found = nmi_from(sums.entropy["renormalised"], sums.received["renormalised"])
    if queries.count == keys.count or min(queries.count, keys.count) < 2:
        return found
    # Queries and keys have their own largest entropy where they lie on different grids.
    return found * (log(keys.count) / log(queries.count)) ** 0.5


def _total(table: Tensor, valid: Tensor) -> np.ndarray:
    """Sum over the pictures that are numbers, float64 (heads, ...)."""
    shape = (*valid.shape, *[1] * (table.dim() - 2))
    return torch.where(valid.view(shape), table.double(), 0).sum(0).cpu().numpy()


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
