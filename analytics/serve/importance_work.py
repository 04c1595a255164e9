"""Jobs of the Heads page: importance, pruning curves, one head in detail, a pruned model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import Report, Work
from analytics.serve.sets import balanced, find_set

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services
    from analytics.studies.importance_record import Importance

FIT_LIMIT = 2000
"""Most pictures that a read-out is fitted on and tested with."""

QUICK = ("sensitivity", "taylor", "confidence", "contribution")
"""What one pass over all heads gives: the preview."""

KEEP_RESULTS = 200


@dataclass(frozen=True)
class Subject:
    """What a job works on: the model, the pictures that are measured, the read-out."""

    loaded: LoadedModel
    images: Sequence[ImageSource]
    labels: Sequence[str | None] | None
    readout: ReadOut | None


def find_subject(here: Services, params: Mapping[str, Any], report: Report) -> Subject:
    """Load the model, and read or fit what the parameters name.

    Args:
        here: the services.
        params: `model`, `checkpoint`, `size`, `fit`, `set` (see `find_set`), `readout` (None,
            or `kind` and `layer`), `limit` (pictures to measure at most), `seed`.
        report: progress; raises to cancel.

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
        return Subject(loaded, [found.images[row] for row in rows], None, None)
    readout, measured = _readout(here, loaded, found, params, report)
    rows = balanced(measured, found.labels, limit, seed)
    labels = [found.labels[row] for row in rows]
    images = [found.images[row] for row in rows]
    for image in images:  # so that the page can show them and the lens open them
        with here.decoding:
            here.pictures.put(image.read_bytes(), image.name)
    return Subject(loaded, images, labels, readout)


def _readout(
    here: Services, loaded: LoadedModel, found: Any, params: Mapping[str, Any], report: Report
) -> tuple[ReadOut, list[int]]:
    """The read-out of a labelled set, fitted once, and the pictures held out of its fit."""
    from analytics.models.readout import fit_readout, load_readout, save_readout
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
        return readout, [kept[row] for row in readout.held_out]
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
    return readout, [kept[row] for row in readout.held_out]


def importance_work(here: Services) -> Work:
    """The job kind `importance`: measure, keep part by part; the result is the record's key.

    Parameters: those of `find_subject`, and `effort` (`quick` or `exact`), `ablation`, `job`
    (the job's own key, by which the page finds partial results).
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.metrics.catalogue import metrics_for
        from analytics.studies.importance import measure_importance
        from analytics.studies.reading import available

        subject = find_subject(here, params, report)
        names = metrics_for(available(subject.loaded, subject.readout))
        if subject.readout is None and len(subject.images) < 2:
            names = tuple(name for name in names if name != "taylor")
        if params["effort"] == "quick":
            names = tuple(name for name in QUICK if name in names)
        record = measure_importance(
            subject.loaded,
            subject.images,
            names,
            params["ablation"] if params["effort"] == "exact" else "zero",
            subject.labels,
            subject.readout,
            params["fit"],
            int(params["seed"]),
            here.importance,
            report,
            request=params,
        )
        here.importance.trim(KEEP_RESULTS)
        return record.id

    return work


def find_result(here: Services, job: str) -> str | None:
    """Key of the result that a job began, whole or in part; None where there is none."""
    for key in here.importance.keys():  # noqa: SIM118  # a store, no mapping
        plan = here.importance.plan(key)
        if plan is not None and plan.get("request", {}).get("job") == job:
            return key
    return None


def held_importance(here: Services, key: str) -> Importance | None:
    """The record of a key as it stands, from memory where nothing was added since."""
    from analytics.studies.importance_record import load_importance

    name = (key, here.importance.count(key))
    found = here.importances.get(name)
    if found is None:
        found = load_importance(here.importance, key)
        if found is not None:
            here.importances.put(name, found, found.nbytes)
    return found


def _request(here: Services, key: str) -> dict[str, Any]:
    plan = here.importance.plan(key)
    if plan is None:
        raise ValueError("this study is no longer kept on this server; measure again")
    return dict(plan["request"])


def curves_work(here: Services) -> Work:
    """The job kind `curves`: pruning curves of a result (`result`: its key), kept beside it."""

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.capture.tracing import find_sites
        from analytics.studies.curves import curves_values, pruning_curves

        key = str(params["result"])
        record = held_importance(here, key)
        if record is None:
            raise ValueError("this study is no longer kept on this server; measure again")
        subject = find_subject(here, _request(here, key), report)
        sites = find_sites(subject.loaded.module, subject.loaded.input_size)
        found = pruning_curves(
            subject.loaded,
            sites,
            subject.images,
            record,
            subject.labels,
            subject.readout,
            _request(here, key)["fit"],
            seed=int(_request(here, key)["seed"]),
            progress=report,
        )
        here.importance.attach(key, "curves", curves_values(found))
        return key

    return work


def partial_work(here: Services) -> Work:
    """The job kind `partial`: `result`, `image` (position), `layer`, `head` -> plain values."""

    def work(params: Mapping[str, Any], report: Report) -> dict[str, Any]:
        from analytics.capture.tracing import find_sites
        from analytics.studies.features import read_batches
        from analytics.studies.partial import partial_pruning

        key = str(params["result"])
        record, request = held_importance(here, key), _request(here, key)
        if record is None:
            raise ValueError("this study is no longer kept on this server; measure again")
        subject = find_subject(here, request, report)
        name = record.images[int(params["image"])].name
        image = next(one for one in subject.images if one.name == name)
        [batch] = read_batches([image], subject.loaded, request["fit"], 1)
        sites = find_sites(subject.loaded.module, subject.loaded.input_size)
        found = partial_pruning(
            subject.loaded,
            sites,
            batch.pixels,
            int(params["layer"]),
            int(params["head"]),
            subject.readout,
        )
        return {
            "modes": [{"mode": mode, "value": value} for mode, value in found.values.items()],
            "metric": found.metric.replace("_", " "),
            "before": found.before,
            "after": found.after,
        }

    return work


def prune_work(here: Services) -> Work:
    """The job kind `prune`: `result`, `heads` (pairs), `metric` -> what the page shows.

    The pruned checkpoint, its recipe and loader lie in a zip below `pruned/`, under the name
    that the result gives.
    """

    def work(params: Mapping[str, Any], report: Report) -> dict[str, Any]:
        from analytics.capture.tracing import find_sites
        from analytics.serve.pruned import write_zip
        from analytics.studies.pruning import prune_and_measure

        key = str(params["result"])
        record, request = held_importance(here, key), _request(here, key)
        subject = find_subject(here, request, report)
        sites = find_sites(subject.loaded.module, subject.loaded.input_size)
        pairs = tuple((int(layer), int(head)) for layer, head in params["heads"])
        pruned = prune_and_measure(
            subject.loaded,
            subject.images,
            pairs,
            record,
            subject.labels,
            subject.readout,
            request["fit"],
            progress=report,
        )
        full, small = pruned.latency["full"], pruned.latency["pruned"]
        return {
            "file": write_zip(here, subject.loaded, sites, pruned),
            "heads": [list(pair) for pair in pruned.heads],
            "parameters": list(pruned.parameters),
            "milliseconds": [1000 * full.median_s, 1000 * small.median_s],
            "ratio": [small.ratio, small.ratio_low, small.ratio_high],
            "threads": small.threads,
            "predicted": pruned.predicted,
            "measured": pruned.measured,
            "accuracy": pruned.accuracy,
            "images": pruned.num_images,
        }

    return work
