"""Jobs of the ablation view: the sweep over made scenes, and one picture before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.jobs.queue import Report
from analytics.serve.importance_work import KEEP_RESULTS
from analytics.serve.view_work import Reading, begin, look_scenes

if TYPE_CHECKING:
    from analytics.serve.binding_work import BoundPicture
    from analytics.serve.state import Services
    from analytics.studies.binding_ablation_record import BindingAblation
    from analytics.studies.binding_map import SameObjectMap

SCENES = (24, 48, 96)
"""Numbers of made scenes on offer; the first is the preview."""

STEPS = (0.0, 0.5, 1.0)
"""Ratios and alphas of the preview: each costs a pass over all scenes for every subspace."""

FINE_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)

SWEPT = ("binding", "principal", "random", "stream")


@dataclass(frozen=True, eq=False)
class HeldAblation:
    """The sweep as far as it is measured, with what the probe learned from in words."""

    record: BindingAblation
    row: str
    fitted_on: str

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return int(self.record.values.nbytes + self.record.moved.nbytes) + 1000


@dataclass(frozen=True, eq=False)
class EditedPicture:
    """A picture as the probe reads it at the last point, unchanged and with an edit.

    `moved` is the energy of the edit as a share of the variance of the picture's patches.
    """

    id: str
    point: int
    dimensions: int | None
    edit: str
    subspace: str
    amount: float
    before: BoundPicture
    after: BoundPicture
    moved: float

    @property
    def nbytes(self) -> int:
        """Memory of the arrays; both maps share one picture."""
        return self.before.nbytes + self.after.same.z.nbytes + self.after.same.own.nbytes


def make_ablation(here: Services, params: Mapping[str, Any], report: Report) -> HeldAblation:
    """The record of a sweep over made scenes, which the picture on screen has no part in.

    Parameters: `model`, `checkpoint`, `size`, `fit`, `study`, `row`, `point`, `dimensions` (None:
    all), `scenes` and `job`.

    It is kept on disk step by step, so that a stopped one goes on, and held under `partial_key`
    as it grows.
    """
    from analytics.serve.binding_subject import binding_model
    from analytics.serve.binding_work import find_probe
    from analytics.studies.binding_ablation import measure_ablation
    from analytics.studies.binding_ablation_record import AblationChoices

    report(0, 0, "loading the model")
    loaded = binding_model(here, params)
    report(0, 0, "reading the probe")
    probe, words = find_probe(here, params["study"], params["row"], loaded)
    scenes = int(params["scenes"])
    amounts = STEPS if scenes == SCENES[0] else FINE_STEPS

    def keep(record: BindingAblation) -> None:
        held = HeldAblation(record, params["row"], words)
        here.views.put(partial_key(str(params["job"])), held, held.nbytes)

    record = measure_ablation(
        loaded,
        look_scenes(loaded, scenes),
        probe,
        AblationChoices(
            point=int(params["point"]),
            ratios=amounts,
            alphas=amounts[::-1],
            subspaces=SWEPT,  # type: ignore[arg-type]
            dimensions=params["dimensions"],
            fit=params["fit"],
        ),
        report,
        store=here.ablations,
        partial=keep,
    )
    here.ablations.trim(KEEP_RESULTS)
    return HeldAblation(record, params["row"], words)


def partial_key(job: str) -> str:
    """Where a sweep is held while it is measured."""
    return f"{job}-partial"


def held_ablation(here: Services, job: str) -> HeldAblation | None:
    """A job's sweep as far as it is measured; None where nothing is held."""
    for key in (job, partial_key(job)):
        found = here.views.get(key)
        if isinstance(found, HeldAblation):
            return found
    return None


def make_edited(here: Services, params: Mapping[str, Any], report: Report) -> EditedPicture:
    """One picture; parameters `point`, `dimensions`, `edit`, `amount` and `subspace`.

    Raises:
        ValueError: an injection into a picture whose objects nobody has marked.
    """
    from analytics.studies.binding_edited import edited_maps

    start = begin(here, params, report)
    report(0, 0, "running the model with the changed stream")
    subject = start.subject
    before, after, moved = edited_maps(
        start.probe,
        start.loaded,
        subject.picture,
        None if subject.instances is None else np.asarray(subject.instances),
        int(params["point"]),
        params["dimensions"],
        params["subspace"],
        params["edit"],
        float(params["amount"]),
        params["fit"],
    )
    key = str(params["job"])
    bound = _bound(start, params, before)
    return EditedPicture(
        id=key,
        point=int(params["point"]),
        dimensions=params["dimensions"],
        edit=params["edit"],
        subspace=params["subspace"],
        amount=float(params["amount"]),
        before=replace(bound, id=f"{key}-before"),
        after=replace(bound, id=f"{key}-after", same=after),
        moved=moved,
    )


def _bound(start: Reading, params: Mapping[str, Any], same: SameObjectMap) -> BoundPicture:
    from analytics.io.fitting import fit_mask, place
    from analytics.metrics.patch_objects import patch_objects
    from analytics.serve.binding_work import BoundPicture
    from analytics.store.provenance import make_provenance

    loaded, picture, known = start.loaded, start.subject.picture, start.subject.instances
    placement = place(picture.height, picture.width, params["fit"], *loaded.input_size)
    mask = None if known is None else fit_mask(np.asarray(known), placement)
    names = ("fit", "scene", "marks", "study", "row", "point", "dimensions", "edit", "subspace")
    asked = {name: params.get(name) for name in (*names, "amount")}
    return BoundPicture(
        id="",
        study=params["study"],
        row=params["row"],
        fitted_on=start.fitted_on,
        same=same,
        picture=picture,
        placement=placement,
        scene=start.subject.scene,
        mask=mask,
        objects=None if mask is None else patch_objects(mask, same.grid)[0],
        model_label=loaded.label,
        caution=loaded.caution,
        provenance=make_provenance(
            "",
            loaded.spec.public_id,
            loaded.weights_sha256,
            {picture.name: picture.sha256},
            {**asked, "input_size": list(loaded.input_size)},
            device=loaded.device,
        ),
    )


def held_edited(here: Services, key: str) -> EditedPicture | None:
    """A job's picture, with its maps where the routes find them; None where it has left."""
    found = here.views.get(key)
    if not isinstance(found, EditedPicture):
        return None
    for bound in (found.before, found.after):
        if here.bounds.get(bound.id) is None:
            here.bounds.put(bound.id, bound, bound.nbytes)
    return found
