"""What an export says of itself: the caption, the sidecar, and the link back to the view."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from analytics.store.provenance import provenance_json
from analytics.types import TokenLayout
from analytics.views import maps
from analytics.views.maps import LayerMaps, LensView

if TYPE_CHECKING:
    from analytics.studies.attend import LensRecord

_FITS = {"crop": "centre crop", "pad": "padded", "stretch": "stretched"}


def layer_maps(record: LensRecord, view: LensView) -> tuple[LayerMaps, ...]:
    """The view's rows with the layout that each layer gives them."""
    rows = record.rows(view.token, view.direction)
    layouts = [token_layout(record, layer, view) for layer in range(len(record.layers))]
    return tuple(
        LayerMaps(layer.label, layout.prefix, layout.grid, row)
        for layer, layout, row in zip(record.layers, layouts, rows, strict=True)
    )


def caption(record: LensRecord, view: LensView, layers: tuple[LayerMaps, ...]) -> tuple[str, ...]:
    """The sentences under a figure: model, picture, view, numbers, hashes."""
    place, grid = record.placement, record.base_layout.grid
    token = maps.token_words(view.token)
    way = f"what {token} attends to" if view.direction == "to" else f"what attends to {token}"
    high = maps.enlarged_limit(view, layers, grid)
    scale = "own scale of the mean" if view.heads else maps.SCALE_WORDS[view.scale]
    made = record.provenance
    lines = [
        f"Model: {record.model_label}. {record.caution}{_off_words(record)}".strip(),
        f"Picture: {record.picture.name}, {_FITS[place.fit]}, {place.width} x {place.height} px, "
        f"{grid.rows} x {grid.columns} patches.",
        f"Shown: {way}, {maps.head_words(view)}. Colours from 0 to {high:.3g} ({scale}; "
        f"clipped at percentile {maps.CLIP}, {view.cmap}). {_prefix_words(view, layers)}.",
        f"SHA-256: picture {record.picture.sha256[:12]}, weights {made.weights_sha256[:12]}. "
        f"Made with Attention Atlas {made.versions.get('attention-atlas', '')}".strip()
        + ".",
    ]
    return tuple(lines)


def _off_words(record: LensRecord) -> str:
    """Which heads were switched off, and what that did to the cls token."""
    if record.off is None:
        return ""
    names = ", ".join(f"L{layer} H{head}" for layer, head in record.off.heads)
    return f" Switched off: {names} (cls shift {record.off.cls_shift:.3g})."


def _prefix_words(view: LensView, layers: tuple[LayerMaps, ...]) -> str:
    """How much of the enlarged attention the picture cannot show, in words."""
    if not any(layers[layer].prefix for layer, _ in view.chosen):
        return "No prefix tokens here"
    share = maps.prefix_share(view, layers)
    if math.isnan(share):
        return "No such token in this layer"
    return f"Share {'on' if view.direction == 'to' else 'from'} prefix tokens: {share:.3f}"


def sidecar(
    record: LensRecord, view: LensView, layers: Sequence[int] | None = None
) -> dict[str, Any]:
    """Everything about an export in plain values, with the link that opens the view again."""
    chosen = tuple(layers) if layers is not None else tuple(range(len(record.layers)))
    return {
        "title": maps.title(view),
        "link": link(record, view),
        "view": asdict(view),
        "caption": list(caption(record, view, layer_maps(record, view))),
        "axes": "attention (layers, heads, tokens): prefix tokens first, then patches row-major",
        "clip_percentile": maps.CLIP,
        "layers": [_layer_words(record, layer, view) for layer in chosen],
        "provenance": json.loads(provenance_json(record.provenance)),
    }


def link(record: LensRecord, view: LensView) -> str:
    """Query string of the address that shows this view: `?model=...&image=...&q=...`.

    A weights file is named by its stem, under which the server keeps uploaded ones: a link
    never holds a path.
    """
    model, file = record.provenance.model, ""
    if model.startswith("file:"):
        model, _, path = model.removeprefix("file:").partition("@")
        file = PurePath(path).stem
    fields = {
        "model": model,
        "weights": file,
        "image": record.picture.sha256,
        "size": record.placement.height,
        "fit": record.placement.fit,
        "layer": view.layer,
        "head": view.head,
        "q": view.token,
        "dir": view.direction,
        "scale": view.scale,
        "cmap": view.cmap,
        "opacity": f"{view.opacity:g}",
        "heads": ",".join(f"{layer}:{head}" for layer, head in view.heads or ()),
        "off": ",".join(f"{layer}:{head}" for layer, head in record.off.heads)
        if record.off
        else "",
    }
    return "?" + urlencode({name: value for name, value in fields.items() if value != ""})


def _layer_words(record: LensRecord, index: int, view: LensView) -> dict[str, Any]:
    layer, layout = record.layers[index], token_layout(record, index, view)
    return {
        "layer": index,
        "label": layer.label,
        "module": layer.name,
        "num_heads": layer.num_heads,
        "prefix_tokens": list(layout.prefix),
        "grid_size": [layout.grid.rows, layout.grid.columns],
        "notes": list(layer.notes),
    }


def token_layout(record: LensRecord, layer: int, view: LensView) -> TokenLayout:
    """Tokens of a row: keys of the query, or queries that look at the key."""
    one = record.layers[layer]
    return one.key_layout if view.direction == "to" else one.query_layout
