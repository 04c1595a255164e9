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
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services


def attend_work(here: Services) -> Work:
    """The job kind `attend`: capture a picture's attention and hold the record.

    Parameters of the job: `model` (id), `checkpoint` (path or None), `picture` (SHA-256),
    `fit`, `size` (pixels or None), `dtype` (default float32), `device` (default the
    server's), `off` (heads switched off, layer and head each), `readout` (name of a stored
    read-out that names classes then, or None). The result is the id of the record.
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
        off = [(int(layer), int(head)) for layer, head in params.get("off") or ()]
        readout = stored_readout(here, params.get("readout"), loaded) if off else None
        known = lens_key(
            spec.id,
            loaded.weights_sha256,
            sha256,
            fit,
            loaded.input_size,
            dtype,
            off,
            readout.sha256 if readout else "",
        )
        if here.records.get(known) is not None:
            return known
        picture = here.pictures.get(sha256)
        report(0, 3, "finding where the model attends")
        found = sites.get(loaded.module) or find_sites(loaded.module, loaded.input_size)
        sites[loaded.module] = found
        record = attend(
            loaded, picture, fit, progress=report, sites=found, off=off, readout=readout
        )
        here.records.put(record)
        return record.id

    return work


def stored_readout(here: Services, name: str | None, loaded: LoadedModel) -> ReadOut | None:
    """The read-out stored under a name, if it was fitted on this model; otherwise None."""
    from analytics.models.readout import check_fits, load_readout

    if not name or not name.isalnum():
        return None
    path = here.data_dir / "readouts" / f"{name}.safetensors"
    try:
        readout = load_readout(path)
        check_fits(readout, loaded.spec.public_id, loaded.weights_sha256)
    except ValueError:
        return None
    return readout
