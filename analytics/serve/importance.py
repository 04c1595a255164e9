"""Handlers of a study of head importance: description, tables, one head in detail, exports."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.jobs.queue import Job
from analytics.metrics.catalogue import HEAD_METRICS
from analytics.metrics.ranking import bootstrap_interval, overlap_between_classes, rank_agreement
from analytics.serve.guard import Problem
from analytics.serve.importance_export import LEVEL, export_importance
from analytics.serve.importance_work import QUICK, held_importance
from analytics.serve.lens import signed_id
from analytics.serve.replies import attachment, finite, numbers
from analytics.serve.replies import values as plain_values
from analytics.studies.importance_tables import mean_importance

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.importance_record import Importance

MOST_IMPORTANT = 10
PATIENCE = 60.0
"""Seconds to wait for one head's details: a model may have to be loaded first."""


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/importance/{token}: what the component must know of a study."""
    record = held(here, request)
    return plain_values(metadata(here, record))


def values(here: Services, request: Request) -> Response:
    """GET .../values: float32, metrics x images x heads; NaN where nothing was measured."""
    record = held(here, request)
    return numbers(np.ascontiguousarray(record.values, "<f4").tobytes())


def probabilities(here: Services, request: Request) -> Response:
    """GET .../probabilities: float32, images x heads: the class's probability without a head."""
    record = held(here, request)
    if record.probabilities is None:
        raise Problem(404, "this study has no class probabilities; fit a read-out")
    return numbers(np.ascontiguousarray(record.probabilities, "<f4").tobytes())


def head(here: Services, request: Request) -> Response:
    """GET .../head?layer=&head=&image=: the six modes of partial pruning on one picture."""
    record = held(here, request)
    numbers = {name: _whole(request, name) for name in ("layer", "head", "image")}
    record.column(numbers["layer"], numbers["head"])
    if numbers["image"] >= len(record.images):
        raise ValueError(f"expected an image from 0 to {len(record.images) - 1}")
    params = {"result": record.id, **numbers}
    key = f"partial-{record.id[:24]}-{len(record.images)}-{'-'.join(map(str, numbers.values()))}"
    job: Job | None = here.jobs.get(key)
    if job is None or job.state != "done":
        here.jobs.submit("partial", params, key, here.settings.device)
        job = here.jobs.wait(key, PATIENCE)
    if job is None or job.alive:
        raise Problem(503, "the model is busy with other pictures; try again in a moment")
    if job.state != "done":
        raise ValueError(job.error or "stopped before it was done; try again")
    return plain_values(job.result)


def export(here: Services, request: Request) -> Response:
    """GET .../export/{kind}?metric=: the study as a figure or as a table."""
    record = held(here, request)
    metric = request.query_params.get("metric") or record.metrics[0]
    name, mimetype, data = export_importance(record, metric, request.path_params["kind"])
    return attachment(name, mimetype, data)


def held(here: Services, request: Request) -> Importance:
    """The study that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for a study that is not kept.
    """
    key = signed_id(here, request)
    record = held_importance(here, key) if key.isalnum() else None
    if record is None or not record.images:
        raise Problem(410, "this study is no longer kept by the server; measure again")
    return record


def metadata(here: Services, record: Importance) -> dict[str, Any]:
    """A study in plain values; the tables themselves travel apart."""
    address = f"/atlas/importance/{here.signer.sign(record.id)}"
    made = record.provenance
    curves = here.jobs.get(f"curves-{record.id}")
    skipped = [f"{name}: {reason}" for name, reason in record.skipped]
    return {
        "id": record.id,
        "model": record.model_label,
        "caution": record.caution,
        "notes": [*made.notes, *skipped[:5], *_more(skipped, 5)],
        "ablation": record.ablation,
        "preview": set(record.metrics) <= set(QUICK),
        "images_done": len(record.images),
        "images_wanted": record.images_wanted - len(record.skipped),
        "complete": record.complete,
        "layers": [{"label": f"L{i}", "heads": n} for i, n in enumerate(record.num_heads)],
        "heads": [list(pair) for pair in record.heads],
        "metrics": [_metric(name) for name in record.metrics],
        "summary": {name: _summary(record, name) for name in record.metrics},
        "level": LEVEL,
        "images": [_image(here, one) for one in record.images],
        "agreement": _agreement(record),
        "curves": _curves(here, record),
        "curves_job": curves.state if curves else None,
        "overlap": _overlap(record),
        "readout": {"summary": record.readout, "classes": list(record.classes)}
        if record.readout
        else None,
        "urls": {
            "values": f"{address}/values?n={len(record.images)}",
            "probabilities": f"{address}/probabilities?n={len(record.images)}"
            if _has_probabilities(record)
            else None,
            "head": f"{address}/head",
            "export": f"{address}/export",
        },
    }


def _has_probabilities(record: Importance) -> bool:
    """Whether a class's probability was measured without any head: a preview takes none out."""
    return record.probabilities is not None and bool(np.isfinite(record.probabilities).any())


def _more(lines: list[str], shown: int) -> list[str]:
    return [f"{len(lines) - shown} more pictures left out"] if len(lines) > shown else []


def _metric(name: str) -> dict[str, Any]:
    found = {key: value for key, value in asdict(HEAD_METRICS[name]).items() if key != "needs"}
    return found


def _summary(record: Importance, name: str) -> dict[str, list[float | None]]:
    interval = bootstrap_interval(record.table(name), LEVEL)
    return {part: finite(getattr(interval, part)) for part in ("mean", "low", "high")}


def _image(here: Services, image: Any) -> dict[str, Any]:
    stored = f"/atlas/picture/{here.signer.sign(image.sha256)}?side=96"
    return {**asdict(image), "src": stored}


def _agreement(record: Importance) -> dict[str, Any] | None:
    if len(record.metrics) < 2:
        return None
    found = rank_agreement(np.stack([mean_importance(record, name) for name in record.metrics]))
    return {"metrics": list(record.metrics), "spearman": [finite(row) for row in found]}


def _curves(here: Services, record: Importance) -> dict[str, Any] | None:
    from analytics.studies.curves import picture_words

    kept = here.importance.attached(record.id, "curves")
    if kept is None or kept["measured"] != len(record.images):  # those of a part of the study
        return None
    random = np.asarray(kept["random"])
    words = picture_words(kept["num_images"], kept.get("num_measured", kept["num_images"]))
    return {
        "quality": f"{kept['quality']}, {words}",
        "removed": kept["removed"],
        "total": len(record.heads),
        "metrics": kept["metrics"],
        "random": {
            "mean": random.mean(0).tolist(),
            "low": random.min(0).tolist(),
            "high": random.max(0).tolist(),
        },
    }


def _overlap(record: Importance) -> dict[str, Any] | None:
    """How many of their most important heads the classes share, by the first metric."""
    labels = [image.label for image in record.images]
    if None in labels or len(set(labels)) < 2:
        return None
    name = "js_divergence" if "js_divergence" in record.metrics else record.metrics[0]
    k = min(MOST_IMPORTANT, len(record.heads))
    classes, matrix, chance = overlap_between_classes(record.table(name), np.array(labels), k)
    return {
        "classes": [str(one) for one in classes],
        "k": k,
        "matrix": matrix.tolist(),
        "chance": chance,
        "metric": name,
    }


def _whole(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise ValueError(f"expected a whole number for {name}; got {text!r}")
    return int(text)
