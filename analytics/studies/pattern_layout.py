"""From latents to a plane: places, clusters with names, and patterns drawn on a grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analytics.metrics.strength_catalogue import TEMPLATES
from analytics.studies.patterns_record import Layout

if TYPE_CHECKING:
    from analytics.models.autoencoder import PatternCoder

GRID = 12
"""Patterns drawn along each side of the plane."""

NEIGHBOURS = 5
"""Nearest points that stand for a place of a plane that is not the latent itself."""

NAMED = 0.15
"""Mean mass from which a template gives its name to a cluster (ours)."""

EVEN = 0.9
"""Row entropy over ln 64 from which a cluster without a template looks everywhere (ours)."""


class Clusters(NamedTuple):
    """Which cluster each point belongs to, int16 (n,), largest first, and what to say of it."""

    labels: np.ndarray
    notes: tuple[str, ...]


class DrawnGrid(NamedTuple):
    """Patterns on a grid of the plane, as `Atlas` keeps them."""

    x: np.ndarray
    y: np.ndarray
    decoded: np.ndarray
    decoded_cls: np.ndarray
    near: np.ndarray


def place_points(
    latent: np.ndarray, layout: Layout, seed: int
) -> tuple[np.ndarray, Layout, tuple[str, ...]]:
    """Places (n, 2) of latents (n, size), the layout that was made, and notes.

    UMAP needs umap-learn and some points; else the first two principal components stand in.
    """
    if layout != "umap":
        if latent.shape[1] == 2:
            return latent.astype(np.float32), layout, ()
        return _components(latent), "pca", ()
    if len(latent) < 10:
        return _components(latent), "pca", ("too few points for UMAP: principal components",)
    try:
        import umap
    except ImportError:
        return _components(latent), "pca", ("umap-learn is missing: principal components instead",)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reducer = umap.UMAP(
            n_neighbors=min(15, len(latent) - 1), min_dist=0.1, random_state=seed, n_jobs=1
        )
        return np.asarray(reducer.fit_transform(latent), np.float32), "umap", ()


def _components(latent: np.ndarray) -> np.ndarray:
    """First two principal components, (n, 2)."""
    centred = latent - latent.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((len(latent), 2), np.float32)
    found[:, : min(2, len(directions))] = centred @ directions[:2].T
    return found


def find_clusters(latent: np.ndarray, wanted: int, seed: int) -> Clusters:
    """k-means of the latents, the largest cluster first; fewer clusters where points are few."""
    from sklearn.cluster import KMeans

    different = len(np.unique(latent, axis=0))
    count = min(wanted, different)
    notes: tuple[str, ...] = ()
    if count < wanted:
        notes = (f"{wanted} clusters were asked for, but only {count} maps differ: {count} made",)
    found = KMeans(count, n_init=10, random_state=seed).fit_predict(latent)
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    rank = np.empty(count, np.int16)
    rank[order] = np.arange(count)
    return Clusters(rank[found], notes)


def cluster_name(templates: np.ndarray, evenness: float) -> str:
    """What a cluster looks at, from its mean template masses (12,) and row entropy over ln 64.

    Known answers: all mass on self gives `self`; .5 on cls and .3 in the row `cls, row`; none
    and an evenness of 1 `everywhere`, of .2 `chosen places`.
    """
    masses = dict(zip(TEMPLATES, templates.tolist(), strict=True))
    around = list(TEMPLATES[1:9])
    near = sum(masses[name] for name in around)
    ranked = {name: masses[name] for name in ("self", "row", "column", "cls")}
    best = max(around, key=masses.__getitem__)
    # One direction has to hold most of what lies around, or it is just the neighbourhood.
    ranked[best if masses[best] > 0.5 * near else "neighbours"] = near
    found = sorted((name for name in ranked if ranked[name] >= NAMED), key=lambda n: -ranked[n])
    if found:
        return ", ".join(found[:2])
    return "everywhere" if evenness >= EVEN else "chosen places"


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Names made different: the second of a kind gets `2`, and so on."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return tuple(found)


def draw_grid(
    coder: PatternCoder, latent: np.ndarray, places: np.ndarray, is_latent: bool
) -> DrawnGrid:
    """Patterns over the plane: decoded there, or from the mean latent of the nearest points.

    Args:
        coder: draws maps.
        latent: (n, size).
        places: (n, 2).
        is_latent: whether the places are the latents themselves.
    """
    import torch
    from sklearn.neighbors import NearestNeighbors

    low, high = np.percentile(places, [0.5, 99.5], axis=0)
    x, y = (np.linspace(low[i], high[i], GRID).astype(np.float32) for i in (0, 1))
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)  # gy * gx, 2
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(places))).fit(places)
    away, which = nearest.kneighbors(cells)
    wanted = cells if is_latent else latent[which].mean(1)
    with torch.no_grad():
        maps, cls = coder.decode(torch.from_numpy(np.asarray(wanted, np.float32)))
    step = max(float(np.hypot(*(high - low))) / GRID, 1e-6)
    return DrawnGrid(
        x,
        y,
        as_bytes(maps.numpy()).reshape(GRID, GRID, *maps.shape[1:]),
        as_bytes(cls.numpy()).reshape(GRID, GRID, *cls.shape[1:]),
        (away[:, 0] <= step).reshape(GRID, GRID),
    )


def as_bytes(scaled: np.ndarray) -> np.ndarray:
    """Values of 0 to 1 as uint8 of 0 to 255."""
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def nearest_mean(
    known: np.ndarray, places: np.ndarray, latent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where new latents belong in a plane of known ones (ours).

    Returns:
        The mean place of the nearest known latents weighted by 1 / distance, (n, 2), and the
        nearest of them, (n,). Known answer: a known latent gets its own place.
    """
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(known))).fit(known)
    away, which = nearest.kneighbors(latent)
    weights = 1 / (away + 1e-9)
    weights /= weights.sum(1, keepdims=True)
    return (places[which] * weights[..., None]).sum(1).astype(np.float32), which[:, 0]
