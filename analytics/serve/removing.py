"""Handlers of the ablation view: the sweep, one picture before and after, and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from analytics.serve.ablation_export import (
    DEFINITIONS,
    MEASURES,
    SUBSPACES,
    export_ablation,
    words_of,
)
from analytics.serve.ablation_work import held_ablation, held_edited
from analytics.serve.guard import Problem
from analytics.serve.lens import signed_id
from analytics.serve.removing_export import export_edited
from analytics.serve.replies import attachment, values
from analytics.studies.binding_ablation_record import ABLATION_MEASURES
from analytics.views.ablation import COLOURS

if TYPE_CHECKING:
    from analytics.serve.ablation_work import EditedPicture, HeldAblation
    from analytics.serve.state import Services


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/ablation/{token}: the sweep as far as it is measured.

    `wanted` is 0 as long as nothing is, while the job still runs.
    """
    key = signed_id(here, request)
    found, job = held_ablation(here, key), here.jobs.get(key)
    alive = job is not None and job.alive
    if found is None and not alive:
        raise Problem(410, "this sweep is no longer held by the server; measure it again")
    if found is None:
        return values({"done": 0, "wanted": 0, "alive": True})
    return values({**metadata(found, request.path_params["token"]), "alive": alive})


def export(here: Services, request: Request) -> Response:
    """GET /atlas/ablation/{token}/export/{kind}?measure=: a figure, a table or the record."""
    found = held_ablation(here, signed_id(here, request))
    if found is None:
        raise Problem(410, "this sweep is no longer held by the server; measure it again")
    measure = request.query_params.get("measure") or ABLATION_MEASURES[0]
    return attachment(*export_ablation(found.record, measure, request.path_params["kind"]))


def describe_edited(here: Services, request: Request) -> Response:
    """GET /atlas/edited/{token}: what was changed, and where the two maps are."""
    found = _edited(here, request)
    token = request.path_params["token"]
    return values(
        {
            "id": found.id,
            "point": found.point,
            "dimensions": found.dimensions,
            "edit": found.edit,
            "part": found.subspace,
            "amount": found.amount,
            "moved": found.moved,
            "bounds": [here.signer.sign(one.id) for one in (found.before, found.after)],
            "urls": {"export": f"/atlas/edited/{token}/export"},
        }
    )


def export_maps(here: Services, request: Request) -> Response:
    """GET /atlas/edited/{token}/export/{kind}?q=: both maps of a patch and their difference."""
    text = request.query_params.get("q") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise ValueError(f"expected the number of a patch for q, got {text[:20]!r}")
    found = _edited(here, request)
    return attachment(*export_edited(found, int(text), request.path_params["kind"]))


def _edited(here: Services, request: Request) -> EditedPicture:
    found = held_edited(here, signed_id(here, request))
    if found is None:
        raise Problem(410, "this picture is no longer held by the server; it is read again")
    return found


def metadata(found: HeldAblation, token: str) -> dict[str, Any]:
    """A sweep in plain values; a step that is not measured yet has none."""
    record = found.record
    return {
        "id": record.id,
        "model": record.model_label,
        "row": found.row,
        "fitted_on": found.fitted_on,
        "point": record.choices.point,
        "dimension": record.dimension,
        "images": len(record.images),
        "subspaces": [
            {"name": name, "title": SUBSPACES[name], "ink": COLOURS[name]}
            for name in record.subspaces
        ],
        "steps": [list(step) for step in record.steps],
        "measures": [
            {
                "name": name,
                "title": MEASURES[name],
                "definition": DEFINITIONS[name],
                "words": words_of(record, name),
            }
            for name in ABLATION_MEASURES
        ],
        "values": record.values.tolist(),
        "clean": record.clean.tolist(),
        "moved": record.moved.tolist(),
        "held": record.held.tolist(),
        "done": record.done,
        "wanted": record.moved.size,
        "complete": record.complete,
        "skipped": [list(one) for one in record.skipped],
        "notes": [record.caution, *record.notes] if record.caution else list(record.notes),
        "urls": {"export": f"/atlas/ablation/{token}/export"},
    }
