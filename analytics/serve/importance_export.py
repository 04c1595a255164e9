"""A study of head importance as files: figures with a caption, tables, and one JSON record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from analytics.io.export import json_bytes
from analytics.metrics.catalogue import HEAD_METRICS
from analytics.metrics.ranking import bootstrap_interval
from analytics.store.provenance import provenance_json

if TYPE_CHECKING:
    from analytics.studies.importance_record import Importance

MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}
LEVEL = 0.95


def export_importance(record: Importance, metric: str, kind: str) -> tuple[str, str, bytes]:
    """One download.

    Args:
        record: the study.
        metric: which metric a figure shows; tables hold all.
        kind: a key of `MIMETYPES`.

    Returns:
        File name, media type, content.

    Raises:
        ValueError: the kind is unknown, or the metric was not measured.
    """
    if kind not in MIMETYPES:
        raise ValueError(f"expected an export out of {', '.join(MIMETYPES)}; got {kind!r}")
    record.table(metric)
    name = f"importance-{metric}-{record.ablation}" if kind in FIGURES else "importance"
    return f"{name}.{kind}", MIMETYPES[kind], _content(record, metric, kind)


FIGURES = ("svg", "png", "pdf")


def _content(record: Importance, metric: str, kind: str) -> bytes:
    if kind == "json":
        return json_bytes(sidecar(record))
    if kind in FIGURES:
        return figure_bytes(record, metric, kind)
    from analytics.io.export import table_bytes
    from analytics.studies.importance_tables import importance_table

    return table_bytes(importance_table(record, LEVEL), kind)  # type: ignore[arg-type]


def figure_bytes(record: Importance, metric: str, kind: str) -> bytes:
    """The figure of one metric, with the study's record as metadata."""
    from analytics.views.figure import render
    from analytics.views.heads import HeadsFigure, heads_chart

    known, interval = HEAD_METRICS[metric], bootstrap_interval(record.table(metric), LEVEL)
    figure = HeadsFigure(
        title=f"Head importance by {known.title}, {record.ablation} ablation",
        axis=f"{known.title} · {known.axis}",
        heads=record.heads,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        caption=caption(record, metric),
        signed=known.signed,
    )
    about = json.dumps(sidecar(record), ensure_ascii=False)
    return render(heads_chart(figure), kind, figure.title, about)  # type: ignore[arg-type]


def caption(record: Importance, metric: str) -> tuple[str, ...]:
    """The sentences under the figure: model, pictures, metric, ablation, hashes."""
    known, made = HEAD_METRICS[metric], record.provenance
    done, wanted = len(record.images), record.images_wanted - len(record.skipped)
    part = "" if record.complete else f" (stopped before the other {wanted - done})"
    version = made.versions.get("attention-atlas", "")
    lines = (
        f"Model: {record.model_label}. {record.caution}".strip(),
        f"{known.title[:1].upper()}{known.title[1:]}: {known.definition} Source: {known.source}.",
        f"Mean over {done} pictures{part} with {100 * LEVEL:.0f} % bootstrap intervals over "
        f"pictures; {record.ablation} ablation, one head at a time. {record.readout}".strip(),
        f"SHA-256 of the weights: {made.weights_sha256[:12]}. Study {record.id[:12]}. "
        f"Made with Attention Atlas {version}".strip()
        + ".",
    )
    return lines


def sidecar(record: Importance) -> dict[str, Any]:
    """Everything about a study in plain values."""
    return {
        "study": record.id,
        "model": record.model_label,
        "caution": record.caution,
        "ablation": record.ablation,
        "complete": record.complete,
        "images": [image.name for image in record.images],
        "skipped": [list(one) for one in record.skipped],
        "readout": record.readout,
        "metrics": {
            name: {"definition": HEAD_METRICS[name].definition, "source": HEAD_METRICS[name].source}
            for name in record.metrics
        },
        "provenance": json.loads(provenance_json(record.provenance)),
    }
