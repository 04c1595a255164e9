"""Jobs of the Heads page: importance, pruning curves, one head in detail, a pruned model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import Report, Work
from analytics.serve.begun import note_result
from analytics.serve.sets import count_different, find_image
from analytics.serve.subject import find_subject

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.serve.state import Services
    from analytics.studies.importance_record import Importance

QUICK = ("sensitivity", "taylor", "confidence", "contribution")
"""What one pass over all heads gives: the preview."""

KEEP_RESULTS = 200


def importance_work(here: Services) -> Work:
    """The job kind `importance`: measure, keep part by part; the result is the record's key.

    Parameters: those of `find_subject`, and `effort` (`quick` or `exact`), `ablation`, `job`
    (the job's own key, by which the page finds partial results).
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.capture.tracing import find_sites
        from analytics.metrics.catalogue import metrics_for
        from analytics.studies.importance import importance_key, measure_importance
        from analytics.studies.pictures import survey
        from analytics.studies.reading import available

        subject = find_subject(here, params, report)
        report(0, 0, "finding where the model attends")
        sites = find_sites(subject.loaded.module, subject.loaded.input_size)
        _check_sites(sites, subject.loaded.label)
        names = metrics_for(available(subject.loaded, subject.readout))
        if subject.readout is None and count_different(subject.images, 2) < 2:
            names = tuple(name for name in names if name != "taylor")
        if params["effort"] == "quick":
            names = tuple(name for name in QUICK if name in names)
        ablation = params["ablation"] if params["effort"] == "exact" else "zero"
        loaded, readout, seed = subject.loaded, subject.readout, int(params["seed"])
        content = survey(subject.images, subject.labels).content
        key = importance_key(loaded, content, names, ablation, readout, params["fit"], seed)
        note_result(here, str(params["job"]), key)
        record = measure_importance(
            loaded,
            subject.images,
            names,
            ablation,
            subject.labels,
            readout,
            params["fit"],
            seed,
            here.importance,
            report,
            sites=sites,
            request={**params, "readout_name": subject.readout_name},
        )
        here.importance.trim(KEEP_RESULTS)
        return record.id

    return work


def _check_sites(sites: SiteMap, label: str) -> None:
    """Refuse a model most of whose layers are no attention between tokens."""
    if sites.undrawable and sites.refused:
        raise ValueError(
            f"{label} has no layer in which patches attend to patches ({sites.undrawable}), so "
            "there are no heads to compare. Choose another model, for example a ViT, DeiT, BEiT, "
            "EVA or Swin"
        )


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


def _kept(here: Services, params: Mapping[str, Any]) -> tuple[Importance, dict[str, Any]]:
    """The study that a job works on (`result`: its key), and what was asked for to make it.

    Raises:
        ValueError: it is no longer kept.
    """
    key = str(params["result"])
    record, plan = held_importance(here, key), here.importance.plan(key)
    if record is None or plan is None:
        raise ValueError("this study is no longer kept on this server; measure again")
    return record, dict(plan["request"])


def curves_work(here: Services) -> Work:
    """The job kind `curves`: pruning curves of a result (`result`: its key), kept beside it.

    With a read-out they stand on more held-out pictures than were measured; see
    `curve_pictures`.
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.capture.tracing import find_sites
        from analytics.studies.curves import curve_pictures, curves_values, pruning_curves
        from analytics.studies.pictures import survey

        record, request = _kept(here, params)
        subject = find_subject(here, request, report, every=True)
        images, labels, seed = subject.images, subject.labels, int(request["seed"])
        if subject.readout is not None:
            measured = {image.sha256 for image in record.images}
            chosen = curve_pictures(survey(images, labels), measured, seed)
            images, labels = chosen.images, chosen.labels
        found = pruning_curves(
            subject.loaded,
            find_sites(subject.loaded.module, subject.loaded.input_size),
            images,
            record,
            labels,
            subject.readout,
            request["fit"],
            seed=seed,
            progress=report,
        )
        about = {**curves_values(found), "measured": len(record.images)}
        here.importance.attach(record.id, "curves", about)
        return record.id

    return work


def partial_work(here: Services) -> Work:
    """The job kind `partial`: `result`, `image` (position), `layer`, `head` -> plain values."""

    def work(params: Mapping[str, Any], report: Report) -> dict[str, Any]:
        from analytics.capture.tracing import find_sites
        from analytics.studies.features import read_batches
        from analytics.studies.partial import partial_pruning

        record, request = _kept(here, params)
        subject = find_subject(here, request, report)
        image = find_image(subject.images, record.images[int(params["image"])])
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
        from analytics.serve.pruned import write_zip
        from analytics.studies.pruning import prune_and_measure

        record, request = _kept(here, params)
        subject = find_subject(here, request, report, every=True)
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
            "file": write_zip(here, subject.loaded, pruned),
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


def iterate_work(here: Services) -> Work:
    """The job kind `iterate`: `result`, `metric`, `count`, `steps` -> heads to remove, pairs.

    Importance is measured again after each step, on the pictures of the result, with its
    labels and its read-out.
    """

    def work(params: Mapping[str, Any], report: Report) -> list[list[int]]:
        from analytics.studies.pruning_steps import prune_iteratively

        _, request = _kept(here, params)
        subject = find_subject(here, request, report)
        heads = prune_iteratively(
            subject.loaded,
            subject.images,
            str(params["metric"]),
            int(params["count"]),
            int(params["steps"]),
            subject.labels,
            subject.readout,
            request["fit"],
            int(request["seed"]),
            report,
        )
        return [list(pair) for pair in heads]

    return work
