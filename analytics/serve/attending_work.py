"""Jobs of the Attention view: every head beside a probe, on made scenes and on one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.jobs.queue import Report
from analytics.serve.view_work import begin, look_scenes

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.serve.view_work import Reading
    from analytics.studies.binding_heads import HeadLink

PICTURE_PATCHES = 256
"""Most patches of one picture whose pairs are compared: 32,640 pairs."""


@dataclass(frozen=True, eq=False)
class HeldLink:
    """Every head beside a probe; `scope` says on what, `id` is the job's key.

    `about` is what there is to say of the picture: that its objects are not known, or why they
    could not be taken.
    """

    id: str
    scope: Literal["scenes", "picture"]
    link: HeadLink
    about: str = ""

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.link.nbytes


@dataclass(frozen=True)
class _Given:
    """An annotated picture that is in memory."""

    image: AnnotatedImage

    @property
    def name(self) -> str:
        return self.image.name

    def load(self) -> AnnotatedImage:
        return self.image


def make_scene_link(here: Services, params: Mapping[str, Any], report: Report) -> HeldLink:
    """The record of the job kind `scene-link`: all heads on `scenes` made scenes.

    Parameters: `model`, `checkpoint`, `size`, `fit`, `study`, `row`, `scenes` and `job`.

    Raises:
        ValueError: the model or probe is not there, or they do not go together.
    """
    from analytics.serve.binding_subject import binding_model
    from analytics.serve.binding_work import find_probe
    from analytics.studies.binding_choices import BindingChoices
    from analytics.studies.binding_heads import measure_heads

    report(0, 0, "loading the model")
    loaded = binding_model(here, params)
    report(0, 0, "reading the probe")
    probe, words = find_probe(here, params["study"], params["row"], loaded)
    sources = look_scenes(loaded, int(params["scenes"]))
    chosen = BindingChoices(fit=params["fit"])
    link = measure_heads(loaded, sources, probe, chosen, report, row=params["row"], fitted_on=words)
    return HeldLink(str(params["job"]), "scenes", link)


def make_picture_link(here: Services, params: Mapping[str, Any], report: Report) -> HeldLink:
    """The record of the job kind `picture-link`: all heads on the picture on screen.

    Parameters are those of `serve.binding_work.bound_work`, and `job`. Where objects are not known,
    or too small for the model's patches, attention is compared with the probe alone.

    Raises:
        ValueError: the model, probe or picture is not there, or they do not go together.
    """
    reading = begin(here, params, report)
    subject, about = reading.subject, "Nobody has marked the objects of this picture."
    if subject.instances is not None:
        try:
            link = _measured(reading, params, report, np.asarray(subject.instances), True)
            return HeldLink(str(params["job"]), "picture", link)
        except ValueError as error:
            about = f"Its objects could not be taken: {error}."
    shape = subject.picture.pixels.shape[:2]
    link = _measured(reading, params, report, np.ones(shape, np.int32), False)
    return HeldLink(str(params["job"]), "picture", link, about)


def _measured(
    reading: Reading,
    params: Mapping[str, Any],
    report: Report,
    instances: np.ndarray,
    known: bool,
) -> HeadLink:
    from analytics.studies.binding_choices import BindingChoices
    from analytics.studies.binding_heads import measure_heads

    picture = reading.subject.picture
    image = AnnotatedImage(picture.name, picture.pixels, instances.astype(np.int32))
    return measure_heads(
        reading.loaded,
        [_Given(image)],
        reading.probe,
        BindingChoices(fit=params["fit"], patches=PICTURE_PATCHES),
        report,
        row=params["row"],
        fitted_on=reading.fitted_on,
        known=known,
    )
