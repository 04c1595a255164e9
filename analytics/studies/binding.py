"""Do two patches belong together? Probes of the residual stream, beside what could fool them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.store.provenance import make_provenance, provenance_json
from analytics.store.results import ResultStore
from analytics.studies.attend import Progress
from analytics.studies.binding_choices import (
    PREVIEW,
    SPLITS,
    BindingChoices,
    binding_key,
    split_images,
)
from analytics.studies.binding_features import BindingFeatures, binding_features
from analytics.studies.binding_images import AnnotatedSet, survey_annotated
from analytics.studies.binding_record import Binding, assemble_binding
from analytics.studies.binding_units import Fitter, Part, Split, baseline_units, count_distances

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.annotated import AnnotatedSource
    from analytics.models.binding_probes import ProbeKind
    from analytics.models.registry import LoadedModel

CONTROL_PROBE: ProbeKind = "quadratic"
"""The probe that is fitted on the controls."""


def measure_binding(
    loaded: LoadedModel,
    sources: Sequence[AnnotatedSource] | AnnotatedSet,
    choices: BindingChoices | None = None,
    store: ResultStore | None = None,
    features: ResultStore | None = None,
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
    request: Mapping[str, Any] | None = None,
) -> Binding:
    """Fit every probe at every point of the residual stream and measure it on held-out images.

    The model runs over the images once, features are kept in half precision, and each probe of
    each seed is one unit that is written when it is done: a run that was cancelled or killed goes
    on after the last part of the features and the last unit. `load_binding` reads what there is.

    Args:
        loaded: the model; its layers share one grid of patches.
        sources: annotated pictures, or what `survey_annotated` made of them; one that cannot be
            read, or without two patches in objects, is skipped with its reason.
        choices: probes, controls, seeds, how patches are drawn.
        store: where units are kept.
        features: where features are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends, when already known.
        request: plain values that are kept with the result for whoever asked for it.

    Raises:
        ValueError: fewer than three images with two objects, a model without one grid of patches,
            features that are not finite, or choices that do not go together.
    """
    chosen = (choices or BindingChoices()).checked()
    report = progress or (lambda done, total, message: None)
    found = survey_annotated(sources, report)
    key = binding_key(loaded, found.sha256s, chosen)
    if store is not None:
        # The page lists a study by this before the model has run.
        store.begin(key, {"id": key, "model_label": loaded.label, "request": dict(request or {})})
    whole = binding_features(loaded, found, chosen, features, report, sites)
    _check_objects(whole)
    plan = _plan(loaded, key, whole, found, chosen, command)
    if store is not None:
        store.attach(key, "study", plan)
    parts = [] if store is None else [(a, b) for _, a, b in store.parts(key)]
    known = {_name(about) for _, about in parts}
    for part in _units(loaded, found, whole, chosen, plan, known, features, report, sites, parts):
        if store is not None:
            store.put(key, len(parts), *part)
        parts.append(part)
    report(plan["wanted"], plan["wanted"], "done")
    return assemble_binding(plan, parts)


def preview_binding(
    loaded: LoadedModel,
    sources: Sequence[AnnotatedSource] | AnnotatedSet,
    store: ResultStore | None = None,
    features: ResultStore | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Binding:
    """PLDA in closed form with the baselines: what `measure_binding` will show, in seconds."""
    return measure_binding(loaded, sources, PREVIEW, store, features, progress, command)


def _check_objects(whole: BindingFeatures) -> None:
    """Refuse a set in which hardly any picture shows two objects."""
    count = sum(len(np.unique(one[one > 0])) > 1 for one in whole.objects)
    if count < 3:
        raise ValueError(
            f"expected at least 3 pictures with two objects or more, got {count} of "
            f"{len(whole.names)}: pairs within one object cannot be told from others; mark more "
            "objects, lower the purity, or count the background as an object"
        )


def _name(about: Mapping[str, Any]) -> tuple[str, int]:
    return about["row"], about["seed"]


def _plan(
    loaded: LoadedModel,
    key: str,
    whole: BindingFeatures,
    found: AnnotatedSet,
    chosen: BindingChoices,
    command: str,
) -> dict[str, Any]:
    """What every unit of a result shares."""
    rows: list[tuple[str, str]] = [(name, "probe") for name in chosen.probes]
    rows += [(f"{CONTROL_PROBE}, {name}", "control") for name in chosen.controls]
    rows += [(name, "baseline") for name in ("majority", "position", "pixel", "both")]
    notes = _notes(whole, chosen)
    parts = split_images(whole.families, chosen.seeds[0])
    part = {int(row): name for name, one in zip(SPLITS, parts, strict=True) for row in one}
    images = zip(whole.names, whole.sha256s, whole.families, strict=True)
    made = make_provenance(
        command,
        loaded.spec.public_id,
        loaded.weights_sha256,
        dict(zip(whole.names, whole.sha256s, strict=True)),
        {**chosen.plain(), "input_size": list(loaded.input_size), "dtype": loaded.dtype},
        chosen.seeds[0],
        loaded.device,
        tuple(notes),
    )
    return {
        "id": key,
        "model_label": loaded.label,
        "caution": loaded.caution,
        "grid": [whole.layout.grid.rows, whole.layout.grid.columns],
        "points": len(whole.features),
        "rows": [name for name, _ in rows],
        "kinds": [kind for _, kind in rows],
        "seeds": list(chosen.seeds),
        "families": sorted(set(whole.families)),
        "distances": count_distances(whole),
        "images": [[*one, part[row]] for row, one in enumerate(images)],
        "images_wanted": found.wanted,
        "skipped": [list(one) for one in whole.skipped],
        "notes": notes,
        "wanted": len(rows) * len(chosen.seeds) + int(chosen.link),
        "provenance": json.loads(provenance_json(made)),
    }


def _notes(whole: BindingFeatures, chosen: BindingChoices) -> list[str]:
    """What the reader of the numbers must know."""
    notes = []
    if chosen.count_background:
        notes.append("unlabelled patches count as one object, as in the authors' code")
    if len(whole.names) < 60:
        notes.append(
            f"{len(whole.names)} images are few: read the intervals, and expect probes of many "
            "numbers to do worse than they would with hundreds"
        )
    objects = whole.objects
    single = sum(len(np.unique(one[one > 0])) == 1 for one in objects)
    if single:
        notes.append(f"{single} images have one object only and give no different pairs")
    if np.isnan(whole.products).any() and "next_qk" in chosen.probes:
        notes.append("queries and keys of some layers cannot be read: their row has gaps")
    return notes


def _units(
    loaded: LoadedModel,
    found: AnnotatedSet,
    whole: BindingFeatures,
    chosen: BindingChoices,
    plan: Mapping[str, Any],
    known: set[tuple[str, int]],
    features: ResultStore | None,
    report: Progress,
    sites: SiteMap | None,
    parts: Sequence[Part],
) -> Iterator[Part]:
    """The units that are not known yet, in the order in which a page wants them."""
    families, wanted, done = plan["families"], plan["wanted"], len(known)
    splits = [Split.of(whole, families, seed) for seed in chosen.seeds]
    fitter = Fitter(whole, chosen, families, loaded.device)

    def within(words: str) -> Progress:
        return lambda part, total, message: report(
            done + part / max(total, 1), wanted, f"{words}{message}"
        )

    for split in splits:
        if ("majority", split.seed) not in known:
            report(done, wanted, "baselines: position and colour")
            for unit in baseline_units(whole, split, len(families), plan["points"]):
                if _name(unit[1]) not in known:
                    done += 1
                    yield unit
        words = f"seed {split.seed}: " if len(splits) > 1 else ""
        for kind in chosen.probes:
            if (kind, split.seed) not in known:
                report(done, wanted, f"{words}{kind} probe")
                unit = fitter.unit(kind, kind, split, within(words))
                done += 1
                yield unit
    if chosen.link and ("link", chosen.seeds[0]) not in known:
        yield _link(loaded, found, whole, chosen, splits[0], parts, within(""), sites)
        done += 1
    del fitter
    for name in chosen.controls:
        row = f"{CONTROL_PROBE}, {name}"
        left = [split for split in splits if (row, split.seed) not in known]
        if left:
            for unit in _control(
                loaded, found, chosen, families, name, row, left, features, within
            ):
                done += 1
                yield unit


def _link(
    loaded: LoadedModel,
    found: AnnotatedSet,
    whole: BindingFeatures,
    chosen: BindingChoices,
    split: Split,
    parts: Sequence[Part],
    report: Progress,
    sites: SiteMap | None,
) -> Part:
    """Attention beside the first seed's quadratic probe, or its first probe with a matrix."""
    import torch

    from analytics.models.binding_probes import restore_probe
    from analytics.studies.binding_link import attention_link

    by_row = {_name(about): (arrays, about) for arrays, about in parts}
    best = CONTROL_PROBE if CONTROL_PROBE in chosen.probes else chosen.probes[0]
    arrays, about = by_row[best, split.seed]
    prefix = "tensor."
    tensors = {
        name.removeprefix(prefix): torch.from_numpy(one)
        for name, one in arrays.items()
        if name.startswith(prefix)
    }
    probe = restore_probe(about["probe"], tensors, about["about"])
    place = {sha256: row for row, sha256 in enumerate(found.sha256s)}
    rows = [place[whole.sha256s[row]] for row in split.test]
    tables = attention_link(loaded, found, rows, probe, chosen, report, sites)
    return tables, {"row": "link", "seed": split.seed, "with": best}


def _control(
    loaded: LoadedModel,
    found: AnnotatedSet,
    chosen: BindingChoices,
    families: Sequence[str],
    name: str,
    row: str,
    splits: Sequence[Split],
    features: ResultStore | None,
    within: Callable[[str], Progress],
) -> Iterator[Part]:
    """The quadratic probe on a control, for every seed that is left."""
    from analytics.studies.binding_controls import control_model

    control = control_model(loaded, name)
    whole = binding_features(control, found, chosen, features, within(f"{name}: "))
    fitter = Fitter(whole, chosen, families, loaded.device)
    for split in splits:
        yield fitter.unit(CONTROL_PROBE, row, split, within(f"{name}: "))
