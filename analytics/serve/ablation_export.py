"""An ablation in words and as files: the chart with a caption, and a JSON record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from analytics.serve.replies import strict
from analytics.store.provenance import provenance_json
from analytics.studies.binding_ablation_record import ABLATION_MEASURES, BindingAblation

MEASURES = {
    "auc_matched": "distance-matched AUC at the end",
    "knn_objects": "k-NN segmentation, mIoU of objects",
    "knn_classes": "k-NN segmentation, mIoU of classes",
    "cosine": "cosine of the embedding with itself",
}
DEFINITIONS = {
    "auc_matched": "Chance that the probe, read at the last point, gives a pair of patches of one "
    "object more than a pair of two objects as far apart. 0.5 is guessing.",
    "knn_objects": "Final patch tokens vote, by cosine, for the object of each left-out patch of "
    "the same picture; mean intersection over union with the objects.",
    "knn_classes": "Unchanged final patch tokens of all other pictures vote for the class of each "
    "patch, a read-out without training; mean intersection over union with the classes.",
    "cosine": "Cosine of the picture's embedding with the unchanged one; 1 is no change.",
}
SUBSPACES = {
    "binding": "binding part",
    "principal": "PCA part, equal energy",
    "random": "random part, equal energy",
    "stream": "whole stream, its own energy",
}
WHOLE = (
    "The part is the whole stream, and so are its controls: take fewer directions to compare them."
)
FIGURES = ("svg", "png", "pdf")
MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}


def figure_of(record: BindingAblation, measure: str) -> Any:
    """What the chart is drawn from."""
    from analytics.studies.binding_ablation_record import ABLATION_MEASURES
    from analytics.views.ablation import AblationFigure, AblationLine

    edits = dict.fromkeys(edit for edit, _ in record.steps)
    lines = [
        AblationLine(subspace, edit, record.curve(subspace, edit, measure))
        for edit in edits
        for subspace in record.subspaces
    ]
    clean = float(record.clean[ABLATION_MEASURES.index(measure), 0])
    return AblationFigure(MEASURES[measure], clean, lines)


def words_of(record: BindingAblation, measure: str) -> list[str]:
    """What the strongest edits did, in sentences made from the numbers."""
    place = ABLATION_MEASURES.index(measure)
    clean = float(record.clean[place, 0])
    if not np.isfinite(clean):
        return ["This measure is not known here: too few objects or named classes."]
    said = []
    for edit, most in (("shuffle", 1.0), ("inject", 0.0)):
        if (edit, most) not in record.steps:
            continue
        at = record.steps.index((edit, most))  # type: ignore[arg-type]
        told = {
            name: record.values[row, at, place]
            for row, name in enumerate(record.subspaces)
            if np.isfinite(record.values[row, at, place, 0])
        }
        if told:
            said.append(_effect(record, told, measure, clean, edit, at))
            said.append(WHOLE if _is_whole(record) else _verdict(told, clean))
    return [one for one in said if one] or ["No step is measured yet."]


def _is_whole(record: BindingAblation) -> bool:
    """Whether the binding part is the stream itself, to rounding, and so are its controls."""
    held = dict(zip(record.subspaces, record.held.tolist(), strict=True))
    return held.get("binding", 0.0) > 1 - 1e-4


def _effect(
    record: BindingAblation,
    told: Mapping[Any, np.ndarray],
    measure: str,
    clean: float,
    edit: str,
    at: int,
) -> str:
    verb = (
        "Shuffling all patches"
        if edit == "shuffle"
        else "Moving every patch to the mean of its object"
    )
    parts = ", ".join(
        f"{SUBSPACES[name]} {value - clean:+.3f}"
        + (f" ({low - clean:+.3f} to {high - clean:+.3f})" if np.isfinite(low) else "")
        for name, (value, low, high) in told.items()
    )
    energy = ""
    if "binding" in told:
        share = float(record.moved[record.subspaces.index("binding"), at])
        energy = f" The binding part moves {share:.1%} of the patches' variance."
    return f"{verb} changes {MEASURES[measure]} ({clean:.3f} unchanged) by: {parts}.{energy}"


def _verdict(told: Mapping[Any, np.ndarray], clean: float) -> str:
    """How the binding part stands beside its strongest control; intervals decide."""
    controls = [name for name in told if name not in ("binding", "stream")]
    if "binding" not in told or not controls:
        return ""
    own = told["binding"]
    control = max(controls, key=lambda name: abs(told[name][0] - clean))
    other = told[control]
    if abs(own[0] - clean) <= abs(other[0] - clean):
        return (
            f"The control ({SUBSPACES[control]}) changes it as much or more: this edit singles "
            "out nothing about binding."
        )
    if not np.isfinite([*own, *other]).all():
        return "Too few pictures for intervals: no difference is shown."
    if own[1] <= other[2] and other[1] <= own[2]:
        return "The intervals of binding part and control overlap: no difference is shown."
    return (
        "The binding part changes it more than its controls of equal energy; this is a difference "
        "in what is read at the end, not a cause of anything else."
    )


def export_ablation(record: BindingAblation, measure: str, kind: str) -> tuple[str, str, bytes]:
    """One download.

    Args:
        record: the sweep, complete or not.
        measure: which one a figure shows, one of `ABLATION_MEASURES`.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind or measure is unknown.
    """
    from analytics.io.export import json_bytes, table_bytes
    from analytics.studies.binding_ablation_record import ablation_table

    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    if measure not in MEASURES:
        raise ValueError(f"expected a measure out of {', '.join(MEASURES)}; got {measure!r}")
    name = f"ablation-{measure}.{kind}" if kind in FIGURES else f"ablation.{kind}"
    if kind in FIGURES:
        return name, MIMETYPES[kind], ablation_figure(record, measure, kind)
    if kind == "json":
        return name, MIMETYPES[kind], json_bytes(sidecar(record))
    return name, MIMETYPES[kind], table_bytes(ablation_table(record), kind)  # type: ignore[arg-type]


def sidecar(record: BindingAblation) -> dict[str, Any]:
    """The sweep in plain values, with its provenance."""
    return strict(  # type: ignore[no-any-return]
        {
            "ablation": record.id,
            "model": record.model_label,
            "steps_done": record.done,
            "complete": record.complete,
            "measures": list(ABLATION_MEASURES),
            "subspaces": list(record.subspaces),
            "steps": [list(step) for step in record.steps],
            "values": record.values.tolist(),
            "clean": record.clean.tolist(),
            "moved": record.moved.tolist(),
            "held": record.held.tolist(),
            "images": list(record.images),
            "skipped": [list(one) for one in record.skipped],
            "notes": list(record.notes),
            "provenance": json.loads(provenance_json(record.provenance)),
        }
    )


def ablation_figure(record: BindingAblation, measure: str, kind: str) -> bytes:
    """The chart of a measure as a file, `kind` svg, png or pdf, with its words below."""
    from analytics.views.ablation import ablation_chart
    from analytics.views.figure import render
    from analytics.views.sheet import sheet

    title = f"Ablation of the binding part at point {record.choices.point}: {record.model_label}"
    chart = sheet(
        ablation_chart(figure_of(record, measure)),
        title,
        [*_partial(record), *words_of(record, measure), *record.notes],
    )
    about = json.dumps(sidecar(record), ensure_ascii=False)
    return render(chart, kind, title, about)  # type: ignore[arg-type]


def _partial(record: BindingAblation) -> list[str]:
    if record.complete:
        return []
    return [f"Partial: {record.done} of {record.moved.size} steps are measured."]
