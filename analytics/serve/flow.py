"""Handlers of a flow: its description, its maps and tables, its exports."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from analytics.serve.flow_export import Shown, export_flow, raw_layer
from analytics.serve.guard import Problem
from analytics.serve.lens import IMMUTABLE, binary, signed_id
from analytics.serve.replies import attachment, finite, picture_values
from analytics.studies.flow_record import MAP_NAMES

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.flow_record import Flow, FlowMap, Redistribution, ShiftConsistency


def describe(here: Services, request: Request) -> Response:
    """GET /atlas/flow/{token}: what the component must know of a flow."""
    record = held(here, request)
    return JSONResponse(metadata(here, record), headers={"Cache-Control": IMMUTABLE})


def maps(here: Services, request: Request) -> Response:
    """GET .../maps: float32, the parts that the description lists, one after the other."""
    found = parts(held(here, request))
    return binary(b"".join(np.ascontiguousarray(one, "<f4").tobytes() for _, one in found))


def export(here: Services, request: Request) -> Response:
    """GET .../export/{kind}?scaling=&layer=&threshold=: as a figure, a table or arrays."""
    record, asked = held(here, request), request.query_params
    shown = Shown(
        asked.get("scaling") or "same",
        _number(asked.get("layer") or "-1", "layer"),
        _number(asked.get("threshold") or str(record.sink_threshold), "threshold"),
    )
    name, mimetype, data = export_flow(record, shown, request.path_params["kind"])
    return attachment(name, mimetype, data, IMMUTABLE)


def held(here: Services, request: Request) -> Flow:
    """The flow that a signed token names.

    Raises:
        Problem: 404 for a token that is not ours, 410 for a flow that is not held.
    """
    record = here.flows.get(signed_id(here, request))
    if record is None:
        raise Problem(410, "this result is no longer held by the server; compute it again")
    return record


def parts(record: Flow) -> list[tuple[str, np.ndarray]]:
    """What the browser gets as numbers, by name and in order."""
    found = [(f"map:{one.name}", one.values) for one in record.maps]
    found += [
        ("readout_attention", record.readout_attention),
        ("received", record.received),
        ("norms", record.norms),
    ]
    if record.redistribution is not None:
        found.append(("changed:received", record.redistribution.received))
        maps_after = record.redistribution.maps
        found += [(f"changed:{name}", one) for name, one in maps_after.items()]
    return found


def metadata(here: Services, record: Flow) -> dict[str, Any]:
    """A flow in plain values; maps and tables travel apart."""
    address = f"/atlas/flow/{here.signer.sign(record.id)}"
    picture, place, base = record.picture, record.placement, record.base_layout
    return {
        "id": record.id,
        "model": record.model_label,
        "caution": record.caution,
        "notes": [*record.notes, *picture.notes, *record.provenance.notes],
        "missing": missing_maps(record),
        "layers": list(record.layer_labels),
        "heads": list(record.num_heads),
        "raw_layer": raw_layer(record),
        "prefix": list(base.prefix),
        "rows": base.grid.rows,
        "columns": base.grid.columns,
        **picture_values(picture, place),
        "target": record.target,
        "score": record.score,
        "readout_row": record.readout_row,
        "maps": [_map(one) for one in record.maps],
        "fractions": finite(record.fractions),
        "random": {
            "deletion": _spread(record.fractions, record.random_deletion),
            "insertion": _spread(record.fractions, record.random_insertion),
        },
        "sink_threshold": record.sink_threshold,
        "massive": [asdict(one) for one in record.norm_massive],
        "shift": None if record.shift is None else _shift(record.shift),
        "what_if": None if record.redistribution is None else _what_if(record.redistribution),
        "top": [list(one) for one in record.top],
        "tables": [{"name": name, "shape": list(one.shape)} for name, one in parts(record)],
        "urls": {
            "maps": f"{address}/maps",
            "export": f"{address}/export",
            "picture": f"/atlas/picture/{here.signer.sign(picture.sha256)}?side=1600",
        },
    }


def missing_maps(record: Flow) -> dict[str, str]:
    """Maps that a flow does not have, with the reason in words."""
    had = {one.name for one in record.maps}
    found = {}
    for name in MAP_NAMES:
        if name not in had:
            own = [note for note in record.notes if name in note.partition(":")[0].lower()]
            every = [note for note in record.notes if note.startswith("no map")]
            note = (own + every + ["it could not be measured"])[0]
            found[name] = note.partition(": ")[2] or note
    return found


def _map(one: FlowMap) -> dict[str, Any]:
    deletion_auc, insertion_auc = finite([one.deletion_auc, one.insertion_auc])
    return {
        "name": one.name,
        "title": one.title,
        "definition": one.definition,
        "source": one.source,
        "deletion": finite(one.deletion),
        "insertion": finite(one.insertion),
        "deletion_auc": deletion_auc,
        "insertion_auc": insertion_auc,
    }


def _spread(fractions: np.ndarray, curves: np.ndarray) -> dict[str, Any] | None:
    """Random orders together: mean and range at each step, mean and spread of the areas."""
    if not len(curves):
        return None
    from analytics.metrics.faithfulness import area_under

    areas = [area_under(fractions, one) for one in curves]
    mean, spread = finite([float(np.mean(areas)), float(np.std(areas))])
    return {
        "mean": finite(curves.mean(0)),
        "low": finite(curves.min(0)),
        "high": finite(curves.max(0)),
        "auc": mean,
        "auc_std": spread,
        "orders": len(curves),
    }


def _shift(shift: ShiftConsistency) -> dict[str, Any]:
    same = shift.same_class
    return {
        "shifts": [list(one) for one in shift.shifts],
        "cosine": finite(shift.embedding_cosine),
        "same_class": None if same is None else [bool(one) for one in same],
        "agreement": [finite(one) for one in shift.attention_agreement],
    }


def _what_if(found: Redistribution) -> dict[str, Any]:
    before, after = finite([found.score_before, found.score_after])
    return {
        **found.what_if._asdict(),
        "sinks": int(found.sinks.any(0).sum()),
        "cosine": finite([found.embedding_cosine])[0],
        "score_before": before,
        "score_after": after,
        "before": [list(one) for one in found.before],
        "after": [list(one) for one in found.after],
    }


def _number(text: str, name: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"expected a number for {name}; got {text[:20]!r}")
    return found
