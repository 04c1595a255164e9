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
MAP_MIMETYPES = {
    **{kind: MIMETYPES[kind] for kind in FIGURES},
    "npz": "application/octet-stream",
    "json": "application/json",
}

DEFAULT_MEASURE = "auc_colour_matched"
"""What a reader sees first: on made scenes colours alone, and so random weights, reach .8
distance-matched, and .51 of this."""

MEASURE_TITLES: dict[str, dict[str, Any]] = {
    "auc_matched": {
        "title": "distance-matched AUC",
        "without": "Taken out: distance. Left in: colour, picture.",
        "definition": "Area under the ROC curve with same and different pairs reweighted to be "
        "equal at every distance: the place of two patches alone gives about .5, their colours "
        "far more.",
        "chance": 0.5,
    },
    "auc_image_matched": {
        "title": "image-matched AUC",
        "without": "Taken out: distance, picture. Left in: colour.",
        "definition": "Same and different pairs equal at every distance of each picture: nothing "
        "is gained by telling pictures with many same pairs from others (ours).",
        "chance": 0.5,
    },
    "auc_colour_matched": {
        "title": "colour-matched AUC",
        "without": "Taken out: distance, picture, difference of colour.",
        "definition": "As the image-matched AUC, with pairs also equal at every difference of "
        "their mean colours (ours).",
        "chance": 0.5,
    },
    "auc": {
        "title": "AUC",
        "without": "Nothing taken out: distance, colour help.",
        "definition": "Area under the ROC curve over all pairs. Distance is a large shortcut: "
        "compare with the position line.",
        "chance": 0.5,
    },
    "accuracy": {
        "title": "accuracy",
        "without": "Nothing taken out: majority, distance, colour help.",
        "definition": "Share of pairs that are called right. Most pairs are different: compare "
        "with the majority line.",
        "chance": None,
    },
    "balanced_accuracy": {
        "title": "balanced accuracy",
        "without": "Taken out: majority. Left in: distance, colour.",
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
    pictures = "made scenes" if any(record.families) else "annotated pictures"
    part = "" if record.complete else f" Partial: {record.done} of {record.wanted} fits."
    seeds = f"{len(record.seeds)} seed{'s' if len(record.seeds) > 1 else ''}"
    return (
        f"{MEASURE_TITLES[measure]['title'].capitalize()} by point of the residual stream: 0 the "
        f"embedding, l after l layers. {MEASURE_TITLES[measure]['definition']}",
        f"{len(record.images)} {pictures}, {test} of them held out and measured, {seeds}; bands "
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


def export_bound(
    found: BoundPicture, query: int, kind: str, point: int | None = None
) -> tuple[str, str, bytes]:
    """One download of a picture's map.

    Args:
        found: the picture and its probe.
        query: the patch that is asked about, row-major.
        kind: a key of `MAP_MIMETYPES`.
        point: of a figure, None for the last; the others hold all points.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind is unknown, or there is no such patch.
    """
    if kind not in MAP_MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MAP_MIMETYPES)}; got {kind!r}")
    same = found.same
    if kind in FIGURES:
        return f"same-object.{kind}", MAP_MIMETYPES[kind], _bound_figure(found, query, kind, point)
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


def _bound_figure(found: BoundPicture, query: int, kind: str, point: int | None) -> bytes:
    """The picture, the map of a patch at a point and small ones at every point, with a caption."""
    from analytics.io.fitting import patch_box
    from analytics.views.figure import render
    from analytics.views.same_object import SameObjectFigure, same_object_chart

    grid, points = found.same.grid, found.same.points
    at = points[-1] if point is None else point
    row, column = divmod(query, grid.columns)
    where = f"after layer L{at - 1}" if at else "at the embedding"
    title = f"Same object as patch {row},{column}, read {where}"
    caption = (
        f"{found.picture.name}. Left: what the model saw, the patch outlined. Right: the chance "
        f"that a patch belongs to the same object, as the {found.row} probe reads it from the "
        f"residual stream {where}; fitted on {found.fitted_on}. Below: the same at every point.",
        f"{found.model_label}. {CLAIM}",
        found.caution,
    )
    figure = SameObjectFigure(
        found.picture,
        found.placement,
        found.same.row(query, at),
        patch_box(found.placement, grid, row, column),
        title,
        tuple(line for line in caption if line),
        tuple(
            (f"L{one - 1}" if one else "embedding", found.same.row(query, one)) for one in points
        ),
    )
    about = json.dumps(bound_sidecar(found, query), ensure_ascii=False)
    return render(same_object_chart(figure), kind, title, about)  # type: ignore[arg-type]


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
