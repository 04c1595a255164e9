"""Jobs of the Discovery view: masks of every method on one picture, and scores over made scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.jobs.queue import Report
from analytics.serve.importance_work import KEEP_RESULTS
from analytics.serve.view_work import look_scenes
from analytics.types import Picture, Placement, Provenance

if TYPE_CHECKING:
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services
    from analytics.studies.discovery import Discovery
    from analytics.studies.discovery_methods import DiscoveryChoices
    from analytics.studies.discovery_record import DiscoverySet

SCENES = 66
"""Made scenes that methods are compared on: six of each family."""


@dataclass(frozen=True, eq=False)
class HeldFinding:
    """Masks of every method on one picture; `id` is the job's key.

    `row` names the probe of the spectral clustering and `fitted_on` says on what it was fitted,
    both empty without one. `mask` is int32 (height, width) of the model's input, 0 for none; None
    where nobody has marked the objects.
    """

    id: str
    discovery: Discovery
    picture: Picture
    placement: Placement
    scene: str
    mask: np.ndarray | None
    row: str
    fitted_on: str
    model_label: str
    caution: str
    provenance: Provenance

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        mask = 0 if self.mask is None else self.mask.nbytes
        return self.discovery.nbytes + self.picture.pixels.nbytes + mask


def make_finding(here: Services, params: Mapping[str, Any], report: Report) -> HeldFinding:
    """The record of the job kind `finding`.

    Parameters are those of `serve.binding_work.bound_work`, whose `study` and `row` are empty
    where no probe is fitted, and `features`, `point` (None for the last), `groups` and `job`.

    Raises:
        ValueError: the model, probe or picture is not there, or they do not go together.
    """
    from analytics.io.fitting import fit_mask, place
    from analytics.serve.binding_subject import binding_model, binding_subject
    from analytics.store.provenance import make_provenance
    from analytics.studies.discovery import discover

    report(0, 3, "loading the model")
    loaded = binding_model(here, params)
    probe, words = _probe(here, params, loaded)
    report(1, 3, "reading the picture")
    subject = binding_subject(here, params, loaded)
    picture, chosen = subject.picture, discovery_choices(params)
    report(2, 3, "looking for objects")
    found = discover(loaded, picture, subject.instances, chosen, probe)
    placement = place(picture.height, picture.width, chosen.fit, *loaded.input_size)
    mask = None if subject.instances is None else fit_mask(subject.instances, placement)
    asked = {name: params.get(name) for name in ("scene", "study", "row")}
    report(3, 3, "done")
    return HeldFinding(
        id=str(params["job"]),
        discovery=found,
        picture=picture,
        placement=placement,
        scene=subject.scene,
        mask=None if mask is None else mask.astype(np.int32),
        row=params["row"] if probe is not None else "",
        fitted_on=words,
        model_label=loaded.label,
        caution=loaded.caution,
        provenance=make_provenance(
            "",
            loaded.spec.public_id,
            loaded.weights_sha256,
            {picture.name: picture.sha256},
            {**asked, **found.choices.plain(), "input_size": list(loaded.input_size)},
            chosen.seed,
            loaded.device,
        ),
    )


def make_finding_scenes(here: Services, params: Mapping[str, Any], report: Report) -> DiscoverySet:
    """The record of the job kind `finding-scenes`: every method on `SCENES` made scenes.

    It is kept on disk part by part, so that a stopped one goes on. Parameters: `model`,
    `checkpoint`, `size`, `fit`, `study`, `row`, `features`, `point`, `groups`, `scenes` and `job`.

    Raises:
        ValueError: the model or probe is not there, or they do not go together.
    """
    from analytics.serve.binding_subject import binding_model
    from analytics.studies.binding_features import StreamReader
    from analytics.studies.discovery_set import measure_discovery

    report(0, 0, "loading the model")
    loaded = binding_model(here, params)
    probe, words = _probe(here, params, loaded)
    # A model without one grid is refused before scenes are made.
    sites = StreamReader(loaded).sites
    record = measure_discovery(
        loaded,
        look_scenes(loaded, int(params["scenes"])),
        discovery_choices(params),
        probe,
        f"{params['row']}, {words}, {params['study']}" if probe is not None else "",
        here.discovery,
        report,
        sites=sites,
        request=params,
    )
    here.discovery.trim(KEEP_RESULTS)
    return record


def discovery_choices(params: Mapping[str, Any]) -> DiscoveryChoices:
    """What a job's parameters say of the search."""
    from analytics.studies.discovery_methods import DiscoveryChoices

    point = params.get("point")
    return DiscoveryChoices(
        features=params["features"],
        point=None if point is None else int(point),
        groups=int(params["groups"]),
        fit=params["fit"],
    )


def _probe(
    here: Services, params: Mapping[str, Any], loaded: LoadedModel
) -> tuple[BindingProbe | None, str]:
    """The probe and what it was fitted on; None where there is none yet."""
    from analytics.serve.binding_work import find_probe

    return find_probe(here, params["study"], params["row"], loaded) if params["row"] else (None, "")
