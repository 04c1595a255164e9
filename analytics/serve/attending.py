"""Handlers of the Attention view: every head beside a probe in plain values, and as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.metrics.head_link import LINK_MEASURES
from analytics.serve.attending_export import DEFAULT, LINK_TITLES, export_link
from analytics.serve.attending_work import HeldLink
from analytics.serve.guard import Problem
from analytics.serve.lens import signed_id
from analytics.serve.replies import attachment, values

if TYPE_CHECKING:
    from analytics.serve.state import Services

SKIPPED_SHOWN = 5
DIGITS = 5


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/attending/{token}: every measure of every head, with what belongs to it."""
    return values(metadata(here, held(here, request)))


def export(here: Services, request: Request) -> Response:
    """GET /atlas/attending/{token}/export/{kind}?measure=: as a figure, a table or JSON."""
    found, measure = held(here, request), request.query_params.get("measure") or DEFAULT
    return attachment(*export_link(found, measure, request.path_params["kind"]))


def held(here: Services, request: Request) -> HeldLink:
    """The result that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for what is not held.
    """
    found = here.views.get(signed_id(here, request))
    if not isinstance(found, HeldLink):
        raise Problem(410, "these heads are no longer held by the server; compute them again")
    return found


def metadata(here: Services, found: HeldLink) -> dict[str, Any]:
    """A result in plain values."""
    link = found.link
    return {
        "id": found.id,
        "scope": found.scope,
        "about": found.about,
        "model": link.model_label,
        "caution": link.caution,
        "row": link.row,
        "fitted_on": link.fitted_on,
        "known": link.known,
        "heads": list(link.heads),
        "images": len(link.images),
        "pairs": link.pairs,
        "chance": link.chance.tolist(),
        "measures": [_measure(found, place) for place in range(len(LINK_MEASURES))],
        "skipped": [f"{name}: {why}" for name, why in link.skipped[:SKIPPED_SHOWN]],
        "notes": list(link.notes),
        "urls": {"export": f"/atlas/attending/{here.signer.sign(found.id)}/export"},
    }


def _measure(found: HeldLink, place: int) -> dict[str, Any]:
    """Title, definition and numbers of one measure: value, low and high each."""
    link, name = found.link, LINK_MEASURES[place]
    title = LINK_TITLES[name]
    chance = float(link.chance[0]) if name == "top_share" else title.chance
    return {
        "name": name,
        "title": title.title,
        "axis": title.axis,
        "definition": title.definition,
        "source": title.source,
        "signed": title.signed,
        "chance": chance,
        "heads": _rounded(link.values[place]),  # layer, head, 3
        "mean": _rounded(link.mean[place]),  # layer, 3
        "probe": _rounded(link.probe[place]),  # layer, 3
    }


def _rounded(table: np.ndarray) -> Any:
    return np.round(table.astype(np.float64), DIGITS).tolist()
