"""Handlers of the Discovery view: masks, scores over made scenes, and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.serve.finding_export import export_finding
from analytics.serve.finding_scenes import export_scenes
from analytics.serve.finding_work import HeldFinding
from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, signed_id
from analytics.serve.replies import attachment, numbers, picture_values, values
from analytics.studies.discovery_methods import MEASURES, METHODS, SOURCES
from analytics.studies.discovery_record import DiscoverySet
from analytics.views.finding import INKS, shade

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.discovery import FoundMasks

SHADES = 3


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/finding/{token}: methods with their scores, in plain values."""
    return values(metadata(here, held(here, request)))


def masks(here: Services, request: Request) -> Response:
    """GET /atlas/finding/{token}/masks: coherence float32 (n), then masks uint8 (masks, n)."""
    found = held(here, request).discovery
    every = np.concatenate([one.masks for one in found.found]).astype(np.uint8)
    coherence = np.ascontiguousarray(found.coherence, "<f4")
    return numbers(coherence.tobytes() + every.tobytes(), IMMUTABLE)


def mask(here: Services, request: Request) -> Response:
    """GET /atlas/finding/{token}/mask: int32, the instance of every pixel of the input."""
    found = held(here, request).mask
    if found is None:
        raise Problem(404, "nobody has marked the objects of this picture")
    return numbers(np.ascontiguousarray(found, "<i4").tobytes(), IMMUTABLE)


def export(here: Services, request: Request) -> Response:
    """GET /atlas/finding/{token}/export/{kind}?method=&mask=: a figure, masks, or a table."""
    asked = request.query_params
    method, number = asked.get("method") or "lost", asked.get("mask") or ""
    if number and not (number.isascii() and number.isdecimal() and len(number) <= 3):
        raise ValueError(f"expected the number of a mask, got {number[:20]!r}")
    kind, found = request.path_params["kind"], held(here, request)
    return attachment(*export_finding(found, kind, method, int(number) if number else None))


def describe_scenes(here: Services, request: Request) -> Response:
    """GET /atlas/finding-scenes/{token}: means with intervals by family and row."""
    return values(scenes_metadata(here, held_scenes(here, request), request.path_params["token"]))


def export_means(here: Services, request: Request) -> Response:
    """GET /atlas/finding-scenes/{token}/export/{kind}?measure=&family=: a figure or a table."""
    asked = request.query_params
    measure, family = asked.get("measure") or next(iter(MEASURES)), asked.get("family") or "all"
    found = held_scenes(here, request)
    return attachment(*export_scenes(found, request.path_params["kind"], measure, family))


def held(here: Services, request: Request) -> HeldFinding:
    """The masks that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for what is not held.
    """
    found = here.views.get(signed_id(here, request))
    if not isinstance(found, HeldFinding):
        raise Problem(410, "these masks are no longer held by the server; look for them again")
    return found


def held_scenes(here: Services, request: Request) -> DiscoverySet:
    """The scores over scenes that a signed token names; problems as in `held`."""
    found = here.views.get(signed_id(here, request))
    if not isinstance(found, DiscoverySet):
        raise Problem(410, "these scores are no longer held by the server; measure them again")
    return found


def measures() -> list[dict[str, Any]]:
    """Scores in plain values."""
    return [{"name": name, "title": one[0], "definition": one[1]} for name, one in MEASURES.items()]


def metadata(here: Services, found: HeldFinding) -> dict[str, Any]:
    """Masks in plain values; their patches travel apart."""
    address = f"/atlas/finding/{here.signer.sign(found.id)}"
    one = found.discovery
    chosen = one.choices
    return {
        "id": found.id,
        "model": found.model_label,
        "caution": found.caution,
        "notes": list(found.picture.notes),
        "row": found.row,
        "fitted_on": found.fitted_on,
        "scene": found.scene,
        "features": chosen.features,
        "sources": {name: {"title": a, "definition": b} for name, (a, b) in SOURCES.items()},
        "point": chosen.point,
        "points": one.layers + 1,
        "groups": chosen.groups,
        "rows": one.grid.rows,
        "columns": one.grid.columns,
        "unscored": one.unscored,
        "objects": None if one.objects is None else one.objects.reshape(-1).tolist(),
        "methods": [_method(each) for each in one.found],
        "measures": measures(),
        **picture_values(found.picture, found.placement),
        "input": [found.placement.height, found.placement.width],
        "urls": {
            "masks": f"{address}/masks",
            "mask": "" if found.mask is None else f"{address}/mask",
            "export": f"{address}/export",
            "picture": f"/atlas/picture/{here.signer.sign(found.picture.sha256)}?side=1600",
        },
    }


def _method(found: FoundMasks) -> dict[str, Any]:
    known = METHODS[found.method]
    return {
        "name": found.method,
        "title": known.title,
        "kind": known.kind,
        "definition": known.definition,
        "reference": known.reference,
        "ink": INKS[found.method],
        "shades": [list(shade(INKS[found.method], k + 1)) for k in range(SHADES)],
        "apart": known.apart,
        "count": len(found.masks),
        "best": found.best,
        "ious": found.ious.tolist(),
        "scores": dict(found.scores),
        "absent": found.absent,
        "note": found.note,
    }


def scenes_metadata(here: Services, found: DiscoverySet, token: str) -> dict[str, Any]:
    """Means over scenes in plain values; `ends` is [family][row][measure] of four numbers."""
    return {
        "id": found.id,
        "features": found.features,
        "point": found.point,
        "groups": found.groups,
        "probe": found.probe,
        "done": found.done,
        "wanted": found.wanted,
        "families": list(found.family_names),
        "rows": [
            {
                "name": row.name,
                "title": row.title,
                "method": row.method,
                "kind": row.kind,
                "ink": INKS[row.method],
                "absent": found.absent.get(row.name, ""),
            }
            for row in found.rows
        ],
        "measures": measures(),
        "ends": found.means().tolist(),
        "urls": {"export": f"/atlas/finding-scenes/{token}/export"},
    }
