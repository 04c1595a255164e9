"""A lens view as files: the same for the export route and the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np

from analytics.io.export import json_bytes, npz_bytes, safetensors_bytes, zip_bytes
from analytics.serve.sidecar import caption, layer_maps, sidecar, token_layout
from analytics.store.provenance import provenance_json
from analytics.types import TokenLayout
from analytics.views import maps
from analytics.views.figure import Kind
from analytics.views.maps import LensView

if TYPE_CHECKING:
    from analytics.studies.attend import LensRecord
    from analytics.views.lens import LensFigure

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "npz": "application/zip",
    "safetensors": "application/zip",
    "json": "application/json",
}
"""What an export may be; arrays come in a zip together with their JSON sidecar."""


def export_lens(record: LensRecord, view: LensView, kind: str) -> tuple[str, str, bytes]:
    """One view as one download.

    Args:
        record: what was computed for the picture.
        view: what of it to show.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind is unknown, or the record has no such token, layer or head.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    if kind in get_args(Kind):
        files = {f"lens.{kind}": figure_bytes(record, view, kind)}
    elif kind == "json":
        files = {"attention.json": json_bytes(sidecar(record, view))}
    else:
        files = array_files(record, view, kind)
    name = _file_name(record, view)
    if len(files) == 1:
        return f"{name}.{kind}", MIMETYPES[kind], next(iter(files.values()))
    return f"{name}-{kind}.zip", MIMETYPES[kind], zip_bytes(files)


def figure_bytes(record: LensRecord, view: LensView, kind: str) -> bytes:
    """The figure with its sidecar as metadata.

    Raises:
        ValueError: the record has no such token, layer or head.
    """
    from analytics.views.figure import render
    from analytics.views.lens import lens_chart

    chart = lens_chart(lens_figure(record, view))
    description = json.dumps(sidecar(record, view), ensure_ascii=False)
    return render(chart, kind, maps.title(view), description)  # type: ignore[arg-type]


def array_files(
    record: LensRecord, view: LensView, kind: str, layers: Sequence[int] | None = None
) -> dict[str, bytes]:
    """The query's rows as `attention.npz` or `attention.safetensors`, and `attention.json`.

    Args:
        record: what was computed for the picture.
        view: whose token and direction are taken.
        kind: `npz` or `safetensors`.
        layers: which layers; None for all.
    """
    chosen = tuple(layers) if layers is not None else tuple(range(len(record.layers)))
    arrays = attention_arrays(record, view, chosen)
    about = sidecar(record, view, chosen)
    about["arrays"] = {
        name: {"shape": list(array.shape), "dtype": str(array.dtype)}
        for name, array in arrays.items()
    }
    text = provenance_json(record.provenance)
    if kind == "npz":
        data = npz_bytes(arrays, text)
    else:
        data = safetensors_bytes(arrays, {"provenance": text, "sidecar": json.dumps(about)})
    return {f"attention.{kind}": data, "attention.json": json_bytes(about)}


def attention_arrays(
    record: LensRecord, view: LensView, layers: Sequence[int]
) -> dict[str, np.ndarray]:
    """The query's row in every head, prefix tokens first.

    Returns:
        Where all layers are alike, `attention` float32 (layers, heads, tokens),
        `grid_size` (rows, columns) and `num_prefix_tokens`; otherwise these three for each
        layer with `_L0`, `_L1`, ... after the name. `layers` holds the layer numbers.

    Raises:
        ValueError: the record has no such token or layer.
    """
    outside = [layer for layer in layers if not 0 <= layer < len(record.layers)]
    if outside:
        raise ValueError(f"expected a layer from 0 to {len(record.layers) - 1}; got {outside[0]}")
    rows = record.rows(view.token, view.direction)
    layouts = [token_layout(record, layer, view) for layer in layers]
    arrays: dict[str, np.ndarray] = {"layers": np.asarray(layers, np.int32)}
    alike = len({(len(rows[layer]), shape) for layer, shape in zip(layers, layouts, strict=True)})
    if alike == 1:
        arrays["attention"] = np.stack([rows[layer] for layer in layers]).astype(np.float32)
        return {**arrays, **_shape(layouts[0], "")}
    for layer, layout in zip(layers, layouts, strict=True):
        arrays[f"attention_L{layer}"] = rows[layer].astype(np.float32)
        arrays.update(_shape(layout, f"_L{layer}"))
    return arrays


def lens_figure(record: LensRecord, view: LensView) -> LensFigure:
    """What the figure of a view is drawn from.

    Raises:
        ValueError: the record has no such token, layer or head.
    """
    from analytics.io.fitting import patch_box
    from analytics.views.lens import LensFigure

    layers = layer_maps(record, view)
    maps.check_view(view, layers)
    base, query = record.base_layout, None
    if view.token not in base.prefix:
        patch = base.index(view.token) - len(base.prefix)
        query = patch_box(record.placement, base.grid, *divmod(patch, base.grid.columns))
    words = caption(record, view, layers)
    return LensFigure(record.picture, record.placement, base.grid, layers, view, query, words)


def _shape(layout: TokenLayout, suffix: str) -> dict[str, np.ndarray]:
    grid = layout.grid
    return {
        f"grid_size{suffix}": np.asarray([grid.rows, grid.columns], np.int32),
        f"num_prefix_tokens{suffix}": np.asarray(len(layout.prefix), np.int32),
    }


def _file_name(record: LensRecord, view: LensView) -> str:
    """`lens-photo-7_9-to-L11H3`: what is shown, in letters that every system takes."""
    stem = record.picture.name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem)
    heads = "mean" if view.heads else f"L{view.layer}H{view.head}"
    token = view.token.replace(",", "_").replace(" ", "")
    return f"lens-{plain.strip('-')[:40] or 'picture'}-{token}-{view.direction}-{heads}"
