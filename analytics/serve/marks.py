"""Objects that somebody has marked on a picture: kept by content, drawn in the browser."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, signed_id
from analytics.serve.pictures import body_of
from analytics.serve.replies import attachment, numbers
from analytics.store.results import content_key

if TYPE_CHECKING:
    from analytics.serve.state import Services

KEEP = 500
"""Most masks on disk; those unused for longest leave first."""

MOST_OBJECTS = 65_535
DRAWN_SIDE = 1024
"""Longer side at which objects are drawn in the browser."""


@dataclass(frozen=True, eq=False)
class Marks:
    """The objects of a picture: int32 (height, width) of the picture, 0 for none."""

    picture: str
    instances: np.ndarray


def keep_marks(here: Services, picture: str, instances: np.ndarray) -> str:
    """Keep the objects of a picture and return their id.

    Args:
        here: the server's services.
        picture: SHA-256 of a stored picture.
        instances: whole numbers (height, width) of the picture, 0 for none.

    Raises:
        ValueError: no such picture, another size, nothing marked, or too many objects.
    """
    held = here.pictures.get(picture)
    if instances.shape != (held.height, held.width):
        high, wide = instances.shape[:2]
        raise ValueError(
            f"expected marks of {held.width:,} x {held.height:,} pixels as their picture "
            f"{held.name}, got {wide:,} x {high:,}; mark this picture, or export at its size"
        )
    if not (instances > 0).any():
        raise ValueError("expected at least one marked object, got none; draw one first")
    if int(instances.min()) < 0 or int(instances.max()) > MOST_OBJECTS:
        raise ValueError(
            f"expected objects numbered 1 to {MOST_OBJECTS:,}, got {int(instances.min())} to "
            f"{int(instances.max())}; number them from 1"
        )
    labels = np.ascontiguousarray(instances, "<u2")
    digest = hashlib.sha256(labels.tobytes()).hexdigest()
    key = content_key({"marks": 1, "picture": picture, "labels": digest})
    _write(_folder(here), key, picture, labels)
    return key


def find_marks(here: Services, key: str) -> Marks:
    """The objects under an id.

    Raises:
        ValueError: they are not kept here (any more).
    """
    from PIL import Image

    path = _folder(here) / f"{key}.png"
    if not key.isalnum() or not path.is_file():
        raise ValueError("these marks are no longer kept by the server; mark the objects again")
    os.utime(path)
    with Image.open(path) as image:
        picture = str(image.info.get("Picture", ""))
        return Marks(picture, np.asarray(image).astype(np.int32))


async def put(here: Services, request: Request) -> Response:
    """PUT /atlas/marks/{token}?width=&height=: one byte a pixel, as drawn; answers the id.

    The token names the picture; the drawing may be smaller and is enlarged without mixing.
    """
    picture = signed_id(here, request)
    width, height = (_side(request, name) for name in ("width", "height"))
    data = await body_of(request, DRAWN_SIDE**2)
    if len(data) != width * height:
        raise ValueError(
            f"expected {width} x {height} = {width * height:,} bytes, got {len(data):,}; "
            "reload the page and draw again"
        )
    drawn = np.frombuffer(data, np.uint8).reshape(height, width)
    key = await run_in_threadpool(_keep, here, picture, drawn)
    count = len(np.unique(drawn[drawn > 0]))
    answer = {"marks": key, "objects": count}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def labels(here: Services, request: Request) -> Response:
    """GET /atlas/marked/{token}/labels?width=&height=: one byte a pixel, for drawing on.

    Objects above the 255th are left out.
    """
    marks = _held(here, request)
    width, height = (_side(request, name) for name in ("width", "height"))
    drawn = enlarged(marks.instances, height, width)
    return numbers(np.where(drawn > 255, 0, drawn).astype(np.uint8).tobytes(), IMMUTABLE)


def download(here: Services, request: Request) -> Response:
    """GET /atlas/marked/{token}: the objects as a 16-bit PNG, each number one object."""
    key = signed_id(here, request)
    _held(here, request)
    data = (_folder(here) / f"{key}.png").read_bytes()
    return attachment("objects.png", "image/png", data)


def enlarged(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels (h, w) in another size, each pixel the label under its middle; none is mixed."""
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(int)
    return labels[rows[:, None], columns]


def _keep(here: Services, picture: str, drawn: np.ndarray) -> str:
    held = here.pictures.get(picture)
    return keep_marks(here, picture, enlarged(drawn.astype(np.int32), held.height, held.width))


def _held(here: Services, request: Request) -> Marks:
    try:
        return find_marks(here, signed_id(here, request))
    except ValueError as error:
        raise Problem(410, str(error)) from error


def _side(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= DRAWN_SIDE):
        raise ValueError(f"expected a {name} of 1 to {DRAWN_SIDE} pixels, got {text[:20]!r}")
    return int(text)


def _folder(here: Services) -> Path:
    folder = here.data_dir / "marks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _write(folder: Path, key: str, picture: str, labels: np.ndarray) -> None:
    """The whole file or none; those unused for longest leave."""
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("Picture", picture)
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "PNG", pnginfo=text)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        part.write(buffer.getvalue())
    Path(part.name).replace(folder / f"{key}.png")
    kept = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-KEEP]:
        path.unlink(missing_ok=True)
