"""Every address below /atlas/ and who answers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import metadata

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from analytics.serve import (
    annotated,
    attending,
    binding,
    finding,
    flow,
    importance,
    lens,
    marks,
    patterns,
    pictures,
    profile,
    pruned,
    removing,
    subspace,
    twins,
)
from analytics.serve.guard import Handler, Problem, guarded
from analytics.serve.state import Services, services

_EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_READ = ("GET", "HEAD")


def routes(get: Callable[[], Services] = services) -> list[Route]:
    """The routes, to be given to the app.

    Args:
        get: gives the services at each request; tests pass their own.
    """
    record, study = "/atlas/lens/{token}", "/atlas/importance/{token}"
    strength, atlas = "/atlas/profile/{token}", "/atlas/patterns/{token}"
    return [
        _route("/atlas/health", get, health),
        _route(record, get, lens.describe),
        _route(f"{record}/row", get, lens.row),
        _route(f"{record}/rows", get, lens.rows),
        _route(f"{record}/norms", get, lens.norms),
        _route(f"{record}/pca", get, lens.pca),
        _route(f"{record}/export/{{kind}}", get, lens.export),
        _route(study, get, importance.describe),
        _route(f"{study}/values", get, importance.values),
        _route(f"{study}/probabilities", get, importance.probabilities),
        _route(f"{study}/head", get, importance.head),
        _route(f"{study}/export/{{kind}}", get, importance.export),
        _route(strength, get, profile.describe),
        _route(f"{strength}/tables", get, profile.tables),
        _route(f"{strength}/offset", get, profile.offset),
        _route(f"{strength}/export/{{kind}}", get, profile.export),
        _route(atlas, get, patterns.describe),
        _route(f"{atlas}/points", get, patterns.points),
        _route(f"{atlas}/decoded", get, patterns.decoded),
        _route(f"{atlas}/map", get, patterns.maps),
        _route(f"{atlas}/training", get, patterns.training),
        _route(f"{atlas}/drawn", get, patterns.drawn),
        _route(f"{atlas}/export/{{kind}}", get, patterns.export),
        _route("/atlas/flow/{token}", get, flow.describe),
        _route("/atlas/flow/{token}/maps", get, flow.maps),
        _route("/atlas/flow/{token}/export/{kind}", get, flow.export),
        _route("/atlas/binding/{token}", get, binding.describe),
        _route("/atlas/binding/{token}/export/{kind}", get, binding.export),
        _route("/atlas/bound/{token}", get, binding.describe_bound),
        _route("/atlas/bound/{token}/reads", get, binding.reads),
        _route("/atlas/bound/{token}/mask", get, binding.mask),
        _route("/atlas/bound/{token}/export/{kind}", get, binding.export_map),
        _route("/atlas/annotated/{token}", get, annotated.describe),
        _route("/atlas/annotated/{token}/picture/{number}", get, annotated.picture),
        _route("/atlas/annotated/{token}/tile/{number}", get, annotated.tile),
        _route("/atlas/annotated/{token}/export/{kind}", get, annotated.export),
        _route("/atlas/attending/{token}", get, attending.describe),
        _route("/atlas/attending/{token}/export/{kind}", get, attending.export),
        _route("/atlas/finding/{token}", get, finding.describe),
        _route("/atlas/finding/{token}/masks", get, finding.masks),
        _route("/atlas/finding/{token}/mask", get, finding.mask),
        _route("/atlas/finding/{token}/export/{kind}", get, finding.export),
        _route("/atlas/finding-scenes/{token}", get, finding.describe_scenes),
        _route("/atlas/finding-scenes/{token}/export/{kind}", get, finding.export_means),
        _route("/atlas/subspace/{token}", get, subspace.describe),
        _route("/atlas/subspace/{token}/places", get, subspace.places),
        _route("/atlas/subspace/{token}/mask", get, subspace.mask),
        _route("/atlas/subspace/{token}/export/{kind}", get, subspace.export),
        _route("/atlas/ablation/{token}", get, removing.describe),
        _route("/atlas/ablation/{token}/export/{kind}", get, removing.export),
        _route("/atlas/edited/{token}", get, removing.describe_edited),
        _route("/atlas/edited/{token}/export/{kind}", get, removing.export_maps),
        _route("/atlas/twins/{token}", get, twins.describe),
        _route("/atlas/twins/{token}/part/{name}", get, twins.part),
        _route("/atlas/twins/{token}/export/{kind}", get, twins.export),
        _route("/atlas/pruned/{token}", get, pruned.download),
        _route("/atlas/picture/{token}", get, pictures.show),
        _route("/atlas/marks/{token}", get, marks.put, ("PUT",)),
        _route("/atlas/marked/{token}", get, marks.download),
        _route("/atlas/marked/{token}/labels", get, marks.labels),
        _route("/atlas/upload", get, pictures.upload, ("PUT",)),
        _route("/atlas/{rest:path}", get, unknown, _EVERY_METHOD),
    ]


def _route(
    path: str, get: Callable[[], Services], handle: Handler, methods: tuple[str, ...] = _READ
) -> Route:
    # The route takes every method, because the guard answers in JSON and the router does not.
    return Route(path, guarded(get, handle, methods), methods=list(_EVERY_METHOD))


def health(here: Services, request: Request) -> Response:
    """GET /atlas/health: whether the server works, what it holds and what it does."""
    states = Counter(job.state for job in here.jobs.jobs())
    answer = {
        "status": "ok",
        "version": version(),
        "models": [model.label for model in here.models.held()],
        "records": {"count": len(here.records), "bytes": here.records.nbytes},
        "jobs": dict(states),
        "device": here.settings.device,
    }
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def unknown(here: Services, request: Request) -> Response:
    """Any other address below /atlas/."""
    raise Problem(404, "nothing is known under this address")


def version() -> str:
    """Version of the installed package; `0` where it runs without being installed."""
    try:
        return metadata.version("attention-atlas")
    except metadata.PackageNotFoundError:
        return "0"
