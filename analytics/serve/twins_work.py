"""The job of the view of identical copies: draw a layout, measure it, read it with a probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from analytics.jobs.queue import Report
from analytics.serve.view_work import Make
from analytics.types import PatchGrid, Provenance

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.scenes_canvas import Canvas
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.serve.binding_work import BoundPicture
    from analytics.serve.state import Services
    from analytics.studies.binding_copies import BindingCopies

PURITY = 0.6
"""Least share of a copy in its patches where the ground repeats; elsewhere patches count only
where a copy fills them, as the rest of a patch would differ."""


@dataclass(frozen=True, eq=False)
class HeldTwins:
    """A canvas of copies, what was measured on it, and the canvas as the probe reads it.

    `asked` is the layout as it was asked for, `canvas.layout` what was laid. `copies` is None
    where fewer than two copies can be compared. `bounds` holds the maps with the model's position
    embedding and, where it has one, with zeros for it; nothing without a probe. `patch` is height
    and width in pixels.
    """

    id: str
    asked: str
    canvas: Canvas
    grid: PatchGrid
    patch: tuple[int, int]
    copies: BindingCopies | None
    bounds: tuple[BoundPicture, ...]
    points: int
    row: str
    fitted_on: str
    model_label: str
    caution: str
    notes: tuple[str, ...]
    provenance: Provenance

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        image = self.canvas.image
        whole = sum(one.nbytes for one in (image.amodal or {}).values())
        drawn = (image.pixels, image.instances, self.canvas.ground, self.canvas.sprite.pixels)
        read = sum(one.nbytes for one in self.bounds)
        return whole + read + sum(one.nbytes for one in drawn)


def twins_maker() -> Make:
    """What makes a `HeldTwins`.

    Parameters: `model`, `checkpoint`, `size`; `layout` (see `io.canvas_places.layout_text`);
    `study` and `row` of the probe, empty without one; for a marked object those that name the
    picture, see `binding_subject`.
    """
    # Where a model attends is found once for as long as the pool holds the model.
    sites: WeakKeyDictionary[Any, SiteMap] = WeakKeyDictionary()

    def make(here: Services, params: Mapping[str, Any], report: Report) -> HeldTwins:
        from analytics.serve.binding_subject import binding_model
        from analytics.serve.binding_work import find_probe
        from analytics.studies.binding_features import StreamReader

        report(0, 5, "loading the model")
        loaded = binding_model(here, params)
        reader = StreamReader(loaded, sites.get(loaded.module))
        sites[loaded.module] = reader.sites
        probe, words = None, ""
        if params["row"]:
            probe, words = find_probe(here, params["study"], params["row"], loaded)
        report(1, 5, "drawing the copies")
        canvas, patch = _drawn(here, params, loaded, reader.layout.grid)
        found = _measured(loaded, canvas, reader, probe, report)
        held = replace(
            found,
            id=str(params["job"]),
            asked=params["layout"],
            row=params["row"] or "",
            fitted_on=words,
            patch=patch,
        )
        held = replace(held, bounds=_read(held, params, loaded, reader, probe, report))
        report(5, 5, "done")
        return held

    return make


def _drawn(
    here: Services, params: Mapping[str, Any], loaded: LoadedModel, grid: PatchGrid
) -> tuple[Canvas, tuple[int, int]]:
    """The canvas, in the model's input size, and the size of its patches."""
    from analytics.io.canvas_places import read_layout
    from analytics.io.scenes_canvas import canvas_of_copies, marked_object
    from analytics.serve.binding_subject import binding_subject

    layout = read_layout(params["layout"])
    height, width = loaded.input_size
    patch = height // grid.rows, width // grid.columns
    marked = None
    if layout.object.startswith("marked:"):
        known = params.get("scene") or params.get("picture")
        subject = binding_subject(here, params, loaded) if known else None
        if subject is not None and subject.instances is not None:
            number = int("0" + layout.object.removeprefix("marked:"))
            marked = marked_object(subject.picture.pixels, subject.instances, number)
    return canvas_of_copies(layout, (height, width), patch, marked), patch


