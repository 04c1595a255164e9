"""The picture as a probe reads it: for any patch, the chance that each other is its object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import fit_picture, normalise, place
from analytics.types import Fit, PatchGrid, Picture

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.binding_probes import BindingProbe, ProbeKind
    from analytics.models.registry import LoadedModel


@dataclass(frozen=True, eq=False)
class SameObjectMap:
    """Every patch of a picture as a probe reads it at some points.

    float32: `z` (points, patches, k), `own` (points, patches), `signs` (points, k), `bias`
    (points,). The log odds of patches i and j are
    sum_k signs_k z_ik z_jk + own_i + own_j + bias; for the kind `pointwise` the sum is the chance
    itself. So a click is one product.
    """

    kind: ProbeKind
    points: tuple[int, ...]
    grid: PatchGrid
    z: np.ndarray
    own: np.ndarray
    signs: np.ndarray
    bias: np.ndarray

    def row(self, query: int, point: int | None = None) -> np.ndarray:
        """P(same object) of a patch with every patch, float32 (rows, columns).

        Args:
            query: place of the patch, row-major. Its chance with itself is what the probe says
                of two such patches, and not 1.
            point: one of `points`; None for the last of them.

        Raises:
            ValueError: no such patch or point.
        """
        if not 0 <= query < self.grid.count:
            raise ValueError(f"expected a patch of 0 to {self.grid.count - 1}, got {query}")
        if point is not None and point not in self.points:
            raise ValueError(f"expected a point out of {self.points}, got {point}")
        at = -1 if point is None else self.points.index(point)
        z, own = self.z[at], self.own[at]
        sums = z @ (self.signs[at] * z[query])  # (patches,)
        if self.kind != "pointwise":
            odds = sums + own + own[query] + self.bias[at]
            sums = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        return sums.reshape(self.grid.rows, self.grid.columns).astype(np.float32)


def same_object_map(
    probe: BindingProbe,
    loaded: LoadedModel,
    picture: Picture,
    layer: int | None = None,
    fit: Fit = "crop",
    sites: SiteMap | None = None,
) -> SameObjectMap:
    """Run the model on a picture and read every patch with a fitted probe.

    Args:
        probe: fitted on this model.
        loaded: the model.
        picture: decoded.
        layer: the point, 0 for the embedding and l after the l-th layer; None for all points at
            which the probe has numbers.
        fit: how the picture is brought to the model's input size.
        sites: where the model attends, when already known.

    Raises:
        ValueError: no such point, a probe of another model, or layers without one grid.
    """
    import torch

    from analytics.studies.binding_features import StreamReader

    usable = [p for p in range(probe.points) if bool(torch.isfinite(probe.tensors["bias"][p]))]
    if layer is not None and layer not in usable:
        raise ValueError(
            f"expected a point out of 0 to {usable[-1] if usable else 0} for the {probe.kind} "
            f"probe, got {layer}"
        )
    reader = StreamReader(loaded, sites)
    if probe.points != reader.layers + 1:
        raise ValueError(
            f"expected a probe with {reader.layers + 1} points for {loaded.label}, got one with "
            f"{probe.points}; fit probes on this model"
        )
    placement = place(picture.height, picture.width, fit, *loaded.input_size)
    pixels = normalise(fit_picture(picture, placement), loaded.mean, loaded.std)
    batch = torch.from_numpy(pixels)[None].to(loaded.device, getattr(torch, loaded.dtype))
    streams = reader.read(batch, with_queries=probe.kind == "next_qk")
    taken = streams.queries if probe.kind == "next_qk" else streams.points
    points = usable if layer is None else [layer]
    reads = []
    for point in points:
        tokens = taken[point]
        assert tokens is not None  # a layer without queries has no finite numbers
        reads.append(probe.read(tokens[0].cpu(), point))
    z = torch.stack([one.z for one in reads])
    signs = probe.tensors.get("signs")
    signs = torch.ones(len(points), z.shape[-1]) if signs is None else signs[points]
    return SameObjectMap(
        kind=probe.kind,
        points=tuple(points),
        grid=reader.layout.grid,
        z=z.numpy(),
        own=torch.stack([one.own for one in reads]).numpy(),
        signs=signs[:, : z.shape[-1]].numpy(),
        bias=probe.tensors["bias"][points].numpy(),
    )
