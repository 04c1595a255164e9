"""Jobs of the Binding page: fit probes on made scenes, and read a picture with one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from analytics.jobs.queue import Report, Work
from analytics.serve.binding_subject import binding_model, binding_subject, scene_grid
from analytics.serve.importance_work import KEEP_RESULTS
from analytics.store.results import content_key
from analytics.types import Fit, Picture, Placement, Provenance

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services
    from analytics.studies.binding_map import SameObjectMap
    from analytics.studies.binding_record import Binding

PREVIEW_SCENES, WHOLE_SCENES = 66, 480
KEEP_FEATURES = 2
"""Features of 480 scenes take 0.3 GB: those of the last two sets stay."""

SHIPPED = "shipped"
SHIPPED_FILE = "binding_vit_small_patch14.safetensors"
"""Probes of the bundled model, in the folder of its weights."""


@dataclass(frozen=True, eq=False)
class BoundPicture:
    """A picture as a probe reads it: P(same object) of any two patches at every point.

    `study` is the key of the result whose probe it is, or `shipped`; `row` the probe's name and
    `fitted_on` what it learned from, in words. Of a made scene `scene` is its name, `mask` int32
    (height, width) of the model's input, and `objects` int32 (rows, columns), -1 for a patch
    without an object; of a photograph they are empty and None.
    """

    id: str
    study: str
    row: str
    fitted_on: str
    same: SameObjectMap
    picture: Picture
    placement: Placement
    scene: str
    mask: np.ndarray | None
    objects: np.ndarray | None
    model_label: str
    caution: str
    provenance: Provenance

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.same.z, self.same.own, self.same.signs, self.picture.pixels, self.mask)
        return sum(one.nbytes for one in arrays if one is not None)


def binding_work(here: Services) -> Work:
    """The job kind `binding`: fit probes and keep them unit by unit; the result is the key.

    Parameters: `model`, `checkpoint`, `size`, `fit`, `whole` (all probes on many scenes, instead
    of the preview), `seed` (of the scenes) and `job` (the job's own key, by which the page finds
    partial results).
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.io.scenes import scene_sources
        from analytics.studies.binding import measure_binding
        from analytics.studies.binding_choices import PREVIEW, BindingChoices
        from analytics.studies.binding_features import StreamReader

        report(0, 0, "loading the model")
        loaded = binding_model(here, params)
        report(0, 0, "finding where the model attends")
        # A model without one grid is refused before scenes are made.
        sites = StreamReader(loaded).sites
        size, patch = scene_grid(loaded)
        count = WHOLE_SCENES if params["whole"] else PREVIEW_SCENES
        record = measure_binding(
            loaded,
            scene_sources(count, int(params["seed"]), size, patch=patch),
            replace(BindingChoices() if params["whole"] else PREVIEW, fit=params["fit"]),
            here.binding,
            here.binding_features,
            report,
            sites=sites,
            request=params,
        )
        here.binding.trim(KEEP_RESULTS)
        here.binding_features.trim(KEEP_FEATURES)
        return record.id

    return work


def bound_work(here: Services) -> Work:
    """The job kind `bound`: read a picture with a fitted probe and hold the result.

    Parameters: `model`, `checkpoint`, `size`, `fit`, `picture` (SHA-256) or `scene` (family and
    seed), `study` (key of a result, or `shipped`) and `row` (name of the probe). The result is
    the id of a `BoundPicture`.
    """
    # Where a model attends is found once for as long as the pool holds the model.
    sites: WeakKeyDictionary[Any, SiteMap] = WeakKeyDictionary()

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.studies.binding_features import StreamReader

        report(0, 0, "loading the model")
        loaded = binding_model(here, params)
        known = bound_key(loaded, params)
        if here.bounds.get(known) is not None:
            return known
        report(0, 0, "reading the probe")
        probe, words = find_probe(here, params["study"], params["row"], loaded)
        if loaded.module not in sites:
            sites[loaded.module] = StreamReader(loaded).sites
        report(0, 0, "reading the picture with the probe")
        found = _read(here, params, loaded, probe, sites[loaded.module])
        found = replace(found, id=known, fitted_on=words)
        here.bounds.put(known, found, found.nbytes)
        return known

    return work


