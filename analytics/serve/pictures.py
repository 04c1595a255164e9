"""Handlers of pictures: uploads come in bounded, pictures go out upright and small."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, signed_id
from analytics.types import Picture

if TYPE_CHECKING:
    from analytics.serve.state import Services

MAX_SIDE = 2400
SMALL_PIXELS = 256 * 256
"""Pictures up to this size go out as PNG, without loss."""


def show(here: Services, request: Request) -> Response:
    """GET /atlas/picture/{token}?side=: the stored picture, its longer side at most `side`."""
    sha256 = signed_id(here, request)
    text = request.query_params.get("side", "1600")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_SIDE):
        raise ValueError(f"expected a side from 1 to {MAX_SIDE} pixels; got {text!r}")
    found = here.encoded.get((sha256, int(text)))
    if found is None:
        found = _encoded(here, sha256, int(text))
        here.encoded.put((sha256, int(text)), found, len(found[0]))
    return Response(found[0], media_type=found[1], headers={"Cache-Control": IMMUTABLE})


def _encoded(here: Services, sha256: str, side: int) -> tuple[bytes, str]:
    """Read, shrink and encode.

    Raises:
        Problem: 410 where the picture is not stored (any more).
    """
    with here.decoding:
        try:
            picture = here.pictures.get(sha256)
        except ValueError as error:
            raise Problem(410, str(error)) from None
        return encode(picture, side)


def encode(picture: Picture, side: int) -> tuple[bytes, str]:
    """A picture as PNG (small) or JPEG, and the media type.

    Args:
        picture: any.
        side: the longer side of the result at most, pixels; never enlarged.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture.pixels))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if image.width * image.height <= SMALL_PIXELS:
        image.save(buffer, "PNG")
        return buffer.getvalue(), "image/png"
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), "image/jpeg"


async def upload(here: Services, request: Request) -> Response:
    """PUT /atlas/upload?name=: check and store a picture; its hash is the answer.

    Raises:
        Problem: 413 for too many bytes, found before or while they come.
        ValueError: no picture that can be read.
    """
    data = await body_of(request, here.pictures.limits.max_bytes)
    name = request.query_params.get("name") or "picture"
    picture = await run_in_threadpool(_store, here, data, name)
    answer = {
        "sha256": picture.sha256,
        "name": picture.name,
        "width": picture.width,
        "height": picture.height,
        "notes": list(picture.notes),
    }
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _store(here: Services, data: bytes, name: str) -> Picture:
    with here.decoding:
        return here.pictures.put(data, name)


async def body_of(request: Request, most: int) -> bytes:
    """The request's body; reading stops as soon as there is too much of it.

    Raises:
        Problem: 413 for more than `most` bytes.
    """
    declared = request.headers.get("content-length", "0")
    too_large = Problem(413, f"expected at most {most / 2**20:g} MiB; send a smaller picture")
    if not declared.isdecimal() or int(declared) > most:
        raise too_large
    data = bytearray()
    async for part in request.stream():
        if len(data) + len(part) > most:
            raise too_large
        data += part
    return bytes(data)
