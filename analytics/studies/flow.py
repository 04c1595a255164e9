"""One picture's flow of attention: what the output draws on, where attention sinks, what stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import placement_notes
from analytics.metrics.sinks import SINK_THRESHOLD
from analytics.store.provenance import make_provenance
from analytics.store.results import content_key
from analytics.studies.attend import Progress
from analytics.studies.flow_record import MAP_NAMES, Flow, FlowMap, WhatIf
from analytics.types import Fit, Picture, Provenance

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.studies.flow_curves import Curves
    from analytics.studies.flow_layers import FlowLayers
    from analytics.studies.flow_passes import Observed
    from analytics.studies.flow_subject import FlowSubject, Target

VERSION = 1
"""Raised whenever a record made from the same inputs would differ."""

STEPS = 8
"""Points of a curve less one."""


def flow_key(
    loaded: LoadedModel,
    picture_sha256: str,
    fit: Fit = "crop",
    readout: ReadOut | None = None,
    target: str | int | None = None,
    steps: int = STEPS,
    seed: int = 0,
    redistribute: WhatIf | None = None,
) -> str:
    """The id that `measure_flow` gives its record for these inputs."""
    return content_key(
        {
            "version": VERSION,
            "model": [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype],
            "picture": picture_sha256,
            "fit": fit,
            "readout": None if readout is None else readout.sha256,
            "target": target,
            "steps": steps,
            "seed": seed,
            "redistribute": None if redistribute is None else list(WhatIf(*redistribute)),
        }
    )


def measure_flow(
    loaded: LoadedModel,
    picture: Picture,
    fit: Fit = "crop",
    readout: ReadOut | None = None,
    target: str | int | None = None,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
    redistribute: WhatIf | None = None,
    command: str = "",
) -> Flow:
    """Follow the attention of one picture through all layers of a model.

    Memory: one layer's attention and a tokens x tokens table per layer; for the maps that
    need gradients every layer's attention once. Above `GRADIENT_BYTES` these are left out.

    Args:
        loaded: the model.
        picture: any decoded picture.
        fit: how the picture is brought to the model's input size.
        readout: gives class probabilities; None for the model's own head where it has one.
        target: name (read-out) or number of the class that is looked at; None for the most
            probable one. Without classes the embedding is looked at.
        steps: points of the deletion and insertion curves less one.
        seed: of the random orders.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends at this size, when already known.
        redistribute: the what-if of sinks to run as well.
        command: what was typed, for the provenance.

    Raises:
        ValueError: no attention that can be drawn, an unknown class, or a what-if that is
            not possible.
    """
    from analytics.capture.tracing import find_sites
    from analytics.studies.flow_curves import measure_curves, score_of
    from analytics.studies.flow_layers import READ_WORDS
    from analytics.studies.flow_passes import observe
    from analytics.studies.flow_shift import measure_shifts
    from analytics.studies.flow_subject import choose_target, flow_subject
    from analytics.studies.flow_tokens import above, observed_tokens
    from analytics.studies.flow_whatif import measure_redistribution
    from analytics.studies.reading import top_classes

    report = progress or (lambda done, total, message: None)
    report(0, 100, "finding where the model attends")
    sites = sites or find_sites(loaded.module, loaded.input_size)
    subject = flow_subject(loaded, sites, picture, fit, readout)
    report(1, 100, "running the model")
    clean = observe(subject)
    aim = choose_target(clean.read, readout, target)
    score = score_of(clean.read, aim.label)
    changed = None
    if redistribute is not None:
        report(2, 100, "redistributing the attention of sinks")
        changed = measure_redistribution(subject, clean, WhatIf(*redistribute), score)
    report(3, 100, "following gradients")
    maps, notes = _maps(subject, clean, aim)
    step = _steps(report, 8, 88, "removing patches, picture")
    curves = measure_curves(subject, maps, score, steps, seed, step)
    step = _steps(report, 88, 99, "shifting the picture, shift")
    shift, uncompared = measure_shifts(subject, step)
    norms, massive, unseen = observed_tokens(subject.layers, clean)
    report(100, 100, "done")
    return Flow(
        id=flow_key(loaded, picture.sha256, fit, readout, target, steps, seed, redistribute),
        picture=picture,
        placement=subject.placement,
        base_layout=subject.layers.base,
        model_label=loaded.label,
        caution=loaded.caution,
        layer_labels=subject.layers.labels,
        num_heads=tuple(site.num_heads for site in subject.layers.placed),
        target=aim.gradient,
        score=aim.score,
        readout_row=READ_WORDS[subject.layers.read_at],
        maps=_flow_maps(maps, curves, subject.layers, aim),
        fractions=curves.fractions,
        random_deletion=curves.random_deletion,
        random_insertion=curves.random_insertion,
        readout_attention=clean.readout_attention,
        received=clean.received,
        sinks=above(clean.received, SINK_THRESHOLD),
        sink_threshold=SINK_THRESHOLD,
        norms=norms,
        norm_massive=massive,
        shift=shift,
        redistribution=changed,
        top=top_classes(clean.read.probabilities, readout),
        notes=(*notes, *filter(None, (uncompared, unseen))),
        provenance=_provenance(subject, picture, fit, target, steps, seed, redistribute, command),
    )


def _steps(report: Progress, low: float, high: float, words: str) -> Callable[[int, int], None]:
    """Reports the steps of one part of the work, from `low` to `high` per cent."""

    def step(done: int, total: int) -> None:
        share = low + (high - low) * done / total
        report(share, 100, f"{words} {done + 1} of {total}")

    return step


def _provenance(
    subject: FlowSubject,
    picture: Picture,
    fit: Fit,
    target: str | int | None,
    steps: int,
    seed: int,
    redistribute: WhatIf | None,
    command: str,
) -> Provenance:
    loaded, readout = subject.loaded, subject.readout
    placed = placement_notes(picture.height, picture.width, subject.placement)
    return make_provenance(
        command,
        loaded.spec.public_id,
        loaded.weights_sha256,
        {picture.name: picture.sha256},
        {
            "fit": fit,
            "input_size": list(loaded.input_size),
            "dtype": loaded.dtype,
            "readout": None if readout is None else readout.sha256,
            "target": target,
            "steps": steps,
            "redistribute": None if redistribute is None else list(WhatIf(*redistribute)),
            "version": VERSION,
        },
        seed,
        loaded.device,
        (*placed, *subject.sites.refused_notes, *(readout.notes if readout else ())),
    )


def _maps(
    subject: FlowSubject, clean: Observed, aim: Target
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The maps that this model allows, in order, and what was left out."""
    from analytics.studies.flow_gradients import GRADIENT_BYTES, gradient_bytes, gradients
    from analytics.studies.flow_maps import attention_maps, gradient_maps

    loaded, layers = subject.loaded, subject.layers
    notes = [
        f"{layers.labels[i]}: attention holds NaN or infinity ({loaded.dtype} overflow?); its "
        "numbers are missing. Run the model in float32"
        for i in clean.broken
    ]
    notes += [
        f"{layers.labels[i]}: not run, because nothing that is read here comes after it"
        for i in np.flatnonzero(np.isnan(clean.received).all(axis=1))
        if i not in clean.broken
    ]
    if layers.refused:
        return {}, [*notes, f"no map of the flow: {layers.refused}"]
    maps = attention_maps(clean.means, layers)
    need = gradient_bytes(layers, int(getattr(loaded.module, "num_features", 1024)))
    if need > GRADIENT_BYTES:
        notes.append(
            f"relevance and LeGrad left out: their gradients need about {need / 2**30:.0f} GiB, "
            f"more than {GRADIENT_BYTES / 2**30:.0f}; choose a smaller input size"
        )
        return maps, notes
    supports, summed = gradients(subject, aim)
    maps |= gradient_maps(supports, summed, layers)
    if summed is None:
        notes.append("LeGrad left out: the outputs of its layers cannot be read as its end is")
    if len(layers.mixing) < len(layers.placed) and subject.readout is None:
        notes.append("layers that only pool are left out of rollout, relevance and LeGrad")
    return {name: maps[name] for name in MAP_NAMES if name in maps}, notes


def _flow_maps(
    maps: dict[str, np.ndarray], curves: Curves, layers: FlowLayers, aim: Target
) -> tuple[FlowMap, ...]:
    from analytics.metrics.faithfulness import area_under
    from analytics.studies.flow_maps import map_words

    return tuple(
        FlowMap(
            name,
            *map_words(name, layers, aim.gradient),
            values,
            curves.deletion[name],
            curves.insertion[name],
            area_under(curves.fractions, curves.deletion[name]),
            area_under(curves.fractions, curves.insertion[name]),
        )
        for name, values in maps.items()
    )
