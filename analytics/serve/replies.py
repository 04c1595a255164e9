"""What handlers answer with: downloads, numbers, and JSON that every browser reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from analytics.types import Picture, Placement

NO_STORE = "no-store"


def attachment(name: str, mimetype: str, data: bytes, caching: str = NO_STORE) -> Response:
    """A file to be saved under a name."""
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Encoding": "identity",
        "Cache-Control": caching,
    }
    return Response(data, media_type=mimetype, headers=headers)


def numbers(data: bytes, caching: str = NO_STORE) -> Response:
    """Arrays as they lie in memory, little-endian."""
    # Nothing compresses it: the browser can read it in place.
    headers = {"Content-Encoding": "identity", "Cache-Control": caching}
    return Response(data, media_type="application/octet-stream", headers=headers)


def values(plain: Any) -> Response:
    """Plain values that may change with the next request, strict JSON."""
    return JSONResponse(strict(plain), headers={"Cache-Control": NO_STORE})


def strict(value: Any) -> Any:
    """The same plain values with None for every number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: strict(one) for name, one in value.items()}
    return [strict(one) for one in value] if isinstance(value, list | tuple) else value


def finite(several: Iterable[float]) -> list[float | None]:
    """Numbers in a list, None for what is no number."""
    return [float(one) if math.isfinite(one) else None for one in several]


def picture_values(picture: Picture, place: Placement) -> dict[str, Any]:
    """A picture and where the model's input lies on it, in picture pixels."""
    return {
        "picture": {
            "name": picture.name,
            "width": picture.width,
            "height": picture.height,
            "sha256": picture.sha256,
        },
        "placement": {
            "top": place.top,
            "left": place.left,
            "height": place.height * place.scale_y,
            "width": place.width * place.scale_x,
        },
    }
