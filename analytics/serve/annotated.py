"""Handlers of the Data view: what a gallery holds, its pictures and masks, exports."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from analytics.serve.annotated_export import export_annotated
from analytics.serve.annotated_images import PURITIES, ShownImage
from analytics.serve.annotated_work import SurveyedData
from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, signed_id
from analytics.serve.replies import attachment, values

if TYPE_CHECKING:
    from analytics.serve.state import Services


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/annotated/{token}: pictures, counts at every purity, what was left out."""
    return values(metadata(here, held(here, request)))


def picture(here: Services, request: Request) -> Response:
    """GET /atlas/annotated/{token}/picture/{number}: a picture as the model's input takes it."""
    found = _image(here, request)
    return Response(found.picture, media_type="image/jpeg", headers={"Cache-Control": IMMUTABLE})


def tile(here: Services, request: Request) -> Response:
    """GET /atlas/annotated/{token}/tile/{number}: instances, mask and patches of a picture.

    `mask` is base64 of uint16 little-endian (shown[0], shown[1]), see `ShownImage`.
    """
    found = _image(here, request)
    return values(
        {
            "ids": list(found.ids),
            "classes": list(found.classes),
            "pixels": list(found.pixels),
            "shown": list(found.shown),
            "mask": base64.b64encode(zlib.decompress(found.mask)).decode(),
            "most": found.most.ravel().tolist(),
            "shares": found.shares.ravel().tolist(),
        }
    )


def export(here: Services, request: Request) -> Response:
    """GET /atlas/annotated/{token}/export/{kind}?purity=&background=&first=&count=: a file."""
    asked = request.query_params
    return attachment(
        *export_annotated(
            held(here, request),
            request.path_params["kind"],
            _purity(asked.get("purity", "0.6")),
            asked.get("background") == "1",
            (_number(asked.get("first", "0")), _number(asked.get("count", "12"))),
        )
    )


def _purity(text: str) -> float:
    known = {f"{one:g}": one for one in PURITIES}
    if text not in known:
        raise ValueError(f"expected a purity out of {', '.join(known)}; got {text[:20]!r}")
    return known[text]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise ValueError(f"expected a whole number from 0; got {text[:20]!r}")
    return int(text)


def held(here: Services, request: Request) -> SurveyedData:
    """The gallery that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for what is not held.
    """
    found = here.views.get(signed_id(here, request))
    if not isinstance(found, SurveyedData):
        raise Problem(410, "these pictures are no longer held by the server; read them again")
    return found


def _image(here: Services, request: Request) -> ShownImage:
    found, number = held(here, request), _number(request.path_params["number"])
    if number >= len(found.images):
        raise Problem(404, f"expected a picture from 0 to {len(found.images) - 1}; got {number}")
    return found.images[number]


def metadata(here: Services, found: SurveyedData) -> dict[str, Any]:
    """A gallery in plain values; pictures and masks travel apart."""
    address = f"/atlas/annotated/{here.signer.sign(found.id)}"
    images = [
        {
            "name": one.name,
            "family": one.family,
            "height": one.height,
            "width": one.width,
            "whole": one.whole,
            "notes": list(one.notes),
        }
        for one in found.images
    ]
    return {
        "id": found.id,
        "title": found.title,
        "kind": found.kind,
        "source": str(found.data.get("set", "scenes")),
        "notes": list(found.notes),
        "model": found.model_label,
        "rows": found.grid.rows,
        "columns": found.grid.columns,
        "input": list(found.input_size),
        "images": images,
        "skipped": [list(one) for one in found.skipped],
        "purities": list(PURITIES),
        "kept": found.kept.tolist(),
        "live": found.live.tolist(),
        "urls": {name: f"{address}/{name}" for name in ("picture", "tile", "export")},
    }
