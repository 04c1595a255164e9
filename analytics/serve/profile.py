"""Handlers of a profile: description, tables, one head's offset map, exports."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from analytics.metrics.ranking import bootstrap_interval
from analytics.metrics.strength_catalogue import BLOCKS, RULES, STRENGTH_METRICS, TEMPLATES
from analytics.serve.guard import Problem
from analytics.serve.lens import signed_id
from analytics.serve.profile_export import LEVEL, Shown, export_profile
from analytics.serve.profile_work import held_profile
from analytics.serve.replies import attachment, finite, numbers
from analytics.serve.replies import values as plain_values
from analytics.studies.profile_tables import AGNOSTICISM, spread_of, units_of

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.profile_record import Profile, ProfiledLayer

SKIPPED_SHOWN = 5


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/profile/{token}: what the component must know of a profile."""
    record = held(here, request)
    return plain_values(metadata(here, record))


def tables(here: Services, request: Request) -> Response:
    """GET .../tables: float32, the parts that the description lists, one after the other."""
    parts = _parts(held(here, request))
    return numbers(b"".join(np.ascontiguousarray(one, "<f4").tobytes() for _, one in parts))


def offset(here: Services, request: Request) -> Response:
    """GET .../offset?layer=&head=: float32, 2 rows - 1 x 2 columns - 1; from query to key."""
    record = held(here, request)
    layer, head = (_whole(request, name) for name in ("layer", "head"))
    record.column(layer, head)
    if not record.layers[layer].grid.count:
        raise Problem(404, f"no patch asks in layer {layer}, so its heads have no offset map")
    return numbers(np.ascontiguousarray(record.offset_map[layer][head], "<f4").tobytes())


def export(here: Services, request: Request) -> Response:
    """GET .../export/{kind}?metric=&rule=&unit=&control=: as a figure, a table or arrays."""
    record, asked = held(here, request), request.query_params
    metric = asked.get("metric") or next(iter(STRENGTH_METRICS))
    shown = Shown(metric, asked.get("rule") or RULES[0], asked.get("unit") or units_of(metric)[0])
    control = _control(here, asked.get("control", ""))
    name, mimetype, data = export_profile(record, shown, request.path_params["kind"], control)
    return attachment(name, mimetype, data)


def _control(here: Services, token: str) -> Profile | None:
    """The profile with random weights that is drawn behind; None where it is not kept."""
    key = here.signer.open(token) if token else None
    return held_profile(here, key) if key and key.isalnum() else None


def held(here: Services, request: Request) -> Profile:
    """The profile that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for a profile that is not kept.
    """
    key = signed_id(here, request)
    record = held_profile(here, key) if key.isalnum() else None
    if record is None or not record.images:
        raise Problem(410, "this profile is no longer kept by the server; measure again")
    return record


def metadata(here: Services, record: Profile) -> dict[str, Any]:
    """A profile in plain values; the tables themselves travel apart."""
    address = f"/atlas/profile/{here.signer.sign(record.id)}"
    skipped = [f"{name}: {reason}" for name, reason in record.skipped]
    if len(skipped) > SKIPPED_SHOWN:
        more = f"and {len(skipped) - SKIPPED_SHOWN} more pictures"
        skipped = [*skipped[:SKIPPED_SHOWN], more]
    return {
        "id": record.id,
        "model": record.model_label,
        "caution": record.caution,
        "notes": [*record.provenance.notes, *_overflow(record), *skipped],
        "images_done": len(record.images),
        "images_wanted": record.images_wanted - len(record.skipped),
        "complete": record.complete,
        "layers": [_layer(one) for one in record.layers],
        "heads": [list(pair) for pair in record.heads],
        "metrics": [_metric(name) for name in (*STRENGTH_METRICS, AGNOSTICISM.name)],
        "rules": list(RULES),
        "templates": list(TEMPLATES),
        "blocks": list(BLOCKS),
        "summary": {name: _summary(record, name) for name in (*record.scalars, AGNOSTICISM.name)},
        "level": LEVEL,
        "images": [_image(here, one) for one in record.images],
        "tables": [{"name": name, "shape": list(one.shape)} for name, one in _parts(record)],
        "urls": {
            "tables": f"{address}/tables?n={len(record.images)}",
            "offset": f"{address}/offset",
            "export": f"{address}/export",
        },
    }


def _overflow(record: Profile) -> list[str]:
    """Which heads are not a number on some pictures; their means leave those pictures out."""
    heads = [f"L{layer} H{head}" for layer, head in record.overflowed]
    if not heads:
        return []
    more = f" and {len(heads) - SKIPPED_SHOWN} more" if len(heads) > SKIPPED_SHOWN else ""
    named = ", ".join(heads[:SKIPPED_SHOWN]) + more
    return [f"Not a number on some pictures (overflow in half precision?): {named}."]


def _parts(record: Profile) -> list[tuple[str, np.ndarray]]:
    """What the browser gets of every picture, in order; each images x heads x ..."""
    parts = list(record.scalars.items())
    for name in ("hop_strength", "hop_mass"):
        parts += [(f"{name}:{rule}", one) for rule, one in getattr(record, name).items()]
    parts.append(("block_mass", record.block_mass))
    return [*parts, ("template_score", record.template_score)]


def _metric(name: str) -> dict[str, Any]:
    known = STRENGTH_METRICS.get(name, AGNOSTICISM)
    return {**asdict(known), "units": list(units_of(name))}


def _layer(layer: ProfiledLayer) -> dict[str, Any]:
    return {
        "label": layer.label,
        "name": layer.name,
        "heads": layer.num_heads,
        "rows": layer.grid.rows,
        "columns": layer.grid.columns,
        "patch_px": finite(layer.patch_px),
        "windows": layer.num_windows,
        "same_grid": layer.key_grid == layer.grid,
        "uniform": finite([layer.uniform_distance])[0],
    }


def _summary(record: Profile, name: str) -> dict[str, list[float | None]]:
    """Mean, standard deviation, interval and number of pictures of every head."""
    found = spread_of(record, name)
    parts = {"mean": found.mean, "std": found.std, "n": found.count}
    if name in record.scalars:
        values = record.scalars[name].astype(np.float64)
        interval = bootstrap_interval(np.where(np.isfinite(values), values, np.nan), LEVEL)
        parts |= {"low": interval.low, "high": interval.high}
    return {part: finite(numbers) for part, numbers in parts.items()}


def _image(here: Services, image: Any) -> dict[str, Any]:
    stored = f"/atlas/picture/{here.signer.sign(image.sha256)}?side=96"
    return {**asdict(image), "src": stored}


def _whole(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise ValueError(f"expected a whole number for {name}; got {text!r}")
    return int(text)
