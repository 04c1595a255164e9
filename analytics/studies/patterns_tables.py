"""An atlas as a table, and in plain values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.studies.patterns_record import Atlas

if TYPE_CHECKING:
    import pandas as pd


def atlas_table(atlas: Atlas, points: np.ndarray | None = None) -> pd.DataFrame:
    """One line a point: image, layer, head, x, y, cluster (its number), error, and more.

    Args:
        atlas: the atlas.
        points: which points, all if not given (what a lasso chose, say).
    """
    import pandas as pd

    at = np.arange(atlas.count) if points is None else np.asarray(points)
    names = [image.name for image in atlas.images]
    clusters = atlas.cluster[at]
    return pd.DataFrame(
        {
            "image": [names[i] for i in atlas.image[at]],
            "layer": atlas.layer[at].astype(np.int64),
            "head": atlas.head[at].astype(np.int64),
            "x": atlas.x[at],
            "y": atlas.y[at],
            "cluster": clusters.astype(np.int64),
            "error": atlas.error[at],
            "cluster_name": [atlas.cluster_names[i] for i in clusters],
            "held_out": atlas.held_out[at],
            "model": [atlas.model_labels[i] for i in atlas.model[at]],
        }
    )


def atlas_summary(atlas: Atlas) -> dict[str, Any]:
    """What came out, in plain values; None where R2 is unknown."""
    names = zip(atlas.cluster_names, atlas.cluster_sizes, strict=True)
    return {
        "images": len(atlas.images),
        "images_wanted": atlas.images_wanted,
        "skipped": [list(one) for one in atlas.skipped],
        "maps": atlas.count,
        "heads": len(atlas.heads),
        "latent": atlas.latent_size,
        "layout": atlas.layout,
        "coder": atlas.better,
        "pretrained": atlas.pretrained,
        "epochs": atlas.epochs,
        "r2_autoencoder": _known(atlas.r2_autoencoder),
        "r2_pca": _known(atlas.r2_pca),
        "mean_error": float(atlas.error.mean()),
        "clusters": [{"name": name, "maps": size} for name, size in names],
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
