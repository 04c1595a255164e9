"""The job of the Subspace view: a picture's patches as the directions of a probe lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import Report
from analytics.serve.view_work import begin
from analytics.types import Picture, Provenance

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.binding_layout import BindingLayout


@dataclass(frozen=True, eq=False)
class SubspaceLook:
    """A layout and what belongs to it.

    `study` is the key of the result whose probe it is, or `shipped`; `row` the probe's name and
    `fitted_on` what it learned from, in words; `scene` the name of a made scene, else empty.
    """

    id: str
    study: str
    row: str
    fitted_on: str
    layout: BindingLayout
    picture: Picture
    scene: str
    model_label: str
    caution: str
    provenance: Provenance

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.layout.nbytes + self.picture.pixels.nbytes


def make_subspace(here: Services, params: Mapping[str, Any], report: Report) -> SubspaceLook:
    """The record of the job kind `subspace`.

    Parameters are those of `serve.binding_work.bound_work`, and `job`.

    Raises:
        ValueError: the model, probe or picture is not there, or they do not go together.
    """
    from analytics.store.provenance import make_provenance
    from analytics.studies.binding_layout import lay_out_binding

    reading = begin(here, params, report)
    loaded, subject = reading.loaded, reading.subject
    layout = lay_out_binding(
        reading.probe, loaded, subject.picture, subject.instances, params["fit"], report
    )
    asked = {name: params.get(name) for name in ("fit", "scene", "study", "row")}
    return SubspaceLook(
        id=str(params["job"]),
        study=params["study"],
        row=params["row"],
        fitted_on=reading.fitted_on,
        layout=layout,
        picture=subject.picture,
        scene=subject.scene,
        model_label=loaded.label,
        caution=loaded.caution,
        provenance=make_provenance(
            "",
            loaded.spec.public_id,
            loaded.weights_sha256,
            {subject.picture.name: subject.picture.sha256},
            {**asked, "input_size": list(loaded.input_size)},
            device=loaded.device,
        ),
    )
