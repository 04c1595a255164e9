"""Object binding as files: the curves with a caption, a table, a picture's map, JSON records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.export import json_bytes, npz_bytes
from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json

if TYPE_CHECKING:
    from analytics.serve.binding_work import BoundPicture
    from analytics.studies.binding_record import Binding
    from analytics.views.binding import BindingCurve, BindingFigure

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}
FIGURES = ("svg", "png", "pdf")
MAP_MIMETYPES = {"npz": "application/octet-stream", "json": "application/json"}

MEASURE_TITLES: dict[str, dict[str, Any]] = {
    "auc_matched": {
        "title": "distance-matched AUC",
        "definition": "Area under the ROC curve with same and different pairs reweighted to be "
        "equal at every distance: the place of two patches alone gives .5.",
        "chance": 0.5,
    },
    "auc_image_matched": {
        "title": "image-matched AUC",
        "definition": "Same and different pairs equal at every distance of each picture: nothing "
        "is gained by telling pictures with many same pairs from others (ours).",
        "chance": 0.5,
    },
    "auc_colour_matched": {
        "title": "colour-matched AUC",
        "definition": "As the image-matched AUC, with pairs also equal at every difference of "
        "their mean colours (ours).",
        "chance": 0.5,
    },
    "auc": {
        "title": "AUC",
        "definition": "Area under the ROC curve over all pairs. Distance is a large shortcut: "
        "compare with the position line.",
        "chance": 0.5,
    },
    "accuracy": {
        "title": "accuracy",
        "definition": "Share of pairs that are called right. Most pairs are different: compare "
        "with the majority line.",
        "chance": None,
    },
    "balanced_accuracy": {
        "title": "balanced accuracy",
        "definition": "Mean of the shares of same and of different pairs that are called right.",
        "chance": 0.5,
    },
}
CLAIM = (
    "Made scenes say what can be read from the model there; a curve above the position and pixel "
    "lines does not show that the model uses what the probe reads."
)


def export_binding(record: Binding, measure: str, kind: str) -> tuple[str, str, bytes]:
    """One download of a result.

    Args:
        record: the result.
        measure: what a figure shows; tables hold all.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind or measure is unknown.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    if measure not in MEASURE_TITLES:
        raise ValueError(f"expected a measure out of {', '.join(MEASURE_TITLES)}; got {measure!r}")
    name = f"binding.{kind}"
    if kind in FIGURES:
        from analytics.views.binding import binding_chart
        from analytics.views.figure import render

        figure = binding_figure(record, measure)
        about = json.dumps(sidecar(record), ensure_ascii=False)
        data = render(binding_chart(figure), kind, figure.title, about)  # type: ignore[arg-type]
        return name, MIMETYPES[kind], data
    if kind == "json":
        return name, MIMETYPES[kind], json_bytes(sidecar(record))
    from analytics.io.export import table_bytes
    from analytics.studies.binding_record import binding_table

    table = binding_table(record)
    return name, MIMETYPES[kind], table_bytes(table, kind)  # type: ignore[arg-type]


def binding_figure(record: Binding, measure: str) -> BindingFigure:
    """What the figure is drawn from."""
    from analytics.views.binding import BindingFigure

    return BindingFigure(
        title=f"Do two patches belong together? {record.model_label}",
        axis=MEASURE_TITLES[measure]["title"],
        curves=tuple(_curves(record, measure)),
        caption=caption(record, measure),
    )


def _curves(record: Binding, measure: str) -> list[BindingCurve]:
    from analytics.views.binding import BindingCurve

    found = []
    for name, kind in zip(record.rows, record.kinds, strict=True):
        curve = record.curve(name, measure)
        if np.isfinite(curve[:, 0]).any():
            found.append(BindingCurve(name, kind, *np.ascontiguousarray(curve.T)))
    return found


def caption(record: Binding, measure: str) -> tuple[str, ...]:
    """What the figure shows, on what it was measured, and what it does not say."""
    made = record.provenance
    test = sum(one.part == "test" for one in record.images)
    part = "" if record.complete else f" Partial: {record.done} of {record.wanted} fits."
    seeds = f"{len(record.seeds)} seed{'s' if len(record.seeds) > 1 else ''}"
    return (
        f"{MEASURE_TITLES[measure]['title'].capitalize()} by point of the residual stream: 0 the "
        f"embedding, l after l layers. {MEASURE_TITLES[measure]['definition']}",
        f"{len(record.images)} made scenes, {test} of them held out and measured, {seeds}; bands "
        f"are 95 % intervals over pictures.{part}",
        CLAIM,
        *record.notes,
        f"Weights SHA-256 {made.weights_sha256[:12]}. Made with Attention Atlas "
        f"{made.versions.get('attention-atlas', '')}".strip()
        + ".",
    )


def sidecar(record: Binding) -> dict[str, Any]:
    """A result in plain values, with its provenance."""
    return strict(
        {
            "binding": record.id,
            "model": record.model_label,
            "rows": list(record.rows),
            "kinds": list(record.kinds),
            "seeds": list(record.seeds),
            "families": list(record.families),
            "curves": {
                measure: {name: record.curve(name, measure).tolist() for name in record.rows}
                for measure in MEASURE_TITLES
            },
            "images": [vars(one) for one in record.images],
            "skipped": [list(one) for one in record.skipped],
            "complete": record.complete,
            "about": CLAIM,
            "notes": list(record.notes),
            "provenance": json.loads(provenance_json(record.provenance)),
        }
    )


def export_bound(found: BoundPicture, query: int, kind: str) -> tuple[str, str, bytes]:
    """One download of a picture's map.

    Args:
        found: the picture and its probe.
        query: the patch that is asked about, row-major.
        kind: a key of `MAP_MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind is unknown, or there is no such patch.
    """
    if kind not in MAP_MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MAP_MIMETYPES)}; got {kind!r}")
    same = found.same
    rows = np.stack([same.row(query, point) for point in same.points])  # (points, rows, columns)
    about = bound_sidecar(found, query)
    name = f"same-object.{kind}"
    if kind == "json":
        about["same_object"] = rows.tolist()
        return name, MAP_MIMETYPES[kind], json_bytes(strict(about))
    arrays = {
        "same_object": rows,
        "points": np.asarray(same.points),
        "z": same.z,
        "own": same.own,
        "signs": same.signs,
        "bias": same.bias,
    }
    if found.objects is not None and found.mask is not None:
        arrays |= {"objects": found.objects, "mask": found.mask}
    return name, MAP_MIMETYPES[kind], npz_bytes(arrays, json.dumps(about, ensure_ascii=False))


def bound_sidecar(found: BoundPicture, query: int) -> dict[str, Any]:
    """A picture's map in words and plain values, with its provenance."""
    row, column = divmod(query, found.same.grid.columns)
    return {
        "map": found.id,
        "model": found.model_label,
        "picture": found.picture.name,
        "scene": found.scene,
        "probe": found.row,
        "kind": found.same.kind,
        "fitted_on": found.fitted_on,
        "query": [row, column],
        "points": list(found.same.points),
        "grid_size": [found.same.grid.rows, found.same.grid.columns],
        "about": CLAIM,
        "provenance": json.loads(provenance_json(found.provenance)),
    }
