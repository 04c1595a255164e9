"""What the jobs of the Binding page look at: a model, and a picture whose objects may be known."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.types import Picture

if TYPE_CHECKING:
    from analytics.io.annotated import AnnotatedImage
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services


@dataclass(frozen=True, eq=False)
class BindingSubject:
    """A picture and, where they are known, its objects.

    `instances` is int32 in the picture's own height and width, 0 where nothing is marked; None
    where nobody has marked the objects. `scene` is the name of a made scene, else empty.
    """

    picture: Picture
    instances: np.ndarray | None = None
    scene: str = ""


def binding_subject(
    here: Services, params: Mapping[str, Any], loaded: LoadedModel
) -> BindingSubject:
    """The picture that a job's parameters name.

    Args:
        here: the server's services.
        params: `scene` (family and seed), else `picture` (SHA-256) and `marks` (id of the objects
            that somebody marked on it) or None.
        loaded: the model; scenes are made for its grid.

    Raises:
        ValueError: the server does not hold the picture or its marks, or these are of another.
    """
    if params.get("scene"):
        image = _scene(params, loaded)
        return BindingSubject(_keep(here, image), image.instances, image.name)
    picture = here.pictures.get(params["picture"])
    if not params.get("marks"):
        return BindingSubject(picture)
    from analytics.serve.marks import find_marks

    marks = find_marks(here, params["marks"])
    if marks.picture != picture.sha256:
        raise ValueError(f"expected marks of {picture.name}, got those of another picture")
    return BindingSubject(picture, marks.instances)


def binding_model(here: Services, params: Mapping[str, Any]) -> LoadedModel:
    """The model that a job's parameters name: `model`, `checkpoint` and `size`."""
    from analytics.models.registry import parse_model
    from analytics.serve.device import resolve_device

    checkpoint = params.get("checkpoint")
    spec = parse_model(params["model"], Path(checkpoint) if checkpoint else None)
    device = resolve_device(here.settings.device)
    return here.models.get(spec, params.get("size"), device, "float32")


def _scene(params: Mapping[str, Any], loaded: LoadedModel) -> AnnotatedImage:
    from analytics.io.scenes import make_scene
    from analytics.studies.binding_images import scene_grid

    family, seed = params["scene"]
    size, patch = scene_grid(loaded)
    return make_scene(family, int(seed), size, patch)


def _keep(here: Services, image: AnnotatedImage) -> Picture:
    """Store a scene as a picture, so that the page shows it and the lens opens it."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image.pixels).save(buffer, "PNG")
    return here.pictures.put(buffer.getvalue(), f"scene {image.name}.png")
