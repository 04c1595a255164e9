"""The result of a profile: how far and in what shape every head looks, over a set of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analytics.types import PatchGrid, Provenance


@dataclass(frozen=True)
class ProfiledLayer:
    """One layer as it was seen.

    `grid` is that of its queries, 0 x 0 where no patch asks (a pooling query). `patch_px` is
    height and width of one of its patches in input pixels. `num_windows` is 1 for global
    attention. `uniform_distance` is the mean distance under uniform attention, in patches.
    """

    label: str
    name: str
    num_heads: int
    grid: PatchGrid
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
