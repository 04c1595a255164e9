"""Jobs of the Flow page: what the output of a model draws on, for one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from analytics.jobs.queue import Report, Work
from analytics.serve.work import stored_readout
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services
    from analytics.studies.flow_record import Flow, WhatIf


def flow_work(here: Services) -> Work:
    """The job kind `flow`: measure one picture and hold the record.

    Parameters: `model` (id), `checkpoint` (path or None), `picture` (SHA-256), `fit`, `size`
    (pixels or None), `readout` (name of a stored read-out that names classes, or None) and
    `what_if` (None, or `threshold`, `p` and `prefix`). The result is the id of the record.
    A what-if takes over everything else from the record without it, where that is held.
    """
    # Where a model attends is found once for as long as the pool holds the model.
    sites: WeakKeyDictionary[Any, SiteMap] = WeakKeyDictionary()

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.capture.tracing import find_sites
        from analytics.studies.flow import flow_key, measure_flow

        report(0, 0, "loading the model")
        loaded = _loaded(here, params)
        readout = stored_readout(here, params.get("readout"), loaded)
        what_if, fit = what_if_of(params), _fit(params)
        known = flow_key(loaded, params["picture"], fit, readout, redistribute=what_if)
        if here.flows.get(known) is not None:
            return known
        report(0, 0, "finding where the model attends")
        found = sites.get(loaded.module) or find_sites(loaded.module, loaded.input_size)
        sites[loaded.module] = found
        plain = here.flows.get(flow_key(loaded, params["picture"], fit, readout))
        if plain is not None and what_if is not None:
            report(0, 0, "running the model with the sinks scaled")
            record = _changed(plain, known, loaded, found, readout, what_if)
        else:
            report(0, 0, "reading the picture")
            picture = here.pictures.get(params["picture"])
            record = measure_flow(
                loaded,
                picture,
                fit,
                readout,
                progress=report,
                sites=found,
                redistribute=what_if,
            )
        here.flows.put(record.id, record, record.nbytes)
        return record.id

    return work


def _loaded(here: Services, params: Mapping[str, Any]) -> LoadedModel:
    from analytics.models.registry import parse_model
    from analytics.serve.device import resolve_device

    checkpoint = params.get("checkpoint")
    spec = parse_model(params["model"], Path(checkpoint) if checkpoint else None)
    device = resolve_device(here.settings.device)
    return here.models.get(spec, params.get("size"), device, "float32")


def _fit(params: Mapping[str, Any]) -> Fit:
    return params.get("fit") or "crop"  # type: ignore[return-value]  # measure_flow checks it


def what_if_of(params: Mapping[str, Any]) -> WhatIf | None:
    """The what-if that a job asks for; None for none.

    Raises:
        ValueError: a threshold not above 0, or p outside 0 to 1.
    """
    from analytics.metrics.sinks import check_threshold
    from analytics.studies.flow_record import WhatIf

    found = params.get("what_if")
    if not found:
        return None
    asked = WhatIf(float(found["threshold"]), float(found["p"]), bool(found["prefix"]))
    check_threshold(asked.threshold)
    if not 0 <= asked.p <= 1:
        raise ValueError(f"expected p from 0 (sinks get nothing) to 1 (unchanged), got {asked.p}")
    return asked


def _changed(
    plain: Flow,
    identifier: str,
    loaded: LoadedModel,
    sites: SiteMap,
    readout: ReadOut | None,
    what_if: WhatIf,
) -> Flow:
    """A flow with a what-if: two forward passes instead of all of its curves."""
    from analytics.studies.flow_whatif import redistribute_sinks

    fit = plain.placement.fit
    found = redistribute_sinks(loaded, plain.picture, what_if, fit, readout, sites=sites)
    asked = {**plain.provenance.parameters, "redistribute": list(what_if)}
    made = replace(plain.provenance, parameters=asked)
    return replace(plain, id=identifier, redistribution=found, provenance=made)
