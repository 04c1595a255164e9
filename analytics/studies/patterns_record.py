"""The result of a pattern study: every head on every picture as a point of one plane."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from analytics.studies.profile_record import ProfiledImage
from analytics.types import Provenance

Layout = Literal["autoencoder", "umap", "pca"]
"""The plane: a latent of two values itself, UMAP of a wider one, or principal components."""

Coder = Literal["autoencoder", "pca"]
"""What codes the maps: whichever reconstructs pictures that it has not seen better."""


@dataclass(frozen=True)
class Atlas:
    """Every head on every picture as a point; points are in order of model, picture, head.

    Points: `model` int16 (n,) counts `model_labels`; `image` int32 (n,) counts `images`;
    `layer` and `head` int16 (n,); `x` and `y` float32 (n,); `latent` float32 (n, latent_size);
    `cluster` int16 (n,) counts `cluster_names`; `error` float32 (n,) is the mean squared
    error of the map's reconstruction on the log scale, over the spread of all maps: 0 for
    a perfect one, about 1 for one no better than the mean map. `held_out` bool (n,) marks
    points of pictures that the coder was not fitted on.

    Heads: `heads` lists (model, layer, head); `head_positions` float32 (heads, 2) is the
    median x and y of each over the pictures.

    Patterns: values are on a log scale of attention from 0 to 1, as uint8 0 to 255 (see
    `metrics/patterns.py`). `grid_x` (gx,) and `grid_y` (gy,), both ascending, are places of
    the plane; `decoded` uint8 (gy, gx, side, side) is the pattern there, (query, key) as in a
    real map, and `decoded_cls` uint8 (gy, gx, cls_side, cls_side) what cls gives each place.
    `decoded_near` bool (gy, gx) says whether points lie nearby; elsewhere the pattern is a guess.
    `cluster_maps` uint8 (clusters, side, side) is the mean map of each cluster.

    Fit: `r2_autoencoder` and `r2_pca` are shares of variance explained on held-out pictures at
    the same latent size, NaN where no picture could be held out; `better` names the one in
    use. `train_losses` and `held_out_losses` have one mean squared error an epoch;
    `epochs` is how many were asked for. `pretrained` says that nothing was fitted here.
    `maps_keys` are the ids of each model's small maps in the store (`pattern_maps`).
    """

    id: str
    model_labels: tuple[str, ...]
    images: tuple[ProfiledImage, ...]
    heads: tuple[tuple[int, int, int], ...]
    model: np.ndarray
    image: np.ndarray
    layer: np.ndarray
    head: np.ndarray
    x: np.ndarray
    y: np.ndarray
    latent: np.ndarray
    cluster: np.ndarray
    error: np.ndarray
    held_out: np.ndarray
    head_positions: np.ndarray
    cluster_names: tuple[str, ...]
    cluster_sizes: tuple[int, ...]
    cluster_maps: np.ndarray
    grid_x: np.ndarray
    grid_y: np.ndarray
    decoded: np.ndarray
    decoded_cls: np.ndarray
    decoded_near: np.ndarray
    layout: Layout
    latent_size: int
    r2_autoencoder: float
    r2_pca: float
    better: Coder
    train_losses: tuple[float, ...]
    held_out_losses: tuple[float, ...]
    epochs: int
    pretrained: bool
    seed: int
    side: int
    cls_side: int
    images_wanted: int
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    provenance: Provenance
    maps_keys: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self.x)

    @property
    def complete(self) -> bool:
        """Whether every picture is in and every epoch that was asked for was run."""
        seen = len(self.images) + len(self.skipped) >= self.images_wanted
        return seen and (self.pretrained or len(self.train_losses) >= self.epochs)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        values = (getattr(self, one.name) for one in fields(self))
        return sum(value.nbytes for value in values if isinstance(value, np.ndarray))

    def point(self, model: int, image: int, layer: int, head: int) -> int:
        """Position of one head on one picture among the points.

        Raises:
            ValueError: there is no such point.
        """
        found = np.flatnonzero(
            (self.model == model)
            & (self.image == image)
            & (self.layer == layer)
            & (self.head == head)
        )
        if not len(found):
            raise ValueError(
                f"expected one of {len(self.model_labels)} models, {len(self.images)} pictures and "
                f"their heads; got model {model}, picture {image}, L{layer} H{head}"
            )
        return int(found[0])
