"""A flow as files: the maps with their curves and a caption, a table, arrays, one JSON record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, npz_bytes
from analytics.store.provenance import provenance_json
from analytics.studies.flow_record import flow_arrays, flow_values
from analytics.views.flow import SCALING_WORDS, FlowFigure, FlowPanel
from analytics.views.maps import CLIP

if TYPE_CHECKING:
    from analytics.studies.flow_record import Flow

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "npz": "application/octet-stream",
    "csv": "text/csv",
    "json": "application/json",
}
FIGURES = ("svg", "png", "pdf")
COLUMNS = ("quantity", "layer", "token", "row", "column", "fraction", "value")


@dataclass(frozen=True)
class Shown:
    """What a figure shows: the scaling, the layer of the raw attention, the sinks' threshold."""

    scaling: str = "same"
    layer: float = -1
    threshold: float = 5.0


def export_flow(record: Flow, shown: Shown, kind: str) -> tuple[str, str, bytes]:
    """One download.

    Args:
        record: the flow.
        shown: what a figure shows; tables and arrays hold all.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind, scaling or layer is unknown, or a figure of no map is asked for.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    name = f"{_file_name(record)}.{kind}"
    if kind in FIGURES:
        return name, MIMETYPES[kind], figure_bytes(record, shown, kind)
    if kind == "json":
        return name, MIMETYPES[kind], json_bytes(sidecar(record))
    if kind == "npz":
        about = json.dumps(sidecar(record), ensure_ascii=False)
        return name, MIMETYPES[kind], npz_bytes(flow_arrays(record), about)
    import pandas as pd

    from analytics.io.export import table_bytes

    table = pd.DataFrame(_rows(record), columns=list(COLUMNS))
    return name, MIMETYPES[kind], table_bytes(table, "csv")


def figure_bytes(record: Flow, shown: Shown, kind: str) -> bytes:
    """The maps and their curves, with the flow's record as metadata."""
    from analytics.views.figure import render
    from analytics.views.flow import flow_chart

    figure = flow_figure(record, shown)
    about = json.dumps(sidecar(record), ensure_ascii=False)
    return render(flow_chart(figure), kind, figure.title, about)  # type: ignore[arg-type]


def flow_figure(record: Flow, shown: Shown) -> FlowFigure:
    """What the figure is drawn from.

    Raises:
        ValueError: there is no such layer or scaling.
    """
    layer = _layer(record, shown)
    if shown.scaling not in SCALING_WORDS:
        raise ValueError(f"expected a scaling out of same, own; got {shown.scaling!r}")
    return FlowFigure(
        title=f"What the output draws on: {record.picture.name}",
        picture=record.picture,
        placement=record.placement,
        panels=tuple(_panel(record, one.name, layer) for one in record.maps),
        scaling=shown.scaling,  # type: ignore[arg-type]  # checked above
        fractions=record.fractions,
        random_deletion=record.random_deletion,
        random_insertion=record.random_insertion,
        score=record.score if len(record.score) < 30 else "score",
        caption=caption(record, shown),
    )


def _panel(record: Flow, name: str, layer: int) -> FlowPanel:
    one = record.map(name)
    if name == "raw" and layer != raw_layer(record):
        grid, ahead = record.base_layout.grid, len(record.base_layout.prefix)
        values = record.readout_attention[layer, ahead:].reshape(grid.rows, grid.columns)
        nothing = np.full_like(one.deletion, np.nan)
        title = f"Raw attention, {record.layer_labels[layer]}"
        words = f"curves are measured for {record.layer_labels[raw_layer(record)]}"
        return FlowPanel(title, values, nothing, nothing, words)
    areas = f"area: deletion {one.deletion_auc:.3f}, insertion {one.insertion_auc:.3f}"
    title = one.title[:1].upper() + one.title[1:]
    return FlowPanel(title, one.values, one.deletion, one.insertion, areas)


def raw_layer(record: Flow) -> int:
    """The layer of the map `raw`: the last one that is followed, which its title names."""
    titles = [one.title for one in record.maps if one.name == "raw"]
    label = titles[0].rpartition(", ")[2] if titles else ""
    labels = record.layer_labels
    return labels.index(label) if label in labels else len(labels) - 1


def _layer(record: Flow, shown: Shown) -> int:
    last = len(record.layer_labels) - 1
    if shown.layer == -1:
        return raw_layer(record)
    if shown.layer not in range(last + 1):
        raise ValueError(f"expected a layer from 0 to {last}; got {shown.layer:g}")
    return int(shown.layer)


