"""Handlers of object binding: a result's curves and exports, a picture as a probe reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.metrics.binding import MEASURES
from analytics.serve.binding_export import (
    DEFAULT_MEASURE,
    MEASURE_TITLES,
    export_binding,
    export_bound,
)
from analytics.serve.binding_work import fitted_words, held_binding, set_name
from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, signed_id
from analytics.serve.replies import attachment, numbers, picture_values, values
from analytics.studies.binding_record import LINKS

if TYPE_CHECKING:
    from analytics.serve.binding_work import BoundPicture
    from analytics.serve.state import Services
    from analytics.studies.binding_record import Binding

SKIPPED_SHOWN = 5
HALF_LIMIT = 65000.0
"""Just below the largest number of half precision."""


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/binding/{token}: every row's curve of every measure, and what belongs to it."""
    return values(metadata(here, held(here, request)))


def export(here: Services, request: Request) -> Response:
    """GET /atlas/binding/{token}/export/{kind}?measure=: as a figure, a table or JSON."""
    measure = request.query_params.get("measure") or DEFAULT_MEASURE
    record, kind = held(here, request), request.path_params["kind"]
    return attachment(*export_binding(record, measure, kind))


def held(here: Services, request: Request) -> Binding:
    """The result that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for a result that is not kept.
    """
    key = signed_id(here, request)
    record = held_binding(here, key) if key.isalnum() else None
    if record is None:
        raise Problem(410, "these probes are no longer kept by the server; fit them again")
    return record


def metadata(here: Services, record: Binding) -> dict[str, Any]:
    """A result in plain values."""
    address = f"/atlas/binding/{here.signer.sign(record.id)}"
    skipped = [f"{name}: {reason}" for name, reason in record.skipped]
    if len(skipped) > SKIPPED_SHOWN:
        skipped = [*skipped[:SKIPPED_SHOWN], f"and {len(skipped) - SKIPPED_SHOWN} more pictures"]
    return {
        "id": record.id,
        "model": record.model_label,
        "caution": record.caution,
        "notes": [*record.notes, *skipped],
        "points": record.points,
        "seeds": list(record.seeds),
        "images": {part: _count(record, part) for part in ("train", "validation", "test")},
        "families": list(record.families),
        "scenes": any(record.families),
        "complete": record.complete,
        "done": record.done,
        "wanted": record.wanted,
        "fitted_on": fitted_words(record, set_name(here, record.id)),
        "measures": [{"name": name, **MEASURE_TITLES[name]} for name in MEASURES],
        "rows": [*(_row(record, row) for row in range(len(record.rows))), *_ready_rows(record)],
        "link": {name: record.link[name].tolist() for name in LINKS if name in record.link},
        "urls": {"export": f"{address}/export"},
    }


def _count(record: Binding, part: str) -> int:
    return sum(one.part == part for one in record.images)


def _row(record: Binding, row: int) -> dict[str, Any]:
    """A probe, control or baseline: the mean over seeds of each measure, with its interval."""
    name = record.rows[row]
    return {
        "name": name,
        "kind": record.kinds[row],
        "curves": {one: record.curve(name, one).tolist() for one in MEASURES},
        "spectra": record.spectra[row].tolist(),
        "dimensions": record.dimensions[row, :, 0].tolist(),
    }


def _ready_rows(record: Binding) -> list[dict[str, Any]]:
    """Shipped probes of the same model and size that the result has not, with their own curves."""
    from analytics.studies.binding_ready import ready_rows

    known = {name for name, kind in zip(record.rows, record.kinds, strict=True) if kind == "probe"}
    return [
        {"name": name, "kind": "probe", "curves": curves, "measured_on": images}
        for name, (curves, images) in ready_rows(record.provenance).items()
        if name not in known
    ]


def describe_bound(here: Services, request: Request) -> Response:
    """GET /atlas/bound/{token}: what the component must know of a picture and its probe."""
    return values(bound_metadata(here, held_bound(here, request)))


def reads(here: Services, request: Request) -> Response:
    """GET /atlas/bound/{token}/reads: the numbers of which every row is one product.

    float32 own (points, patches), float32 signs (points, k), float16 z (points, patches, k), one
    after the other. The signs are -1, 0 or 1: their size is taken into z.
    """
    same = held_bound(here, request).same
    z, signs = half_reads(same.z, same.signs)
    parts = (same.own.astype("<f4"), signs.astype("<f4"), z)
    return numbers(b"".join(np.ascontiguousarray(one).tobytes() for one in parts), IMMUTABLE)


def half_reads(z: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Z in half precision with the size of the signs in it, and the bare signs.

    Args:
        z: float32 (points, patches, k).
        signs: float32 (points, k).

    Known answer: z of 3 with a sign of -4 becomes 6 with a sign of -1; products stay.
    """
    scaled = z * np.sqrt(np.abs(signs))[:, None]
    return np.clip(scaled, -HALF_LIMIT, HALF_LIMIT).astype("<f2"), np.sign(signs)


def mask(here: Services, request: Request) -> Response:
    """GET /atlas/bound/{token}/mask: int32, the instance of every pixel of the model's input."""
    found = held_bound(here, request).mask
    if found is None:
        raise Problem(404, "nobody has marked the objects of this picture")
    return numbers(np.ascontiguousarray(found, "<i4").tobytes(), IMMUTABLE)


def export_map(here: Services, request: Request) -> Response:
    """GET /atlas/bound/{token}/export/{kind}?q=&point=: the map of a patch.

    A figure of one point, the last where none is named; NPZ or JSON of all.
    """
    found, query = held_bound(here, request), _number(request, "q", "a patch")
    point = _number(request, "point", "a point")
    return attachment(*export_bound(found, query or 0, request.path_params["kind"], point))


def _number(request: Request, name: str, words: str) -> int | None:
    text = request.query_params.get(name) or ""
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise ValueError(f"expected the number of {words} for {name}, got {text[:20]!r}")
    return int(text) if text else None


def held_bound(here: Services, request: Request) -> BoundPicture:
    """The picture and probe that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for what is not held.
    """
    found = here.bounds.get(signed_id(here, request))
    if found is None:
        raise Problem(410, "this picture's map is no longer held by the server; compute it again")
    return found


def bound_metadata(here: Services, found: BoundPicture) -> dict[str, Any]:
    """A picture and its probe in plain values; the numbers travel apart."""
    address = f"/atlas/bound/{here.signer.sign(found.id)}"
    picture, place, same = found.picture, found.placement, found.same
    return {
        "id": found.id,
        "model": found.model_label,
        "caution": found.caution,
        "row": found.row,
        "kind": same.kind,
        "fitted_on": found.fitted_on,
        "shipped": found.study == "shipped",
        "scene": found.scene,
        "points": list(same.points),
        "rows": same.grid.rows,
        "columns": same.grid.columns,
        "width": int(same.z.shape[2]),
        "bias": same.bias.tolist(),
        "notes": list(picture.notes),
        **picture_values(picture, place),
        "input": [place.height, place.width],
        "objects": None if found.objects is None else found.objects.reshape(-1).tolist(),
        "urls": {
            "reads": f"{address}/reads",
            "mask": "" if found.mask is None else f"{address}/mask",
            "export": f"{address}/export",
            "picture": f"/atlas/picture/{here.signer.sign(picture.sha256)}?side=1600",
        },
    }
