"""Handlers of a computed record: its description, attention rows, norms, PCA, exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from analytics.serve.export import export_lens
from analytics.serve.guard import Problem
from analytics.serve.replies import attachment, numbers, picture_values
from analytics.types import Direction
from analytics.views.maps import LensView, parse_heads

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.attend import LayerAttention, LensRecord

IMMUTABLE = "private, max-age=31536000, immutable"
"""The id names the content, so what it stands for never changes; private as it is signed."""

MAX_ROWS = 64
"""Rows in one answer: enough to fill a small grid fast, few enough to leave others a turn."""


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/lens/{token}: what the browser component must know of a record."""
    record = held(here, request)
    return JSONResponse(metadata(here, record), headers={"Cache-Control": IMMUTABLE})


def row(here: Services, request: Request) -> Response:
    """GET .../row?q=&direction=: one query in every head, float16, layers one after another."""
    record = held(here, request)
    token = request.query_params.get("q", "")
    return binary(_half_precision(record, [token], direction_of(request)))


def rows(here: Services, request: Request) -> Response:
    """GET .../rows?first=&count=&direction=: rows of tokens of the base layout in order.

    What `row` gives for each token, prefix tokens first, one after another: many small
    answers cost the server and the browser more than a large one. At most MAX_ROWS at once.
    """
    record = held(here, request)
    names = record.base_layout.names
    first = _number(int, request.query_params.get("first", "0"), "first")
    count = _number(int, request.query_params.get("count", "1"), "count")
    if not (0 <= first < len(names) and 1 <= count <= MAX_ROWS):
        raise ValueError(
            f"expected first from 0 to {len(names) - 1} and count from 1 to {MAX_ROWS}; "
            f"got first {first} and count {count}"
        )
    return binary(_half_precision(record, names[first : first + count], direction_of(request)))


def _half_precision(record: LensRecord, tokens: Sequence[str], direction: Direction) -> bytes:
    """The rows of some tokens as float16, little-endian, one token after another."""
    parts = [one.ravel() for token in tokens for one in record.rows(token, direction)]
    return np.concatenate(parts, dtype="<f2", casting="same_kind").tobytes()


def norms(here: Services, request: Request) -> Response:
    """GET .../norms: norm of every token after each layer, float32."""
    found = _given(held(here, request).token_norms)
    return binary(b"".join(np.ascontiguousarray(one, "<f4").tobytes() for one in found))


def pca(here: Services, request: Request) -> Response:
    """GET .../pca: colours of the patches after each layer, uint8 RGB."""
    found = _given(held(here, request).pca)
    return binary(b"".join(np.ascontiguousarray(one, np.uint8).tobytes() for one in found))


def export(here: Services, request: Request) -> Response:
    """GET .../export/{kind}: the view that the query describes, as a download."""
    record = held(here, request)
    name, mimetype, data = export_lens(record, view_of(request), request.path_params["kind"])
    return attachment(name, mimetype, data, IMMUTABLE)


def _given(arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The arrays, where the record has them.

    Raises:
        Problem: 404 for a model family that does not give its tokens after each layer.
    """
    if not arrays:
        raise Problem(404, "this model does not give its tokens after each layer")
    return arrays


def held(here: Services, request: Request) -> LensRecord:
    """The record that a signed token in the path names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for a record that is not held.
    """
    record = here.records.get(signed_id(here, request))
    if record is None:
        raise Problem(410, "this result is no longer held by the server; compute it again")
    return record


def signed_id(here: Services, request: Request) -> str:
    """The id inside the token of the path.

    Raises:
        Problem: 404 where the signature is not ours.
    """
    identifier = here.signer.open(request.path_params["token"])
    if identifier is None:
        raise Problem(404, "nothing is known under this address; open the page again")
    return identifier


def binary(data: bytes) -> Response:
    """Numbers as they are, under an address that always means the same."""
    return numbers(data, IMMUTABLE)


def direction_of(request: Request) -> Direction:
    """`direction` of the query, `to` where it is left out.

    Raises:
        ValueError: another word.
    """
    word = request.query_params.get("direction", "to")
    if word == "to":
        return "to"
    if word == "from":
        return "from"
    raise ValueError(f"expected a direction out of to, from; got {word!r}")


def view_of(request: Request) -> LensView:
    """The view that a query describes; what it leaves out is as in `LensView`.

    Raises:
        ValueError: a field that is no number or none of the choices.
    """
    query, plain = request.query_params, LensView()
    layer = _number(int, query.get("layer", plain.layer), "layer")
    return LensView(
        token=query.get("q", plain.token),
        direction=direction_of(request),
        layer=layer,
        head=_number(int, query.get("head", plain.head), "head"),
        heads=parse_heads(query.get("heads", ""), layer),
        scale=query.get("scale", plain.scale),  # type: ignore[arg-type]  # LensView checks it
        cmap=query.get("cmap", plain.cmap),
        opacity=_number(float, query.get("opacity", plain.opacity), "opacity"),
    )


def _number(kind: Any, text: Any, name: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"expected a number for {name}; got {text!r}") from None


def metadata(here: Services, record: LensRecord) -> dict[str, Any]:
    """A record in plain values: layers and their tokens, picture, placement, addresses."""
    place, base = record.placement, record.base_layout
    token = here.signer.sign(record.id)
    address = f"/atlas/lens/{token}"
    picture = here.signer.sign(record.picture.sha256)
    return {
        "id": record.id,
        "layers": [_layer(layer) for layer in record.layers],
        "prefix": list(base.prefix),
        "rows": base.grid.rows,
        "columns": base.grid.columns,
        **picture_values(record.picture, place),
        "input": {"height": place.height, "width": place.width, "fit": place.fit},
        "model": record.model_label,
        "weights": record.provenance.weights_sha256,
        "caution": record.caution,
        "notes": [*record.picture.notes, *record.provenance.notes],
        "tokens": bool(record.token_norms),
        "off": None if record.off is None else asdict(record.off),
        "urls": {
            "base": address,
            "row": f"{address}/row",
            "norms": f"{address}/norms",
            "pca": f"{address}/pca",
            "export": f"{address}/export",
            "picture": f"/atlas/picture/{picture}",
        },
    }


def _layer(layer: LayerAttention) -> dict[str, Any]:
    keys, queries = layer.key_layout, layer.query_layout
    return {
        "label": layer.label,
        "name": layer.name,
        "heads": layer.num_heads,
        "visible": layer.visible_keys,
        "prefix": list(keys.prefix),
        "rows": keys.grid.rows,
        "columns": keys.grid.columns,
        "queryPrefix": list(queries.prefix),
        "queryRows": queries.grid.rows,
        "queryColumns": queries.grid.columns,
        "notes": list(layer.notes),
    }
