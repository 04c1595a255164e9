"""An atlas of heads as files: figures with a caption, tables, arrays, the coder's weights."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import npz_bytes, table_bytes
from analytics.serve.guard import Problem
from analytics.serve.patterns_work import coder_file
from analytics.store.provenance import provenance_json

if TYPE_CHECKING:
    import pandas as pd

    from analytics.serve.state import Services
    from analytics.studies.patterns_record import Atlas
    from analytics.views.patterns import AtlasFigure

MIMETYPES = {
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/octet-stream",
    "safetensors": "application/octet-stream",
}
FIGURES = ("svg", "pdf", "png")
PLANES = {
    "autoencoder": "the autoencoder's two latent values, without unit",
    "pca": "the first two principal components, without unit",
    "umap": "UMAP of the latent: neighbours count, distances and axes mean nothing",
}


def export_atlas(here: Services, atlas: Atlas, kind: str) -> tuple[str, str, bytes]:
    """One download.

    Args:
        here: the services, which keep the coder's weights.
        atlas: the atlas.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind is unknown.
        Problem: 404 where this atlas has no weights of its own.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    if kind == "safetensors":
        data = coder_file(here, atlas)
        if data is None:
            raise Problem(404, "the coder of this atlas is no longer kept; compute it again")
        return "patterns-coder.safetensors", MIMETYPES[kind], data
    return f"patterns-{atlas.layout}.{kind}", MIMETYPES[kind], _content(atlas, kind)


def _content(atlas: Atlas, kind: str) -> bytes:
    if kind == "npz":
        return npz_bytes(atlas_arrays(atlas), provenance_json(atlas.provenance))
    if kind in FIGURES:
        from analytics.views.figure import render
        from analytics.views.patterns import atlas_chart

        figure = atlas_figure(atlas)
        about = json.dumps(sidecar(atlas), ensure_ascii=False)
        return render(atlas_chart(figure), kind, figure.title, about)  # type: ignore[arg-type]
    return table_bytes(points_table(atlas), kind)  # type: ignore[arg-type]


def points_table(atlas: Atlas) -> pd.DataFrame:
    """One row for each head on each picture: where it lies, its cluster and its error."""
    import pandas as pd

    names = np.array([image.name for image in atlas.images], object)
    labels = np.array(atlas.model_labels, object)
    clusters = np.array([*atlas.cluster_names, ""], object)  # -1: in no cluster
    return pd.DataFrame(
        {
            "model": labels[atlas.model],
            "image": names[atlas.image],
            "layer": atlas.layer,
            "head": atlas.head,
            "x": atlas.x,
            "y": atlas.y,
            "cluster": clusters[atlas.cluster],
            "error": atlas.error,
            "held_out": atlas.held_out,
        }
    )


def atlas_arrays(atlas: Atlas) -> dict[str, np.ndarray]:
    """Every array of an atlas by its name in the record, and names as text."""
    arrays = ("model", "image", "layer", "head", "x", "y", "latent", "cluster", "error", "held_out")
    more = ("head_positions", "cluster_maps", "grid_x", "grid_y")
    decoded = ("decoded", "decoded_cls", "decoded_near")
    found = {name: np.asarray(getattr(atlas, name)) for name in (*arrays, *more, *decoded)}
    return found | {
        "heads": np.array(atlas.heads, np.int32),
        "images": np.array([image.name for image in atlas.images]),
        "model_labels": np.array(atlas.model_labels),
        "cluster_names": np.array(atlas.cluster_names),
    }


def atlas_figure(atlas: Atlas) -> AtlasFigure:
    """What the figure draws of an atlas."""
    from analytics.views.patterns import AtlasFigure

    return AtlasFigure(
        title=f"Attention patterns of {len(atlas.heads)} heads on {_images(atlas)}",
        axis=PLANES[atlas.layout],
        x=atlas.x,
        y=atlas.y,
        layer=atlas.layer,
        heads=atlas.heads,
        head_positions=atlas.head_positions,
        clusters=[
            (name, _median(atlas.x, atlas.cluster == i), _median(atlas.y, atlas.cluster == i))
            for i, name in enumerate(atlas.cluster_names)
        ],
        grid_x=atlas.grid_x,
        grid_y=atlas.grid_y,
        decoded=atlas.decoded,
        near=atlas.decoded_near,
        caption=caption(atlas),
    )


def _median(values: np.ndarray, chosen: np.ndarray) -> float:
    return float(np.median(values[chosen])) if chosen.any() else math.nan


def _images(atlas: Atlas) -> str:
    count = len(atlas.images)
    return "1 picture" if count == 1 else f"{count} pictures"


def caption(atlas: Atlas) -> tuple[str, ...]:
    """The sentences under the figure: models, pictures, coder, fit, hashes."""
    made = atlas.provenance
    version = made.versions.get("attention-atlas", "")
    coder = "the autoencoder" if atlas.better == "autoencoder" else "PCA"
    origin = "shipped with the app" if atlas.pretrained else "fitted on these pictures"
    models = "; diamonds: ".join(atlas.model_labels)
    return (
        f"Model: {models}. {_images(atlas)}. Each point is one head on one picture, coloured by "
        "layer; each dot the median of a head. Grey bands enclose 95, 80, 60, 40 and 20 % of all "
        "points; grey patterns: what the coder makes of a place.",
        f"Coder: {coder}, {origin}, {atlas.latent_size} latent values. Share of variance explained "
        f"on pictures held out of the fit: autoencoder {_share(atlas.r2_autoencoder)}, PCA of the "
        f"same size {_share(atlas.r2_pca)}. Clusters are named by template scores (ours).",
        f"SHA-256 of the weights: {made.weights_sha256[:12]}. Atlas {atlas.id[:12]}. "
        f"Made with Attention Atlas {version}".strip()
        + ".",
    )


def _share(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "unknown (no picture was held out)"


def sidecar(atlas: Atlas) -> dict[str, Any]:
    """Everything about an atlas in plain values, without its points."""
    return {
        "atlas": atlas.id,
        "models": list(atlas.model_labels),
        "images": [image.name for image in atlas.images],
        "skipped": [list(one) for one in atlas.skipped],
        "complete": atlas.complete,
        "layout": atlas.layout,
        "coder": atlas.better,
        "latent_size": atlas.latent_size,
        "r2": {
            name: value if math.isfinite(value) else None
            for name, value in (("autoencoder", atlas.r2_autoencoder), ("pca", atlas.r2_pca))
        },
        "clusters": dict(zip(atlas.cluster_names, atlas.cluster_sizes, strict=True)),
        "notes": list(atlas.notes),
        "provenance": json.loads(provenance_json(atlas.provenance)),
    }
