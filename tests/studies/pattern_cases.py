"""Made attention of known families, and small maps of it."""

from __future__ import annotations

import numpy as np
import torch

from analytics.metrics.patterns import (
    CLS_MOST,
    MOST,
    log_scale,
    small_cls_row,
    small_map,
)
from analytics.types import PatchGrid, TokenLayout

FAMILIES = ("self", "neighbours", "3 hops", "row", "column", "cls", "global", "content")


def made_attention(family: str, grid: PatchGrid, rng: np.random.Generator, noise=0.0):
    """One map over cls and the patches; rows sum to 1. The strength of a pattern varies."""
    count = grid.count
    y, x = np.divmod(np.arange(count), grid.columns)
    dy, dx = np.abs(y[:, None] - y), np.abs(x[:, None] - x)
    hop = np.maximum(dy, dx)
    wanted = {
        "self": hop == 0,
        "neighbours": hop == 1,
        "3 hops": hop == 3,
        "row": dy == 0,
        "column": dx == 0,
        "global": hop >= 0,
    }
    patches = np.ones((count, count)) / count
    if family in wanted:
        allowed = wanted[family].astype(float)
        patches = allowed / allowed.sum(1, keepdims=True)
    elif family == "content":
        seen = rng.permutation(count)[: count // 16]
        patches = np.zeros((count, count))
        patches[:, seen] = 1 / len(seen)
    on_cls = rng.uniform(0.8, 0.95) if family == "cls" else rng.uniform(0, 0.1)
    strength = rng.uniform(0.85, 1)
    patches = strength * patches + (1 - strength) / count
    attention = np.empty((count + 1, count + 1))
    attention[1:, 0], attention[1:, 1:] = on_cls, (1 - on_cls) * patches
    attention[0] = 1 / (count + 1)
    blurred = rng.exponential(size=attention.shape)
    blurred /= blurred.sum(1, keepdims=True)
    return (1 - noise) * attention + noise * blurred


def made_maps(per_family: int, noise=0.0, seed=0, grid=PatchGrid(12, 12)):  # noqa: B008
    """Small maps (n, 64, 64), cls rows (n, 16, 16), both on the log scale, and families (n,)."""
    rng = np.random.default_rng(seed)
    layout = TokenLayout(("cls",), grid)
    truth = np.repeat(np.arange(len(FAMILIES)), per_family)
    maps, cls = [], []
    for family in truth:
        attention = torch.from_numpy(made_attention(FAMILIES[family], grid, rng, noise))
        maps.append(log_scale(small_map(attention, layout, layout), MOST))
        cls.append(log_scale(small_cls_row(attention, layout, layout), CLS_MOST))
    return torch.stack(maps).half(), torch.stack(cls).half(), truth
