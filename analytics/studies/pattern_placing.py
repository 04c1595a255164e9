"""Puts the heads of another model, or other pictures, into an atlas that exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.metrics.patterns import SIDE
from analytics.store.results import ResultStore
from analytics.studies.attend import Progress
from analytics.studies.pattern_atlas import encoded, finite_points, head_positions
from analytics.studies.pattern_layout import as_bytes, nearest_mean
from analytics.studies.pattern_maps import picture_maps, small_maps
from analytics.studies.patterns_record import Atlas
from analytics.studies.pictures import survey
from analytics.studies.profile_record import ProfiledImage
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.autoencoder import PatternCoder
    from analytics.models.registry import LoadedModel


@dataclass(frozen=True)
class PointPatterns:
    """The real map of a point beside its reconstruction, uint8 of the log scale.

    `real` and `rebuilt` are (side, side), `real_cls` and `rebuilt_cls` (cls_side, cls_side).
    """

    real: np.ndarray
    real_cls: np.ndarray
    rebuilt: np.ndarray
    rebuilt_cls: np.ndarray


def place(
    atlas: Atlas,
    coder: PatternCoder,
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    fit: Fit = "crop",
    maps: ResultStore | None = None,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> Atlas:
    """The atlas with the heads of a model on some pictures added; nothing in it moves.

    A plane of UMAP or of a wide latent has no formula for new points: they go to the mean place
    of the nearest known latents, weighted by 1 / distance (ours). Each joins the cluster of the
    nearest known latent.

    Args:
        atlas: what to add to.
        coder: the atlas' own coder.
        loaded: the model whose heads are added, under a number of its own.
        images: pictures; those that the atlas knows by hash share their number.
        fit: how a picture is brought to the model's input size.
        maps: where the small maps are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Raises:
        ValueError: as in `make_atlas`, or a coder of another latent size.
    """
    if coder.latent_size != atlas.latent_size:
        raise ValueError(
            f"expected the atlas' own coder with a latent of {atlas.latent_size}, got one of "
            f"{coder.latent_size}; load it with load_coder"
        )
    small = small_maps(loaded, survey(images), fit, maps, progress, sites)
    points = finite_points(small)
    latent, error = encoded(coder, small, points)
    direct = latent.shape[1] == 2 and atlas.layout != "umap"
    known = np.stack([atlas.x, atlas.y], axis=1)
    guessed, nearest = nearest_mean(atlas.latent, known, latent)
    places = latent.astype(np.float32) if direct else guessed
    pictures = {image.sha256: i for i, image in enumerate(atlas.images)}
    added = [
        ProfiledImage(name, sha256)
        for name, sha256 in zip(small.names, small.sha256s, strict=True)
        if sha256 not in pictures
    ]
    pictures |= {image.sha256: len(atlas.images) + i for i, image in enumerate(added)}
    numbers = np.array([pictures[sha256] for sha256 in small.sha256s], np.int32)
    image, column = points.T
    model, pairs = len(atlas.model_labels), np.array(small.heads, np.int16)[column]
    clusters = atlas.cluster[nearest]
    sizes = np.bincount(clusters, minlength=len(atlas.cluster_names)) + atlas.cluster_sizes
    here = head_positions(places, column, len(small.heads))
    new = {
        "model": np.full(len(points), model, np.int16),
        "image": numbers[image],
        "layer": pairs[:, 0],
        "head": pairs[:, 1],
        "x": places[:, 0],
        "y": places[:, 1],
        "latent": latent,
        "cluster": clusters,
        "error": error,
        "held_out": np.ones(len(points), bool),
        "head_positions": here,
    }
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(atlas, name), one]) for name, one in new.items()
    }
    return replace(
        atlas,
        **arrays,
        model_labels=(*atlas.model_labels, loaded.label),
        images=(*atlas.images, *added),
        heads=(*atlas.heads, *((model, layer, head) for layer, head in small.heads)),
        cluster_sizes=tuple(int(size) for size in sizes),
        maps_keys=(*atlas.maps_keys, small.key),
        images_wanted=atlas.images_wanted + len(added) + len(small.skipped),
        skipped=(*atlas.skipped, *small.skipped),
        notes=(*atlas.notes, *small.notes),
    )


def point_patterns(
    atlas: Atlas, coder: PatternCoder, maps: ResultStore, point: int
) -> PointPatterns | None:
    """The map of one point as it was and as the coder draws it; None where it was not kept.

    Raises:
        ValueError: there is no such point.
    """
    import torch

    if not 0 <= point < atlas.count:
        raise ValueError(f"expected a point of 0 to {atlas.count - 1}, got {point}")
    model = int(atlas.model[point])
    sha256 = atlas.images[int(atlas.image[point])].sha256
    held = picture_maps(maps, atlas.maps_keys[model], sha256)
    if held is None:
        return None
    own = [(layer, head) for number, layer, head in atlas.heads if number == model]
    column = own.index((int(atlas.layer[point]), int(atlas.head[point])))
    real, real_cls = held[0][column], held[1][column]
    with torch.no_grad():
        rebuilt, cls = coder.decode(torch.from_numpy(atlas.latent[point])[None])
    assert real.shape == (SIDE, SIDE)
    return PointPatterns(*map(as_bytes, (real, real_cls, rebuilt[0].numpy(), cls[0].numpy())))
