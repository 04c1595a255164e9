"""An atlas out of seeded numbers, for tests and the benchmark: no attention stands behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analytics.studies.patterns_record import Atlas
from analytics.studies.profile_record import ProfiledImage
from analytics.types import Provenance

NAMES = ("self", "neighbours", "row", "column", "cls", "uniform")
GRID = 9


def make_atlas(
    layers: int = 3,
    heads: int = 2,
    images: int = 4,
    models: int = 1,
    side: int = 8,
    seed: int = 0,
    identifier: str = "a" * 64,
) -> Atlas:
    """Every head has a place of its own and scatters around it from picture to picture."""
    rng = np.random.default_rng(seed)
    listed = [
        (model, layer, head)
        for model in range(models)
        for layer in range(layers)
        for head in range(heads)
    ]
    clusters = min(len(NAMES), len(listed))
    centres = rng.normal(0, 2.0, (clusters, 2))
    of_head = rng.integers(0, clusters, len(listed))
    places = centres[of_head] + rng.normal(0, 0.45, (len(listed), 2))
    order = [
        (model, image, row)
        for model in range(models)
        for image in range(images)
        for row, one in enumerate(listed)
        if one[0] == model
    ]
    model, image, row = np.array(order).T
    points = (places[row] + rng.normal(0, 0.22, (len(row), 2))).astype(np.float32)
    by_head = [points[row == number] for number in range(len(listed))]
    cluster = of_head[row].astype(np.int16)
    grid_x = np.linspace(points[:, 0].min(), points[:, 0].max(), GRID).astype(np.float32)
    grid_y = np.linspace(points[:, 1].min(), points[:, 1].max(), GRID).astype(np.float32)
    return Atlas(
        id=identifier,
        model_labels=tuple(f"Made model {number + 1}" for number in range(models)),
        images=tuple(ProfiledImage(f"made {i}.png", f"{i:064x}") for i in range(images)),
        heads=tuple(listed),
        model=model.astype(np.int16),
        image=image.astype(np.int32),
        layer=np.array([listed[i][1] for i in row], np.int16),
        head=np.array([listed[i][2] for i in row], np.int16),
        x=points[:, 0].copy(),
        y=points[:, 1].copy(),
        latent=points.copy(),
        cluster=cluster,
        error=rng.gamma(2.0, 0.1, len(row)).astype(np.float32),
        held_out=image % 4 == 3,
        head_positions=np.array([np.median(one, axis=0) for one in by_head], np.float32),
        cluster_names=NAMES[:clusters],
        cluster_sizes=tuple(int((cluster == i).sum()) for i in range(clusters)),
        cluster_maps=_maps(clusters, side),
        grid_x=grid_x,
        grid_y=grid_y,
        decoded=_maps(GRID * GRID, side).reshape(GRID, GRID, side, side),
        decoded_cls=rng.integers(0, 256, (GRID, GRID, 4, 4), np.uint8),
        decoded_near=_near(grid_x, grid_y, points),
        layout="autoencoder",
        latent_size=2,
        r2_autoencoder=0.68,
        r2_pca=0.44,
        better="autoencoder",
        train_losses=tuple(float(one) for one in 0.3 * np.exp(-np.arange(20) / 5) + 0.1),
        held_out_losses=tuple(float(one) for one in 0.3 * np.exp(-np.arange(20) / 6) + 0.12),
        epochs=20,
        pretrained=False,
        seed=seed,
        side=side,
        cls_side=4,
        images_wanted=images,
        skipped=(),
        notes=(),
        provenance=Provenance(
            command="made for a test",
            model="made",
            weights_sha256="b" * 64,
            inputs={},
            parameters={},
            seed=seed,
            versions={"attention-atlas": "0"},
            device="cpu",
            time="2026-01-01T00:00:00Z",
        ),
    )


def _maps(count: int, side: int) -> np.ndarray:
    """Bands along the diagonal that grow wider, as uint8 (count, side, side)."""
    far = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
    wide = np.linspace(0.6, side, count)[:, None, None]
    return np.rint(255 * np.exp(-((far / wide) ** 2))).astype(np.uint8)


def _near(grid_x: np.ndarray, grid_y: np.ndarray, points: np.ndarray) -> np.ndarray:
    step = np.array([grid_x[1] - grid_x[0], grid_y[1] - grid_y[0]])
    places = np.stack(np.meshgrid(grid_x, grid_y), -1).reshape(-1, 2)
    gaps = np.abs(places[:, None] - points[None, :2000]) / step
    return (gaps.max(-1).min(1) < 1).reshape(GRID, GRID)


def without_head(atlas: Atlas, head: int) -> Atlas:
    """The same where no map of one head was finite: it is listed, but has no points."""
    model, layer, own = atlas.heads[head]
    kept = ~((atlas.model == model) & (atlas.layer == layer) & (atlas.head == own))
    names = ("model", "image", "layer", "head", "x", "y", "latent", "cluster", "error", "held_out")
    positions = atlas.head_positions.copy()
    positions[head] = np.nan
    sizes = np.bincount(atlas.cluster[kept], minlength=len(atlas.cluster_names))
    return replace(
        atlas,
        **{name: getattr(atlas, name)[kept] for name in names},
        head_positions=positions,
        cluster_sizes=tuple(int(one) for one in sizes),
        notes=("1 of 4 maps are not finite and are left out",),
    )


def half_done(atlas: Atlas) -> Atlas:
    """The same in the middle of its training."""
    half = atlas.epochs // 2
    return replace(
        atlas,
        train_losses=atlas.train_losses[:half],
        held_out_losses=atlas.held_out_losses[:half],
    )