def _measured(
    loaded: LoadedModel, canvas: Canvas, reader: Any, probe: BindingProbe | None, report: Report
) -> HeldTwins:
    """The record without maps."""
    from analytics.io.canvas_places import layout_text
    from analytics.io.scenes_canvas import REPEATING
    from analytics.store.provenance import make_provenance
    from analytics.studies.binding_copies import corresponding_patches, measure_copies

    grid, image, notes = reader.layout.grid, canvas.image, list(canvas.notes)
    purity = PURITY if canvas.layout.ground in REPEATING else 1.0
    copies = None
    try:
        corresponding_patches(image, grid, purity=purity)
    except ValueError:
        notes.append(_reason(len(canvas.layout.places), purity))
    else:

        def steps(done: float, total: float, message: str = "") -> None:
            report(1 + done, 5, f"running the model {message}")

        copies = measure_copies(loaded, image, probe, steps, sites=reader.sites, purity=purity)
        notes += copies.notes
    return HeldTwins(
        id="",
        asked="",
        canvas=canvas,
        grid=grid,
        patch=(1, 1),
        copies=copies,
        bounds=(),
        points=reader.layers + 1,
        row="",
        fitted_on="",
        model_label=loaded.label,
        caution=loaded.caution,
        notes=tuple(notes),
        provenance=make_provenance(
            "",
            loaded.spec.public_id,
            loaded.weights_sha256,
            {image.name: image.sha256},
            {
                "layout": layout_text(canvas.layout),
                "purity": purity,
                "input_size": list(loaded.input_size),
                "dtype": loaded.dtype,
            },
            seed=canvas.layout.seed,
            device=loaded.device,
        ),
    )


def _reason(count: int, purity: float) -> str:
    if count < 2:
        return "One copy has none to be compared with: add another."
    if purity < 1:
        return "No patch shows the same place of all copies: take a larger object."
    return (
        "On this ground patches count only where a copy fills them, and none is filled in all "
        "copies: take a larger object, or a ground that repeats."
    )


def _read(
    held: HeldTwins,
    params: Mapping[str, Any],
    loaded: LoadedModel,
    reader: Any,
    probe: BindingProbe | None,
    report: Report,
) -> tuple[BoundPicture, ...]:
    """The canvas as the probe reads it, with position embedding and, where it can be, without."""
    from analytics.io.fitting import place
    from analytics.metrics.patch_objects import patch_objects
    from analytics.serve.binding_work import BoundPicture
    from analytics.studies.binding_copies import has_positions, without_positions
    from analytics.studies.binding_map import same_object_map

    if probe is None:
        return ()
    report(3, 5, "reading the canvas with the probe")
    models = [loaded]
    if has_positions(loaded.module):
        models.append(replace(loaded, module=without_positions(loaded.module)))
    image = held.canvas.image
    objects = patch_objects(image.instances, held.grid)[0]
    return tuple(
        BoundPicture(
            id=f"{held.id}-{number}",
            study=params["study"],
            row=params["row"],
            fitted_on=held.fitted_on,
            same=same_object_map(probe, one, image.picture, None, "crop", reader.sites),
            picture=image.picture,
            placement=place(image.height, image.width, "crop", *loaded.input_size),
            scene=image.name,
            mask=image.instances,
            objects=np.asarray(objects),
            model_label=held.model_label,
            caution=held.caution,
            provenance=held.provenance,
        )
        for number, one in enumerate(models)
    )


def held_twins(here: Services, key: str) -> HeldTwins | None:
    """The record of a job, with its maps where the routes find them; None where it has left."""
    found = here.views.get(key)
    if not isinstance(found, HeldTwins):
        return None
    for bound in found.bounds:
        if here.bounds.get(bound.id) is None:
            here.bounds.put(bound.id, bound, bound.nbytes)
    return found
