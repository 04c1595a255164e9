"""What a study of heads works on: the model, the pictures that are measured, the read-out."""

from __future__ import annotations

import json
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
    readout, name, measured = _readout(here, loaded, found, params, report)
    rows = measured if every else balanced(measured, found.labels, limit, seed)
    labels = [found.labels[row] for row in rows]
    images = [found.images[row] for row in rows]
    if not every:
        keep_pictures(here, images)
    return Subject(loaded, images, labels, readout, name)


def _readout(
    here: Services, loaded: LoadedModel, found: Any, params: Mapping[str, Any], report: Report
) -> tuple[ReadOut, str, list[int]]:
    """The read-out of a labelled set, fitted once; its name; the pictures held out of its fit."""
    from analytics.models.readout import load_readout, save_readout
    from analytics.models.readout_fit import fit_readout
    from analytics.store.results import content_key
    from analytics.studies.features import frozen_features

    named = [row for row, label in enumerate(found.labels) if label is not None]
    if not named:
        raise ValueError(
            "a read-out needs pictures with labels, and this set has none; choose the labelled "
            "sample or upload a zip with one folder per class"
        )
    wanted, seed = params["readout"], int(params["seed"])
    rows = balanced(named, found.labels, FIT_LIMIT, seed)
    key = content_key(
        {
            "model": [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size)],
            "set": params["set"],
            "fit": params["fit"],
            "readout": wanted,
            "seed": seed,
        }
    )
    path = here.data_dir / "readouts" / f"{key}.safetensors"
    kept_path = path.with_suffix(".json")
    if path.is_file() and kept_path.is_file():
        readout, kept = load_readout(path), json.loads(kept_path.read_text(encoding="utf-8"))
        return readout, key, [kept[row] for row in readout.held_out]
    images = [found.images[row] for row in rows]
    features = frozen_features(loaded, images, wanted["layer"], params["fit"], progress=report)
    report(0, 0, "fitting the read-out")
    kept = [rows[place] for place in features.kept]
    readout = fit_readout(
        features.values,
        [found.labels[row] for row in kept],
        wanted["kind"],
        seed=seed,
        model=loaded.spec.public_id,
        weights_sha256=loaded.weights_sha256,
        layer=wanted["layer"],
        pooling=features.pooling,
        classes=found.classes,
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    save_readout(readout, path)
    kept_path.write_text(json.dumps(kept), encoding="utf-8")
    return readout, key, [kept[row] for row in readout.held_out]
