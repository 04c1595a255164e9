"""Which heads matter: the effect of taking out each head, over a set of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.metrics.catalogue import ABLATIONS
from analytics.store.results import ResultStore, content_key
from analytics.studies.attend import Progress
from analytics.studies.batching import batch_plan
from analytics.studies.importance_record import Importance, assemble
from analytics.studies.pictures import Reference, Survey, class_numbers, survey
from analytics.studies.plans import study_plan
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.studies.effects import BatchEffects, HeadEffects

VERSION = 1
"""Raised whenever a result made from the same inputs would differ."""


def importance_key(
    loaded: LoadedModel,
    images: Sequence[tuple[str, str | None]],
    metrics: Sequence[str],
    ablation: str,
    readout: ReadOut | None,
    fit: Fit,
    seed: int,
) -> str:
    """The id of a result: the same inputs and parameters find what was measured before.

    Args:
        loaded: the model at its input size.
        images: (SHA-256 of the bytes, label) of each picture in order.
        metrics: names.
        ablation: zero, mean or resample.
        readout: the classifier, if any.
        fit: placement of pictures.
        seed: of random draws.
    """
    return content_key(
        {
            "version": VERSION,
            "model": [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype],
            "images": [list(one) for one in images],
            "metrics": list(metrics),
            "ablation": ablation,
            "readout": None if readout is None else readout.sha256,
            "fit": fit,
            "seed": seed,
        }
    )


def measure_importance(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    metrics: Sequence[str],
    ablation: str = "zero",
    labels: Sequence[str | None] | None = None,
    readout: ReadOut | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    store: ResultStore | None = None,
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
    request: Mapping[str, Any] | None = None,
) -> Importance:
    """Take out every head in turn and measure what changes, for every picture.

    Every few pictures are written to the store: a run that was cancelled or killed goes on
    after them, and `load_importance` reads what there is.

    Args:
        loaded: the model.
        images: pictures; one that cannot be read is skipped with its reason, and a second
            one with the same bytes counts as a duplicate.
        metrics: names out of `HEAD_METRICS`.
        ablation: `zero`; `mean`, the head's mean output over the pictures, per token; or
            `resample`, its output on another picture of the set.
        labels: class of each picture, None where unknown; only with `readout`.
        readout: gives class probabilities; None for the model's own head where asked for.
        fit: how a picture is brought to the model's input size.
        seed: of random draws: partners of `resample`, directions of `sensitivity`.
        store: where parts are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends, when already known.
        request: plain values that are kept with the result for whoever asked for it.

    Raises:
        ValueError: no picture can be read, too few pictures for the ablation, labels that the
            read-out does not know, or a metric that needs what is not there.
    """
    from analytics.capture.tracing import find_sites
    from analytics.studies.effects import HeadEffects

    report = progress or (lambda done, total, message: None)
    report(0, 0, "reading the pictures")
    found = survey(images, labels)
    check_study(found.labels, ablation, len(found.images), readout)
    key = importance_key(loaded, found.content, metrics, ablation, readout, fit, seed)
    report(0, 0, "finding where the model attends")
    sites = sites or find_sites(loaded.module, loaded.input_size)
    batch, heads_at_once = batch_plan(loaded, sites)
    effects = HeadEffects(loaded, sites, metrics, readout, heads_at_once)
    plan = importance_plan(
        loaded, key, found, metrics, ablation, readout, fit, seed, command, sites.refused_notes
    )
    plan["request"] = dict(request or {})
    parts = [] if store is None else [(a, b) for _, a, b in store.parts(key)]
    if store is not None:
        store.begin(key, plan)
    known = {sha256 for _, about in parts for sha256 in about["sha256s"]}
    known |= {sha256 for _, about in parts for _, _, sha256 in about["unreadable"]}
    left = found.without(known)
    if left.images:
        others = Reference(loaded, found, effects, ablation, fit, seed)
        others.prepare(report)
        for arrays, about in _measured(
            loaded, left, effects, others, readout, fit, seed, report, batch
        ):
            if store is not None:
                store.put(key, len(parts), arrays, about)
            parts.append((arrays, about))
    record = assemble(plan, parts)
    if not record.images:
        raise ValueError(f"expected pictures that can be read, got none: {record.skipped[0][1]}")
    return record


def check_study(
    labels: Sequence[str | None], ablation: str, count: int, readout: ReadOut | None
) -> None:
    """Refuse what cannot be measured before the model is run.

    Raises:
        ValueError: another ablation, too few pictures for it, or labels that no read-out knows.
    """
    if ablation not in ABLATIONS:
        raise ValueError(f"expected an ablation of {', '.join(ABLATIONS)}; got {ablation!r}")
    if ablation != "zero" and count < 2:
        raise ValueError(
            f"ablation {ablation!r} takes what stands in for a head from other pictures, got "
            f"{count} picture; add pictures, or use zero"
        )
    named = {label for label in labels if label is not None}
    if named and readout is None:
        raise ValueError(
            "labels were given without a read-out that knows their classes; fit one on them first"
        )
    unknown = sorted(named - set(readout.classes)) if readout else []
    if unknown:
        assert readout is not None
        raise ValueError(
            f"expected labels out of the read-out's classes ({', '.join(readout.classes[:8])}), "
            f"got {unknown[0]!r}; fit a read-out on these labels"
        )


def importance_plan(
    loaded: LoadedModel,
    key: str,
    found: Survey,
    metrics: Sequence[str],
    ablation: str,
    readout: ReadOut | None,
    fit: Fit,
    seed: int,
    command: str,
    cautions: Sequence[str] = (),
) -> dict[str, Any]:
    """The plain values that every part of a result shares; `cautions` join its notes."""
    parameters = {
        "metrics": list(metrics),
        "ablation": ablation,
        "fit": fit,
        "readout": None if readout is None else readout.sha256,
    }
    notes = [*cautions, *(readout.notes if readout else ())]
    return {
        **study_plan(loaded, key, found, parameters, seed, command, notes),
        "metrics": list(metrics),
        "ablation": ablation,
        "classes": list(readout.classes) if readout else [],
        "readout": readout.summary() if readout else "",
    }


def _measured(
    loaded: LoadedModel,
    left: Survey,
    effects: HeadEffects,
    others: Reference,
    readout: ReadOut | None,
    fit: Fit,
    seed: int,
    report: Progress,
    batch_size: int,
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """Measure the pictures that are left, some at a time: arrays and plain values of a part."""
    from analytics.studies.features import read_batches

    unreadable: list[list[str]] = []
    classes = {name: i for i, name in enumerate(readout.classes)} if readout else {}
    total, done = len(left.images), 0

    def skip(name: str, reason: str) -> None:
        unreadable.append([name, reason, left.sha256s[left.names.index(name)]])

    for batch in read_batches(left.images, loaded, fit, batch_size, skip):
        labels = [left.labels[index] for index in batch.indices]

        def step(head: int, heads: int, size: int = len(labels), base: int = done) -> None:
            words = f"pictures {base + 1} to {base + size} of {total}, head {head} of {heads}"
            report(base + size * head / heads, total, words)

        found = effects.measure(
            batch.pixels,
            class_numbers(labels, classes),
            others.filling(batch.sha256s),
            others.prototypes(batch.sha256s),
            seed + int(batch.sha256s[0][:8], 16),
            step=step,
        )
        done += len(labels)
        yield _part(effects, found, batch.names, batch.sha256s, labels, readout, unreadable)
        unreadable = []
    if unreadable:
        empty = np.zeros((len(effects.metrics), 0, len(effects.heads)), np.float32)
        yield {"values": empty}, _about(effects, [], (), unreadable)


def _part(
    effects: HeadEffects,
    found: BatchEffects,
    names: Sequence[str],
    sha256s: Sequence[str],
    labels: Sequence[str | None],
    readout: ReadOut | None,
    unreadable: list[list[str]],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A batch as arrays and plain values."""
    tables = [found.values[name].cpu().numpy() for name in effects.metrics]
    arrays = {"values": np.stack(tables).astype(np.float32)}
    images: list[list[Any]] = [
        [*one, None, None] for one in zip(names, sha256s, labels, strict=True)
    ]
    if found.before is not None and found.classes is not None and found.without is not None:
        arrays["probabilities"] = found.without.cpu().numpy().astype(np.float32)
        own = found.before.gather(1, found.classes[:, None])[:, 0].tolist()
        for row, best, probability in zip(
            images, found.before.argmax(1).tolist(), own, strict=True
        ):
            row[3] = readout.classes[best] if readout else f"class {best}"
            row[4] = probability
    return arrays, _about(effects, images, sha256s, unreadable)


def _about(
    effects: HeadEffects,
    images: list[list[Any]],
    sha256s: Sequence[str],
    unreadable: list[list[str]],
) -> dict[str, Any]:
    return {
        "heads": [list(pair) for pair in effects.heads],
        "images": images,
        "sha256s": list(sha256s),
        "unreadable": unreadable,
    }
