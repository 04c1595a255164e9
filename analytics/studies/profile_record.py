"""The result of a profile: how far and in what shape every head looks, over a set of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.metrics.strength_catalogue import RULES, SCALARS, TEMPLATES
from analytics.store.provenance import parse_provenance
from analytics.types import PatchGrid, Provenance


@dataclass(frozen=True)
class ProfiledLayer:
    """One layer as it was seen.

    `grid` is that of its queries, 0 x 0 where no patch asks (a pooling query), and `key_grid`
    that of its keys. `patch_px` is height and width of one of its patches in input pixels.
    `num_windows` is 1 for global attention. `uniform_distance` is the mean distance under
    uniform attention, in patches, NaN without patch queries.
    """

    label: str
    name: str
    num_heads: int
    grid: PatchGrid
    key_grid: PatchGrid
    patch_px: tuple[float, float]
    num_windows: int
    uniform_distance: float


@dataclass(frozen=True)
class ProfiledImage:
    """One measured picture."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Profile:
    """What was measured of every head on every picture; NaN where a head has no such number.

    `scalars` maps each name of `SCALARS` to float32 (images, heads). `hop_strength` and
    `hop_mass` map each cls rule to float32 (images, heads, hops), NaN beyond a layer's last
    hop. `block_mass` is float32 (images, heads, 3, 3), from and to cls, registers, patches;
    `template_score` float32 (images, heads, 12), raw. Per layer, mean over the pictures:
    `offset_map`, float32 (heads, 2 rows - 1, 2 columns - 1), renormalised; `received`, the
    attention that each patch receives, and `clipped_distance`, per query patch, float32
    (heads, patches); `cls_row`, what the cls token gives each patch, float32 (heads, patches).
    `content_agnosticism` is float32 (heads,), NaN for a single picture.
    """

    id: str
    model_label: str
    caution: str
    layers: tuple[ProfiledLayer, ...]
    heads: tuple[tuple[int, int], ...]
    images: tuple[ProfiledImage, ...]
    scalars: Mapping[str, np.ndarray]
    hop_strength: Mapping[str, np.ndarray]
    hop_mass: Mapping[str, np.ndarray]
    block_mass: np.ndarray
    template_score: np.ndarray
    offset_map: tuple[np.ndarray, ...]
    received: tuple[np.ndarray, ...]
    clipped_distance: tuple[np.ndarray, ...]
    cls_row: tuple[np.ndarray, ...]
    content_agnosticism: np.ndarray
    images_wanted: int
    skipped: tuple[tuple[str, str], ...]
    provenance: Provenance

    @property
    def complete(self) -> bool:
        """Whether every picture that can be read has been measured."""
        return len(self.images) + len(self.skipped) >= self.images_wanted

    @property
    def overflowed(self) -> dict[tuple[int, int], int]:
        """Heads whose attention is not a number, with how many pictures that is so on.

        Half precision does that where logits are too large for it.
        """
        broken = np.isnan(self.scalars["mean_distance:raw"]).sum(axis=0)
        asks = [bool(self.layers[layer].grid.count) for layer, _ in self.heads]
        pairs = zip(self.heads, broken.tolist(), asks, strict=True)
        return {head: count for head, count, asking in pairs if count and asking}

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        several = (self.scalars, self.hop_strength, self.hop_mass)
        tables = [table for one in several for table in one.values()]
        layers = (self.offset_map, self.received, self.clipped_distance, self.cls_row)
        tables += [table for one in layers for table in one]
        tables += [self.block_mass, self.template_score, self.content_agnosticism]
        return sum(table.nbytes for table in tables)

    def top_images(self, table: str, layer: int, head: int, count: int = 8) -> list[int]:
        """Positions of the pictures on which a head's number is largest, largest first.

        Raises:
            ValueError: there is no such table or head.
        """
        if table not in self.scalars:
            raise ValueError(f"expected a table out of {', '.join(self.scalars)}; got {table!r}")
        values = self.scalars[table][:, self.column(layer, head)]
        order = np.argsort(np.where(np.isfinite(values), -values, np.inf), kind="stable")
        return [int(i) for i in order[:count] if np.isfinite(values[i])]

    def column(self, layer: int, head: int) -> int:
        """Position of a head in the tables.

        Raises:
            ValueError: there is no such head.
        """
        if (layer, head) not in self.heads:
            last = len(self.layers) - 1
            raise ValueError(f"expected layers 0 to {last} with their heads; got L{layer} H{head}")
        return self.heads.index((layer, head))


