"""Object discovery over annotated pictures: every method, random weights and baselines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.io.fitting import fit_mask, fit_picture, place
from analytics.store.provenance import make_provenance, provenance_json
from analytics.store.results import ResultStore, content_key
from analytics.studies.attend import Progress
from analytics.studies.binding_images import AnnotatedSet, survey_annotated
from analytics.studies.discovery import TOO_SMALL, find_masks, most_frequent_objects
from analytics.studies.discovery_methods import MEASURES, METHODS, DiscoveryChoices
from analytics.studies.discovery_record import RANDOM, DiscoverySet, Row, assemble_discovery
from analytics.studies.discovery_tokens import TokenReader

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.annotated import AnnotatedImage, AnnotatedSource
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.studies.binding_features import StreamReader

VERSION = 1
"""Raised whenever a result made from the same inputs would differ."""

BATCH = 4
"""Pictures of a part on disk."""

Part = tuple[dict[str, np.ndarray], dict[str, Any]]


def discovery_rows(controls: bool = True) -> tuple[Row, ...]:
    """What is measured: methods, the same on random weights, and baselines.

    A probe is fitted on the trained model, so the spectral method has no control here.
    """
    names = [name for name, one in METHODS.items() if one.kind != "baseline"]
    rows = [Row(name, "trained") for name in names]
    if controls:
        rows += [Row(name, "control") for name in names if METHODS[name].kind != "probe"]
    return (*rows, *(Row(name, "baseline") for name in METHODS if name not in names))


def discovery_key(
    loaded: LoadedModel, sha256s: Sequence[str], chosen: DiscoveryChoices, probe: str
) -> str:
    """The id of a result: the same inputs and choices find what was measured before.

    Args:
        loaded: the model.
        sha256s: of the pictures.
        chosen: checked for the model.
        probe: what names the probe and what it was fitted on; empty without one.
    """
    model = [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype]
    about = {"model": model, "images": list(sha256s), "choices": chosen.plain(), "probe": probe}
    return content_key({"discovery": VERSION, **about})


def measure_discovery(
    loaded: LoadedModel,
    sources: Sequence[AnnotatedSource],
    choices: DiscoveryChoices | None = None,
    probe: BindingProbe | None = None,
    probe_name: str = "",
    store: ResultStore | None = None,
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
    request: Mapping[str, Any] | None = None,
) -> DiscoverySet:
    """Find objects on annotated pictures with every method, and score them.

    A run that was cancelled or killed goes on after the last whole part.

    Args:
        loaded: the model.
        sources: annotated pictures, made scenes or data sets.
        choices: point, features and parameters; those of the papers by default.
        probe: for spectral clustering; None leaves that method out.
        probe_name: names the probe and what it was fitted on, in the result's key.
        store: where parts are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends, when already known.
        request: plain values that are kept with the result for whoever asked for it.

    Raises:
        ValueError: no picture with an object, a model without one grid of patches, features that
            are not finite, or a probe of another model.
    """
    from analytics.studies.binding_features import StreamReader

    report = progress or (lambda done, total, message: None)
    reader = StreamReader(loaded, sites)
    chosen = (choices or DiscoveryChoices()).checked(reader.layers)
    found = survey_annotated(sources, report)
    key = discovery_key(loaded, found.sha256s, chosen, probe_name if probe else "")
    rows = discovery_rows(chosen.controls)
    plan = _plan(reader, key, found, chosen, rows, probe_name if probe else "", command)
    if store is not None:
        store.begin(key, {"id": key, "model_label": loaded.label, "request": dict(request or {})})
        store.attach(key, "study", plan)
    parts: list[Part] = [] if store is None else [(a, b) for _, a, b in store.parts(key)]
    known = {sha256 for _, about in parts for sha256 in about["sha256s"]}
    known |= {sha256 for _, about in parts for _, _, sha256 in about["unusable"]}
    left = found.without(known)
    for part in _measured(reader, left, len(known), chosen, rows, probe, report):
        if store is not None:
            store.put(key, len(parts), *part)
        parts.append(part)
    report(plan["wanted"], plan["wanted"], "done")
    if not any(about["names"] for _, about in parts):
        reasons = [*plan["skipped"], *(one for _, about in parts for one in about["unusable"])]
        raise ValueError(f"expected a picture with objects, got none: {reasons[0][1]}")
    return assemble_discovery(plan, parts)


def _measured(
    reader: StreamReader,
    left: AnnotatedSet,
    before: int,
    chosen: DiscoveryChoices,
    rows: Sequence[Row],
    probe: BindingProbe | None,
    report: Progress,
) -> Iterator[Part]:
    from analytics.studies.binding_controls import control_model
    from analytics.studies.binding_features import StreamReader

    if not left.sources:
        return
    readers = {"trained": TokenReader(reader, chosen, probe)}
    if chosen.controls:
        report(before, before + len(left.sources), f"drawing {RANDOM}")
        control = control_model(reader.loaded, RANDOM, chosen.seed)
        readers["control"] = TokenReader(StreamReader(control, reader.sites), chosen)
    total = before + len(left.sources)
    for first in range(0, len(left.sources), BATCH):
        tables: list[np.ndarray] = []
        about: dict[str, Any] = {
            name: [] for name in ("names", "sha256s", "families", "unusable")
        } | {"absent": {}}
        for i in range(first, min(first + BATCH, len(left.sources))):
            report(before + i, total, f"picture {before + i + 1} of {total}")
            image = left.sources[i].load()
            try:
                table, absent = _score(image, reader, readers, rows, chosen)
            except _NoObject as error:
                about["unusable"].append([left.names[i], str(error), left.sha256s[i]])
                continue
            tables.append(table)
            about["absent"] = absent
            for name in ("names", "sha256s", "families"):
                about[name].append(getattr(left, name)[i])
        shape = (len(tables), len(rows), len(MEASURES))
        yield {"values": np.array(tables, np.float32).reshape(shape)}, about


class _NoObject(ValueError):
    """A picture without an object in any patch: it is left out, with the reason."""


def _score(
    image: AnnotatedImage,
    reader: StreamReader,
    readers: Mapping[str, TokenReader],
    rows: Sequence[Row],
    chosen: DiscoveryChoices,
) -> tuple[np.ndarray, dict[str, str]]:
    """Scores of one picture, (rows, measures), and why rows have none."""
    grid = reader.layout.grid
    placement = place(image.height, image.width, chosen.fit, *reader.loaded.input_size)
    objects = most_frequent_objects(fit_mask(image.instances, placement), grid)
    if not (objects > 0).any():
        raise _NoObject(TOO_SMALL)
    fitted = fit_picture(image.picture, placement)
    tokens = {name: one.read(fitted) for name, one in readers.items()}
    table, absent = [], {}
    for row in rows:
        used = tokens["control" if row.kind == "control" else "trained"]
        [found] = find_masks(used, chosen, objects, (row.method,))
        table.append([found.scores[name] for name in MEASURES])
        if found.absent:
            absent[row.name] = found.absent
    return np.array(table), absent


def _plan(
    reader: StreamReader,
    key: str,
    found: AnnotatedSet,
    chosen: DiscoveryChoices,
    rows: Sequence[Row],
    probe_name: str,
    command: str,
) -> dict[str, Any]:
    """What every part of a result shares."""
    loaded, grid = reader.loaded, reader.layout.grid
    made = make_provenance(
        command,
        loaded.spec.public_id,
        loaded.weights_sha256,
        dict(zip(found.names, found.sha256s, strict=True)),
        {
            **chosen.plain(),
            "probe": probe_name,
            "input_size": list(loaded.input_size),
            "dtype": loaded.dtype,
        },
        chosen.seed,
        loaded.device,
    )
    return {
        "id": key,
        "model_label": loaded.label,
        "caution": loaded.caution,
        "point": chosen.point,
        "features": chosen.features,
        "groups": chosen.groups,
        "probe": probe_name,
        "grid": [grid.rows, grid.columns],
        "rows": [[row.method, row.kind] for row in rows],
        "skipped": [list(one) for one in found.skipped],
        "wanted": len(found.sources),
        "provenance": json.loads(provenance_json(made)),
    }
