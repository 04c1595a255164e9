"""Puts an atlas together from small maps and a coder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analytics.metrics.patterns import CLS_PARTS, MOST, SIDE, times_uniform
from analytics.store.provenance import make_provenance
from analytics.studies.pattern_choices import VERSION, PatternChoices
from analytics.studies.pattern_layout import (
    as_bytes,
    cluster_name,
    draw_grid,
    find_clusters,
    numbered,
    place_points,
)
from analytics.studies.pattern_maps import SmallMaps
from analytics.studies.patterns_record import Atlas, Layout
from analytics.studies.profile_record import ProfiledImage

if TYPE_CHECKING:
    import torch

    from analytics.models.autoencoder import PatternCoder
    from analytics.models.registry import LoadedModel
    from analytics.studies.pattern_fit import Fitted

CHUNK = 512
MOST_MEMBERS = 500
"""Most members of a cluster whose mean map and name are taken, drawn evenly."""


def assemble(
    loaded: LoadedModel,
    key: str,
    small: SmallMaps,
    points: np.ndarray,
    held_out: np.ndarray,
    chosen: PatternChoices,
    fitted: Fitted,
    fit_notes: list[str],
    wanted: int,
    command: str,
) -> Atlas:
    """The record of an atlas from its maps and its coder."""
    coder = fitted.coder
    latent, error = encoded(coder, small, points)
    assert chosen.layout is not None
    asked: Layout = "pca" if chosen.layout != "umap" and coder.kind == "pca" else chosen.layout
    places, layout, layout_notes = place_points(latent, asked, chosen.seed)
    clusters = find_clusters(latent, chosen.clusters, chosen.seed)
    names, sizes, means = described(small, points, clusters.labels)
    is_latent = layout == "autoencoder" or (layout == "pca" and latent.shape[1] == 2)
    grid = draw_grid(coder, latent, places, is_latent)
    image, column = points.T
    heads = tuple((0, layer, head) for layer, head in small.heads)
    pairs = np.array(small.heads, np.int16)[column]
    notes = (*small.notes, *fit_notes, *clusters.notes, *layout_notes)
    return Atlas(
        id=key,
        model_labels=(loaded.label,),
        images=tuple(map(ProfiledImage, small.names, small.sha256s)),
        heads=heads,
        model=np.zeros(len(points), np.int16),
        image=image.astype(np.int32),
        layer=pairs[:, 0],
        head=pairs[:, 1],
        x=places[:, 0],
        y=places[:, 1],
        latent=latent,
        cluster=clusters.labels,
        error=error,
        held_out=held_out[image],
        head_positions=head_positions(places, column, len(heads)),
        cluster_names=names,
        cluster_sizes=sizes,
        cluster_maps=means,
        grid_x=grid.x,
        grid_y=grid.y,
        decoded=grid.decoded,
        decoded_cls=grid.decoded_cls,
        decoded_near=grid.near,
        layout=layout,
        latent_size=coder.latent_size,
        r2_autoencoder=fitted.r2_autoencoder,
        r2_pca=fitted.r2_pca,
        better=coder.kind,
        train_losses=fitted.train_losses,
        held_out_losses=fitted.held_out_losses,
        epochs=fitted.epochs,
        pretrained=chosen.pretrained,
        seed=chosen.seed,
        side=SIDE,
        cls_side=CLS_PARTS,
        images_wanted=wanted,
        skipped=small.skipped,
        notes=notes,
        provenance=make_provenance(
            command,
            loaded.spec.public_id,
            loaded.weights_sha256,
            dict(zip(small.names, small.sha256s, strict=True)),
            {
                **vars(chosen),
                "input_size": list(loaded.input_size),
                "dtype": loaded.dtype,
                "version": VERSION,
            },
            chosen.seed,
            loaded.device,
            notes,
        ),
        maps_keys=(small.key,),
    )


def finite_points(small: SmallMaps) -> np.ndarray:
    """(image, column) of every finite map, int (n, 2), in order of picture and head.

    Raises:
        ValueError: there is none.
    """
    points = np.argwhere(~np.isnan(small.maps[:, :, 0, 0]))
    if not len(points):
        raise ValueError(
            "expected attention maps with finite values, got none: all are NaN or infinite (half "
            "precision overflow?); use float32"
        )
    return points


def map_tensors(small: SmallMaps, points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps and cls rows of points, float16."""
    import torch

    image, column = points.T
    return torch.from_numpy(small.maps[image, column]), torch.from_numpy(small.cls[image, column])


def encoded(
    coder: PatternCoder, small: SmallMaps, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Latent and reconstruction error of every point, float32 (n, size) and (n,)."""
    import torch

    latents, errors = [], []
    for first in range(0, len(points), CHUNK):
        maps, cls = map_tensors(small, points[first : first + CHUNK])
        with torch.no_grad():
            latents.append(coder.encode(maps, cls).numpy())
        errors.append(coder.errors(maps, cls).numpy())
    return np.concatenate(latents), np.concatenate(errors)


def described(
    small: SmallMaps, points: np.ndarray, labels: np.ndarray
) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    """Name, size and mean map (uint8) of each cluster."""
    import torch

    names, sizes, means = [], [], []
    for cluster in range(int(labels.max()) + 1):
        members = points[labels == cluster]
        some = members[:: max(1, len(members) // MOST_MEMBERS)]
        maps = small.maps[some[:, 0], some[:, 1]].astype(np.float32)
        shares = times_uniform(torch.from_numpy(maps), MOST)
        shares = shares / shares.sum(-1, keepdim=True).clamp(min=1e-9)
        entropy = -torch.special.xlogy(shares, shares).sum(-1).mean() / np.log(SIDE)
        scores = small.templates[members[:, 0], members[:, 1]]
        known = scores[np.isfinite(scores).all(1)]
        mean = known.mean(0) if len(known) else np.zeros(scores.shape[1], np.float32)
        names.append(cluster_name(mean, float(entropy)))
        sizes.append(len(members))
        means.append(as_bytes(maps.mean(0)))
    return numbered(names), tuple(sizes), np.stack(means)


def head_positions(places: np.ndarray, column: np.ndarray, heads: int) -> np.ndarray:
    """Median place of each head over the pictures, float32 (heads, 2); NaN where it has none."""
    found = np.full((heads, 2), np.nan, np.float32)
    for head in np.unique(column):
        found[head] = np.median(places[column == head], axis=0)
    return found
