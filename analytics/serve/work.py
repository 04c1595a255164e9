"""Jobs that the server runs for its pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from analytics.jobs.queue import Report, Work
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.serve.state import Services


def attend_work(here: Services) -> Work:
    """The job kind `attend`: capture a picture's attention and hold the record.

    Parameters of the job: `model` (id), `checkpoint` (path or None), `picture` (SHA-256),
    `fit`, `size` (pixels or None), `dtype` (default float32), `device` (default the
    server's). The result is the id of the record.
    """
    # Where a model attends is found once for as long as the pool holds the model.
    sites: WeakKeyDictionary[Any, SiteMap] = WeakKeyDictionary()

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.capture.tracing import find_sites
        from analytics.models.registry import parse_model
        from analytics.serve.device import resolve_device
        from analytics.studies.attend import attend, lens_key

        report(0, 0, "loading the model")
        checkpoint = params.get("checkpoint")
        spec = parse_model(params["model"], Path(checkpoint) if checkpoint else None)
        device = resolve_device(params.get("device") or here.settings.device)
        dtype = params.get("dtype") or "float32"
        loaded = here.models.get(spec, params.get("size"), device, dtype)
        report(0, 0, "reading the picture")
        fit: Fit = params.get("fit") or "crop"  # type: ignore[assignment]  # attend checks it
        sha256 = params["picture"]
        known = lens_key(spec.id, loaded.weights_sha256, sha256, fit, loaded.input_size, dtype)
        if here.records.get(known) is not None:
            return known
        picture = here.pictures.get(sha256)
        report(0, 3, "finding where the model attends")
        found = sites.get(loaded.module) or find_sites(loaded.module, loaded.input_size)
        sites[loaded.module] = found
        record = attend(loaded, picture, fit, progress=report, sites=found)
        here.records.put(record)
        return record.id

    return work
