"""Handlers of the Subspace view: a layout in plain values, its places and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, signed_id
from analytics.serve.replies import attachment, numbers, picture_values, values
from analytics.serve.subspace_export import PART_TITLES, export_subspace
from analytics.serve.subspace_work import SubspaceLook
from analytics.views.subspace import NONE, TINTS, object_colours, patch_tints

if TYPE_CHECKING:
    from analytics.serve.state import Services

SHOWN_RANKS = 400
"""Eigenvalues that travel to the browser; files hold all."""


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/subspace/{token}: what the component must know of a layout."""
    return values(metadata(here, held(here, request)))


def places(here: Services, request: Request) -> Response:
    """GET /atlas/subspace/{token}/places: where patches lie, and their colours.

    float32 places (parts, points, patches, 3), then uint8 colours (tints, patches, 3).
    """
    found = held(here, request)
    parts = (found.layout.places.astype("<f4"), tints(found))
    return numbers(b"".join(np.ascontiguousarray(one).tobytes() for one in parts), IMMUTABLE)


def mask(here: Services, request: Request) -> Response:
    """GET /atlas/subspace/{token}/mask: int32, the instance of every pixel of the input."""
    found = held(here, request).layout.mask
    if found is None:
        raise Problem(404, "nobody has marked the objects of this picture")
    return numbers(np.ascontiguousarray(found, "<i4").tobytes(), IMMUTABLE)


def export(here: Services, request: Request) -> Response:
    """GET /atlas/subspace/{token}/export/{kind}?point=&part=&tint=: a figure, table or arrays."""
    found, asked = held(here, request), request.query_params
    point = asked.get("point") or str(found.layout.points[-1])
    if not (point.isascii() and point.isdecimal() and len(point) <= 3):
        raise ValueError(f"expected the number of a point, got {point[:20]!r}")
    part, tint = asked.get("part") or found.layout.parts[0], asked.get("tint") or "position"
    kind = request.path_params["kind"]
    return attachment(*export_subspace(found, kind, int(point), part, tint))


def held(here: Services, request: Request) -> SubspaceLook:
    """The layout that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for what is not held.
    """
    found = here.views.get(signed_id(here, request))
    if not isinstance(found, SubspaceLook):
        raise Problem(410, "this layout is no longer held by the server; compute it again")
    return found


def tints(found: SubspaceLook) -> np.ndarray:
    """Colours of patches in the order of `TINTS`, uint8 (tints, n, 3)."""
    one = found.layout
    return np.stack([patch_tints(tint, one.grid, one.objects, one.colours) for tint in TINTS])


def metadata(here: Services, found: SubspaceLook) -> dict[str, Any]:
    """A layout in plain values; places travel apart."""
    address = f"/atlas/subspace/{here.signer.sign(found.id)}"
    one = found.layout
    objects = one.objects
    return {
        "id": found.id,
        "model": found.model_label,
        "caution": found.caution,
        "row": found.row,
        "kind": one.kind,
        "fitted_on": found.fitted_on,
        "scene": found.scene,
        "points": list(one.points),
        "parts": [{"name": part, **PART_TITLES[part]} for part in one.parts],
        "tints": list(TINTS),
        "rows": one.grid.rows,
        "columns": one.grid.columns,
        "width": one.width,
        "turns": one.turns.tolist(),
        "explained": one.explained.tolist(),
        "separations": one.separations.tolist(),
        "held": one.held.tolist(),
        "directions": one.directions.tolist(),
        **_spectra(found),
        "notes": list(found.picture.notes),
        **picture_values(found.picture, one.placement),
        "input": [one.placement.height, one.placement.width],
        "objects": None if objects is None else objects.tolist(),
        "inks": {} if objects is None else object_colours(objects),
        "none": NONE,
        "urls": {
            "places": f"{address}/places",
            "mask": "" if one.mask is None else f"{address}/mask",
            "export": f"{address}/export",
            "picture": f"/atlas/picture/{here.signer.sign(found.picture.sha256)}?side=1600",
        },
    }


def _spectra(found: SubspaceLook) -> dict[str, Any]:
    one = found.layout
    return {
        "spectra": one.spectra[:, :SHOWN_RANKS].tolist(),
        "random": one.random[:, :SHOWN_RANKS].tolist(),
        "ranks": int(one.spectra.shape[1]),
        "dimensions": one.dimensions.tolist(),
        "random_dimensions": one.random_dimensions.tolist(),
    }
