"""Handlers of the view of identical copies: what was measured, the parts of the canvas, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, signed_id
from analytics.serve.replies import attachment, values
from analytics.serve.twins_export import (
    CHANCES,
    DIFFERENCES,
    exact_words,
    export_twins,
    png_bytes,
)
from analytics.serve.twins_work import held_twins

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.serve.twins_work import HeldTwins

PARTS = ("ground", "object")


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/twins/{token}: the layout as it was laid, the curves, and where the maps are."""
    return values(metadata(here, held(here, request)))


def part(here: Services, request: Request) -> Response:
    """GET /atlas/twins/{token}/part/{name}: the ground or the object as a PNG, unchanged."""
    canvas, name = held(here, request).canvas, request.path_params["name"]
    if name not in PARTS:
        raise Problem(404, f"expected a part out of {', '.join(PARTS)}; got {name[:20]!r}")
    pixels = canvas.ground
    if name == "object":
        alpha = np.where(canvas.sprite.inside, 255, 0).astype(np.uint8)
        pixels = np.dstack([canvas.sprite.pixels, alpha])
    return Response(png_bytes(pixels), media_type="image/png", headers={"Cache-Control": IMMUTABLE})


def export(here: Services, request: Request) -> Response:
    """GET /atlas/twins/{token}/export/{kind}?measure=: as a figure, picture, table or arrays."""
    measure = request.query_params.get("measure") or "differences"
    return attachment(*export_twins(held(here, request), measure, request.path_params["kind"]))


def held(here: Services, request: Request) -> HeldTwins:
    """The canvas that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for what is not held.
    """
    found = held_twins(here, signed_id(here, request))
    if found is None:
        raise Problem(410, "these copies are no longer held by the server; measure them again")
    return found


def metadata(here: Services, found: HeldTwins) -> dict[str, Any]:
    """A canvas and its curves in plain values; pictures and maps travel apart."""
    from analytics.studies.binding_copies import VARIANTS

    address = f"/atlas/twins/{here.signer.sign(found.id)}"
    laid, copies = found.canvas.layout, found.copies
    names = ("differences", "cosines", "largest", *CHANCES)
    return {
        "id": found.id,
        "asked": found.asked,
        "layout": {
            "object": laid.object,
            "share": laid.share,
            "ground": laid.ground,
            "seed": laid.seed,
            "snapped": laid.snapped,
            "side": laid.side,
            "places": [list(place) for place in laid.places],
        },
        "model": found.model_label,
        "caution": found.caution,
        "row": found.row,
        "fitted_on": found.fitted_on,
        "input": list(found.canvas.image.pixels.shape[:2]),
        "patch": list(found.patch),
        "rows": found.grid.rows,
        "columns": found.grid.columns,
        "box": list(found.canvas.sprite.shape),
        "points": found.points,
        "variants": list(VARIANTS),
        "curves": {one: getattr(copies, one).tolist() for one in names} if copies else None,
        "compared": copies.patches.tolist() if copies else [],
        "identical": copies.identical if copies else None,
        "aligned": copies.aligned if copies else None,
        "exact": list(exact_words(found)),
        "notes": list(found.notes),
        "measures": dict(DIFFERENCES),
        "chances": dict(CHANCES),
        "bounds": [here.signer.sign(one.id) for one in found.bounds],
        "urls": {
            "ground": f"{address}/part/ground",
            "object": f"{address}/part/object",
            "export": f"{address}/export",
        },
    }
