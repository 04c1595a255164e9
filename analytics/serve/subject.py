"""What a study of heads works on: the model, the pictures that are measured, the read-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import Report
from analytics.serve.sets import PICTURES, balanced, find_set, keep_pictures

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services

FIT_LIMIT = 600
"""Most pictures that a read-out is fitted on and tested with: about a minute on two cores."""


@dataclass(frozen=True)
class Subject:
    """What a job works on: the model, the pictures that are measured, the read-out.

    `readout_name` is the name under which the read-out is stored.
    """

    loaded: LoadedModel
    images: Sequence[ImageSource]
    labels: Sequence[str | None] | None
    readout: ReadOut | None
    readout_name: str = ""


def find_subject(
    here: Services, params: Mapping[str, Any], report: Report, every: bool = False
) -> Subject:
    """Load the model, and read or fit what the parameters name.

    Args:
        here: the services.
        params: `model`, `checkpoint`, `size`, `fit`, `set` (see `find_set`), `readout` (None,
            or `kind` and `layer`), `limit` (pictures to measure at most), `seed`.
        report: progress; raises to cancel.
        every: take all held-out pictures of a read-out, whatever the limit.

    Raises:
        ValueError: something cannot be had; the message says what.
    """
    from analytics.models.registry import parse_model
    from analytics.serve.device import resolve_device
    from analytics.studies.readouts import fitted_readout, labelled_pictures

    report(0, 0, "loading the model")
    checkpoint = params.get("checkpoint")
    spec = parse_model(params["model"], Path(checkpoint) if checkpoint else None)
    device = resolve_device(here.settings.device)
    loaded = here.models.get(spec, params.get("size"), device, "float32")
    report(0, 0, "reading the pictures")
    found = find_set(here, params["set"])
    limit, seed = int(params["limit"]), int(params["seed"])
    if not params["readout"]:
        rows = balanced(range(len(found.images)), found.labels, limit, seed)
        images = [found.images[row] for row in rows]
        if params["set"]["kind"] != PICTURES:
            keep_pictures(here, images)
        return Subject(loaded, images, None, None)
    named = [row for row, label in enumerate(found.labels) if label is not None]
    rows = balanced(named or range(len(found.images)), found.labels, FIT_LIMIT, seed)
    whole = labelled_pictures([found.images[i] for i in rows], [found.labels[i] for i in rows])
    readout, name, held_out = fitted_readout(
        loaded,
        whole,
        found.classes,
        here.data_dir / "readouts",
        params["readout"]["kind"],
        params["readout"]["layer"],
        params["fit"],
        seed,
        report,
    )
    rows = list(range(len(held_out.images)))
    rows = rows if every else balanced(rows, held_out.labels, limit, seed)
    labels = [held_out.labels[row] for row in rows]
    images = [held_out.images[row] for row in rows]
    if not every:
        keep_pictures(here, images)
    return Subject(loaded, images, labels, readout, name)
