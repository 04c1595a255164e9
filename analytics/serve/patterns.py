"""Handlers of an atlas of heads: description, points, decoded patterns, one map, exports."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.serve.begun import find_result
from analytics.serve.guard import Problem
from analytics.serve.lens import signed_id
from analytics.serve.patterns_export import MIMETYPES, export_atlas
from analytics.serve.patterns_work import (
    find_maps,
    held_atlas,
    sketch,
    training_losses,
)
from analytics.serve.replies import attachment, numbers, values

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.patterns_record import Atlas

SKIPPED_SHOWN = 5


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/patterns/{token}: what the component must know of an atlas."""
    atlas = held(here, request)
    return values(metadata(here, atlas))


def points(here: Services, request: Request) -> Response:
    """GET .../points: n of each, one array after the other, little-endian.

    float32 x, y, error; int32 image; int16 model, layer, head, cluster; uint8 held out.
    """
    return numbers(points_bytes(held(here, request)))


def decoded(here: Services, request: Request) -> Response:
    """GET .../decoded: uint8, decoded patterns, their cls rows, nearness, mean map by cluster."""
    return numbers(decoded_bytes(held(here, request)))


def maps(here: Services, request: Request) -> Response:
    """GET .../map?row=: uint8, real map and cls row, reconstructed map and cls row of a point."""
    atlas = held(here, request)
    text = request.query_params.get("row", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise ValueError(f"expected a whole number for row; got {text!r}")
    row = int(text)
    if row >= atlas.count:
        raise ValueError(f"expected a row from 0 to {atlas.count - 1}; got {row}")
    found = find_maps(here, atlas, row)
    if found is None:
        raise Problem(410, "the maps of this atlas are no longer kept; compute it again")
    return numbers(b"".join(np.ascontiguousarray(one, np.uint8).tobytes() for one in found))


def training(here: Services, request: Request) -> Response:
    """GET .../training?of=: losses so far of what a job (a token of its key) is training."""
    key = _trained(here, request)
    found = training_losses(here, key) if key else None
    losses = found or {"train": [], "held_out": [], "epochs": 0}
    parts = {name: [_plain(one) for one in losses[name]] for name in ("train", "held_out")}
    return values({**parts, "epochs": losses["epochs"]})


def drawn(here: Services, request: Request) -> Response:
    """GET .../drawn?of=: uint8, 6 x 6 patterns of that coder as it stands, rows upwards."""
    key = _trained(here, request)
    found = sketch(here, key, held(here, request)) if key else None
    if found is None:
        raise Problem(404, "the first epoch has not ended yet")
    return numbers(np.ascontiguousarray(found).tobytes())


def _trained(here: Services, request: Request) -> str | None:
    """Key of the atlas that the job named in the query has begun; None where it has not yet."""
    job = here.signer.open(request.query_params.get("of", ""))
    if job is None:
        raise Problem(404, "nothing is known under this address; open the page again")
    return find_result(here, job)


def export(here: Services, request: Request) -> Response:
    """GET .../export/{kind}: the atlas as a figure, a table or arrays; the coder's weights."""
    name, mimetype, data = export_atlas(here, held(here, request), request.path_params["kind"])
    return attachment(name, mimetype, data)


def held(here: Services, request: Request) -> Atlas:
    """The atlas that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for an atlas that is not kept.
    """
    key = signed_id(here, request)
    atlas = held_atlas(here, key) if key.isalnum() else None
    if atlas is None or not atlas.count:
        raise Problem(410, "this atlas is no longer kept by the server; compute it again")
    return atlas


def points_bytes(atlas: Atlas) -> bytes:
    """All points, 25 bytes each; the order of the arrays is that of `points`."""
    columns = [
        *((one, "<f4") for one in (atlas.x, atlas.y, atlas.error)),
        (atlas.image, "<i4"),
        *((one, "<i2") for one in (atlas.model, atlas.layer, atlas.head, atlas.cluster)),
        (atlas.held_out, "u1"),
    ]
    return b"".join(np.ascontiguousarray(one, kind).tobytes() for one, kind in columns)


def decoded_bytes(atlas: Atlas) -> bytes:
    """Patterns on the grid, and the mean map of every cluster. Rows of the grid run upwards."""
    parts = (atlas.decoded, atlas.decoded_cls, atlas.decoded_near, atlas.cluster_maps)
    return b"".join(np.ascontiguousarray(one, np.uint8).tobytes() for one in parts)


def metadata(here: Services, atlas: Atlas) -> dict[str, Any]:
    """An atlas in plain values; its arrays travel apart."""
    address = f"/atlas/patterns/{here.signer.sign(atlas.id)}"
    notes = (*atlas.notes, *atlas.provenance.notes)
    stamp = f"n={atlas.count}&e={len(atlas.train_losses)}"
    return {
        "id": atlas.id,
        "models": [{"label": label} for label in atlas.model_labels],
        "caution": "",
        "notes": [_sentence(one) for one in (*dict.fromkeys(notes), *_skipped(atlas))],
        "count": atlas.count,
        "complete": atlas.complete,
        "progress": _progress(atlas),
        "images": [_image(here, one) for one in atlas.images],
        "heads": [list(one) for one in atlas.heads],
        "head_positions": _plain_rows(atlas.head_positions),
        "clusters": [
            {"name": name, "size": size}
            for name, size in zip(atlas.cluster_names, atlas.cluster_sizes, strict=True)
        ],
        "grid": {
            "rows": len(atlas.grid_y),
            "columns": len(atlas.grid_x),
            "x": atlas.grid_x.tolist(),
            "y": atlas.grid_y.tolist(),
            "side": atlas.side,
            "cls_side": atlas.cls_side,
        },
        "layout": atlas.layout,
        "fit": {
            "latent_size": atlas.latent_size,
            "r2_autoencoder": _plain(atlas.r2_autoencoder),
            "r2_pca": _plain(atlas.r2_pca),
            "better": atlas.better,
        },
        "training": {
            "train": [_plain(one) for one in atlas.train_losses],
            "held_out": [_plain(one) for one in atlas.held_out_losses],
            "epochs": atlas.epochs,
        },
        "pretrained": atlas.pretrained,
        "bytes": {"points": len(points_bytes(atlas)), "decoded": len(decoded_bytes(atlas))},
        "exports": list(MIMETYPES),
        "urls": {
            "points": f"{address}/points?{stamp}",
            "decoded": f"{address}/decoded?{stamp}",
            "map": f"{address}/map",
            "training": f"{address}/training",
            "drawn": f"{address}/drawn",
            "export": f"{address}/export",
        },
    }


def _progress(atlas: Atlas) -> dict[str, Any]:
    """How far an atlas is that is not complete: pictures first, then epochs."""
    wanted = atlas.images_wanted - len(atlas.skipped)
    if len(atlas.images) < wanted or atlas.pretrained:
        return {"done": len(atlas.images), "wanted": wanted, "unit": "images"}
    return {"done": len(atlas.train_losses), "wanted": atlas.epochs, "unit": "epochs"}


def _skipped(atlas: Atlas) -> list[str]:
    lines = [f"{name}: {reason}" for name, reason in atlas.skipped]
    more = len(lines) - SKIPPED_SHOWN
    return [*lines[:SKIPPED_SHOWN], *([f"and {more} more pictures"] if more > 0 else [])]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _image(here: Services, image: Any) -> dict[str, str]:
    source = f"/atlas/picture/{here.signer.sign(image.sha256)}?side=96"
    return {"name": image.name, "sha256": image.sha256, "src": source}


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain_rows(values: np.ndarray) -> list[list[float | None]]:
    return [[_plain(one) for one in row] for row in values]
