"""Jobs of the Binding page: fit probes on pictures with masks, and read a picture with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from analytics.jobs.queue import Report, Work
from analytics.serve.binding_subject import binding_model, binding_subject
from analytics.serve.importance_work import KEEP_RESULTS
from analytics.store.results import content_key
from analytics.types import Fit, Picture, Placement, Provenance

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.annotated import AnnotatedSource
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services
    from analytics.studies.binding_choices import BindingChoices
    from analytics.studies.binding_map import SameObjectMap
    from analytics.studies.binding_record import Binding

PREVIEW_SCENES, WHOLE_SCENES = 66, 480
KEEP_FEATURES = 2
"""Features of 480 scenes take 0.3 GB: those of the last two sets stay."""

SHIPPED = "shipped"
"""In place of a result's key: the probes that come with the app."""


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

    Parameters: `model`, `checkpoint`, `size`, `fit`, `whole` (all probes on many pictures, instead
    of the preview), `seed` (of the scenes, or of the draw out of a set) and `job` (the job's own
    key, by which the page finds partial results). If given, `data` (id of an annotated set in
    place of made scenes), `purity` and `count_background` (see `BindingChoices`).
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.studies.binding import measure_binding
        from analytics.studies.binding_features import StreamReader

        report(0, 0, "loading the model")
        loaded = binding_model(here, params)
        report(0, 0, "finding where the model attends")
        # A model without one grid is refused before scenes are made.
        sites = StreamReader(loaded).sites
        record = measure_binding(
            loaded,
            _study_sources(here, params, loaded),
            _choices(params),
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


def _study_sources(
    here: Services, params: Mapping[str, Any], loaded: LoadedModel
) -> Sequence[AnnotatedSource]:
    """The pictures that probes are fitted on: made scenes, or those of an annotated set."""
    from analytics.io.scenes import scene_sources
    from analytics.serve.annotated_sets import open_set, set_sources
    from analytics.studies.binding_images import scene_grid

    count, seed = WHOLE_SCENES if params["whole"] else PREVIEW_SCENES, int(params["seed"])
    if params.get("data"):
        return set_sources(open_set(here, str(params["data"])), count, seed)
    size, patch = scene_grid(loaded)
    return scene_sources(count, seed, size, patch=patch)


def _choices(params: Mapping[str, Any]) -> BindingChoices:
    """All probes or the preview, with what the parameters say of patches."""
    from analytics.studies.binding_choices import PREVIEW, BindingChoices

    chosen = BindingChoices() if params["whole"] else PREVIEW
    return replace(
        chosen,
        fit=params["fit"],
        purity=float(params.get("purity", chosen.purity)),
        count_background=bool(params.get("count_background", chosen.count_background)),
    )


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
    names = ("picture", "scene", "marks", "fit", "study", "row")
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
    asked = {name: params.get(name) for name in ("fit", "scene", "marks", "study", "row")}
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
    from analytics.studies.binding_ready import ready_probes
    from analytics.studies.binding_record import load_binding_probes

    if study == SHIPPED:
        found, words = ready_probes(loaded) or {}, "made scenes (it comes with the app)"
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
        words = fitted_words(record, set_name(here, study)) if record is not None else ""
    if row not in found:
        raise ValueError(f"the {row} probe is no longer kept by the server; fit it again")
    return found[row], words


def fitted_words(record: Binding, name: str = "") -> str:
    """What the probes of a result learned from: made scenes, or pictures of the set `name`."""
    train = sum(one.part == "train" for one in record.images)
    if any(record.families):
        return f"{train} made scenes"
    return f"{train} pictures of {name}" if name else f"{train} annotated pictures"


def set_name(here: Services, study: str) -> str:
    """What the annotated set of a result is called; empty for scenes, or where it is unknown."""
    from analytics.serve.annotated_sets import kept_set

    request = (here.binding.plan(study) or {}).get("request") or {}
    kept = kept_set(here, str(request.get("data") or ""))
    return kept.name if kept is not None else ""


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