def caption(record: Flow, shown: Shown) -> tuple[str, ...]:
    """The sentences under the figure: model, picture, maps, curves, hashes."""
    place, grid, made = record.placement, record.base_layout.grid, record.provenance
    maps = " ".join(
        f"{one.title[:1].upper()}{one.title[1:]}: {one.definition} Source: {one.source}."
        for one in record.maps
    )
    life = record.sink_life(shown.threshold)
    sinks = ", ".join(list(life)[:8]) or "none"
    sinks += " and more" if len(life) > 8 else ""
    version = made.versions.get("attention-atlas", "")
    lines = [
        f"Model: {record.model_label}. {record.caution}",
        f"Picture: {record.picture.name}, {place.fit}, {place.width} x {place.height} px, "
        f"{grid.rows} x {grid.columns} patches.",
        maps,
        f"Colours: {SCALING_WORDS[shown.scaling]}, clipped at percentile {CLIP}.",
        f"Curves: {record.score}, patches removed (deletion) or put back (insertion) in the "
        "order of the map, the largest first; removed patches have the picture's mean colour. "
        "Red: deletion; violet: insertion. "
        f"{_random_words(record)}",
        f"Sinks (ours: more than {shown.threshold:g} x uniform): {sinks}.",
        *record.notes,
        f"SHA-256: picture {record.picture.sha256[:12]}, weights {made.weights_sha256[:12]}. "
        f"Made with Attention Atlas {version}".strip()
        + ".",
    ]
    return tuple(line.strip() for line in lines if line.strip())


def _random_words(record: Flow) -> str:
    from analytics.metrics.faithfulness import area_under

    if not len(record.random_deletion):
        return ""
    words = []
    for name, curves in (
        ("deletion", record.random_deletion),
        ("insertion", record.random_insertion),
    ):
        areas = [area_under(record.fractions, one) for one in curves]
        words.append(f"{name} {np.mean(areas):.3f} ± {np.std(areas):.3f}")
    return (
        f"Grey band: range of {len(record.random_deletion)} random orders, areas "
        f"{', '.join(words)} (mean ± standard deviation)."
    )


def sidecar(record: Flow) -> dict[str, Any]:
    """Everything about a flow in plain values, with its provenance."""
    found: dict[str, Any] = {"flow": record.id, **flow_values(record)}
    changed = record.redistribution
    if changed is not None:
        found["what_if"] = {
            **changed.what_if._asdict(),
            "embedding_cosine": _plain(changed.embedding_cosine),
            "score_before": _plain(changed.score_before),
            "score_after": _plain(changed.score_after),
            "before": [list(one) for one in changed.before],
            "after": [list(one) for one in changed.after],
        }
    found["layers"] = list(record.layer_labels)
    found["prefix_tokens"] = list(record.base_layout.prefix)
    found["grid_size"] = [record.base_layout.grid.rows, record.base_layout.grid.columns]
    found["provenance"] = json.loads(provenance_json(record.provenance))
    return found


def _rows(record: Flow) -> Iterator[tuple[Any, ...]]:
    """One row for each number: of a patch in a map, of a token in a layer, of a curve's point."""
    layout = record.base_layout
    tokens = [_token(layout.grid.columns, len(layout.prefix), i) for i in range(layout.num_tokens)]
    for one in record.maps:
        for place, value in enumerate(one.values.reshape(-1)):
            name = layout.names[len(layout.prefix) + place]
            yield one.name, None, name, *tokens[len(layout.prefix) + place], None, float(value)
        for curve in ("deletion", "insertion"):
            for fraction, value in zip(record.fractions, getattr(one, curve), strict=True):
                yield f"{curve}:{one.name}", None, "", None, None, float(fraction), float(value)
    for quantity in ("readout_attention", "received", "norms"):
        for layer, row in enumerate(getattr(record, quantity)):
            for name, at, value in zip(layout.names, tokens, row, strict=True):
                yield quantity, layer, name, *at, None, float(value)


def _token(columns: int, prefix: int, token: int) -> tuple[int | None, int | None]:
    """Row and column of a token; None of a prefix token."""
    return divmod(token - prefix, columns) if token >= prefix else (None, None)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _file_name(record: Flow) -> str:
    """`flow-photo`, in letters that every system takes."""
    stem = record.picture.name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem)
    return f"flow-{plain.strip('-')[:40] or 'picture'}"