def assemble(
    plan: Mapping[str, Any],
    parts: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]],
    running: Mapping[str, np.ndarray],
) -> Profile:
    """One record out of a plan, the parts measured so far and the sums over them."""
    layers = tuple(_layer(one) for one in plan["layers"])
    images = [ProfiledImage(*one) for _, about in parts for one in about["images"]]
    skipped = [tuple(one) for one in plan["skipped"]]
    skipped += [(name, reason) for _, about in parts for name, reason, _ in about["unreadable"]]
    tables = _tables([arrays for arrays, _ in parts if arrays], layers)
    return Profile(
        id=plan["id"],
        model_label=plan["model_label"],
        caution=plan["caution"],
        layers=layers,
        heads=tuple((i, h) for i, layer in enumerate(layers) for h in range(layer.num_heads)),
        images=tuple(images),
        scalars=dict(zip(SCALARS, tables["scalars"], strict=True)),
        hop_strength={rule: tables["hops"][i, 0] for i, rule in enumerate(RULES)},
        hop_mass={rule: tables["hops"][i, 1] for i, rule in enumerate(RULES)},
        block_mass=tables["blocks"],
        template_score=tables["templates"],
        offset_map=tuple(_offset_map(running, i, one) for i, one in enumerate(layers)),
        received=_means(running, "received", layers),
        clipped_distance=_means(running, "clipped", layers),
        cls_row=_means(running, "cls_row", layers),
        content_agnosticism=_agnosticism(running, layers),
        images_wanted=plan["images_wanted"],
        skipped=tuple(skipped),  # type: ignore[arg-type]
        provenance=parse_provenance(json.dumps(plan["provenance"])),
    )


def _layer(plain: Mapping[str, Any]) -> ProfiledLayer:
    distance = plain["uniform_distance"]
    height, width = plain["patch_px"]
    return ProfiledLayer(
        plain["label"],
        plain["name"],
        plain["num_heads"],
        PatchGrid(*plain["grid"]),
        PatchGrid(*plain["key_grid"]),
        (height, width),
        plain["num_windows"],
        float("nan") if distance is None else distance,
    )


def _tables(
    parts: Sequence[Mapping[str, np.ndarray]], layers: Sequence[ProfiledLayer]
) -> dict[str, np.ndarray]:
    """The tables of all parts, one after the other; empty ones where nothing was measured."""
    heads = sum(layer.num_heads for layer in layers)
    empty = {
        "scalars": (len(SCALARS), 0, heads),
        "hops": (len(RULES), 2, 0, heads, 1),
        "blocks": (0, heads, 3, 3),
        "templates": (0, heads, len(TEMPLATES)),
    }
    if not parts:
        return {name: np.zeros(shape, np.float32) for name, shape in empty.items()}
    axes = {name: shape.index(0) for name, shape in empty.items()}
    return {name: np.concatenate([one[name] for one in parts], axes[name]) for name in empty}


def _mean(running: Mapping[str, np.ndarray], layer: int, name: str, shape: tuple[int, ...]) -> Any:
    """Mean of a layer's running sum over the pictures in it, (heads, ...); NaN where in none."""
    sums = running.get(f"{layer}:{name}")
    if sums is None:
        return np.full(shape, np.nan)
    counted = running[f"{layer}:counted"].reshape(-1, *[1] * (sums.ndim - 1))
    return np.where(counted > 0, sums / np.maximum(counted, 1), np.nan)


def _means(
    running: Mapping[str, np.ndarray], name: str, layers: Sequence[ProfiledLayer]
) -> tuple[np.ndarray, ...]:
    """Per layer the mean over the pictures, float32 (heads, patches)."""
    shapes = [
        (layer.num_heads, layer.grid.count if name == "clipped" else layer.key_grid.count)
        for layer in layers
    ]
    means = [_mean(running, i, name, shape) for i, shape in enumerate(shapes)]
    return tuple(one.astype(np.float32) for one in means)


def _offset_map(running: Mapping[str, np.ndarray], layer: int, about: ProfiledLayer) -> np.ndarray:
    """Mean attention over the pairs at each offset, (heads, 2 rows - 1, 2 columns - 1)."""
    grid = about.grid
    if not grid.count:
        return np.zeros((about.num_heads, 0, 0), np.float32)
    dy, dx = np.arange(1 - grid.rows, grid.rows), np.arange(1 - grid.columns, grid.columns)
    pairs = np.outer(grid.rows - abs(dy), grid.columns - abs(dx))
    shape = (about.num_heads, *pairs.shape)
    return (_mean(running, layer, "offsets", shape) / pairs).astype(np.float32)


def _agnosticism(running: Mapping[str, np.ndarray], layers: Sequence[ProfiledLayer]) -> np.ndarray:
    """(|sum of n unit maps|^2 - n) / (n (n - 1)) of each head, as `agnosticism_from_sum`."""
    found = []
    for i, layer in enumerate(layers):
        sums, n = running.get(f"{i}:units"), running.get(f"{i}:counted")
        if sums is None or n is None:
            found.append(np.full(layer.num_heads, np.nan))
            continue
        squared = (sums**2).sum(axis=1)
        several = np.maximum(n, 2)
        cosine = np.clip((squared - n) / (several * (several - 1)), -1, 1)
        found.append(np.where(n > 1, cosine, np.nan))
    return np.concatenate(found).astype(np.float32)