def bound_key(loaded: LoadedModel, params: Mapping[str, Any]) -> str:
    """The id of a picture as a probe reads it."""
    names = ("picture", "scene", "fit", "study", "row")
    model = [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype]
    return content_key({"bound": 1, "model": model, **{name: params.get(name) for name in names}})


def _read(
    here: Services,
    params: Mapping[str, Any],
    loaded: LoadedModel,
    probe: BindingProbe,
    sites: SiteMap,
) -> BoundPicture:
    from analytics.io.fitting import fit_mask, place
    from analytics.metrics.patch_objects import patch_objects
    from analytics.store.provenance import make_provenance
    from analytics.studies.binding_map import same_object_map

    subject = binding_subject(here, params, loaded)
    picture = subject.picture
    fit: Fit = params["fit"]
    same = same_object_map(probe, loaded, picture, None, fit, sites)
    placement = place(picture.height, picture.width, fit, *loaded.input_size)
    mask = None if subject.instances is None else fit_mask(subject.instances, placement)
    asked = {name: params.get(name) for name in ("fit", "scene", "study", "row")}
    return BoundPicture(
        id="",
        study=params["study"],
        row=params["row"],
        fitted_on="",
        same=same,
        picture=picture,
        placement=placement,
        scene=subject.scene,
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


def find_probe(
    here: Services, study: str, row: str, loaded: LoadedModel
) -> tuple[BindingProbe, str]:
    """A fitted probe and, in words, what it was fitted on.

    Raises:
        ValueError: there is none of that name, or it was fitted on another model.
    """
    from analytics.studies.binding_record import load_binding_probes

    if study == SHIPPED:
        found, words = shipped_probes(loaded.weights_sha256), "made scenes (it comes with the app)"
        if row in found and "train_images" in found[row].about:
            words = f"{found[row].about['train_images']} made scenes (it comes with the app)"
    else:
        record = held_binding(here, study)
        if record is not None and record.provenance.weights_sha256 != loaded.weights_sha256:
            raise ValueError(
                f"expected a probe of {loaded.label}, got one of {record.model_label}; fit probes "
                "on this model"
            )
        seed = record.seeds[0] if record is not None else 0
        found = load_binding_probes(here.binding, study, seed) if record is not None else {}
        words = fitted_words(record) if record is not None else ""
    if row not in found:
        raise ValueError(f"the {row} probe is no longer kept by the server; fit it again")
    return found[row], words


def fitted_words(record: Binding) -> str:
    """What the probes of a result learned from."""
    train = sum(one.part == "train" for one in record.images)
    return f"{train} made scenes"


def shipped_probes(weights_sha256: str | None = None) -> dict[str, BindingProbe]:
    """The probes that come with the app, by name; none for other weights or without the file."""
    from analytics.models.binding_probes import read_probes

    path = shipped_path()
    try:
        probes, about = read_probes(path) if path.is_file() else ({}, {})
    except ValueError:
        return {}
    return probes if weights_sha256 in (None, about.get("weights_sha256", weights_sha256)) else {}


def shipped_path() -> Path:
    """Where probes of the bundled model lie, if there are any."""
    from analytics.models.bundled import weights_folder

    return weights_folder() / SHIPPED_FILE


def find_binding(here: Services, job: str) -> str | None:
    """Key of the result that a job began, whole or in part; None where there is none."""
    for key in here.binding.keys():  # noqa: SIM118  # a store, no mapping
        plan = here.binding.plan(key)
        if plan is not None and plan.get("request", {}).get("job") == job:
            return key
    return None


def held_binding(here: Services, key: str) -> Binding | None:
    """The result of a key as it stands, from memory where nothing was added since."""
    name = (key, here.binding.count(key))
    found = here.bindings.get(name)
    if found is None:
        from analytics.studies.binding_record import load_binding

        found = load_binding(here.binding, key)
        if found is not None:
            here.bindings.put(name, found, found.nbytes)
    return found
