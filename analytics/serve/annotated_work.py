"""The job of the Data view: read annotated pictures and see what their patches keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.jobs.queue import Report
from analytics.serve.annotated_images import ShownImage, live_counts, shown_image
from analytics.serve.annotated_sets import MOST_IMAGES, open_set, set_sources
from analytics.types import PatchGrid, Provenance

if TYPE_CHECKING:
    from analytics.io.annotated import AnnotatedSource
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services

SCENES = "made scenes"


@dataclass(frozen=True, eq=False)
class SurveyedData:
    """Annotated pictures, and what remains of them at every purity.

    `data` are the parameters that name them, `title` and `kind` what they are, in words. `kept`
    and `live` int32 (images, purities, 2) count patches with an object and objects with a patch;
    the last axis is without and with unlabelled patches as one object. `sources[i]` reads
    `images[i]` again. `skipped` names what cannot be read, and why.
    """

    id: str
    data: Mapping[str, Any]
    title: str
    kind: str
    notes: tuple[str, ...]
    grid: PatchGrid
    input_size: tuple[int, int]
    images: tuple[ShownImage, ...]
    sources: tuple[AnnotatedSource, ...]
    skipped: tuple[tuple[str, str], ...]
    kept: np.ndarray
    live: np.ndarray
    model_label: str
    provenance: Provenance

    @property
    def nbytes(self) -> int:
        """Memory of the pictures and counts."""
        return sum(one.nbytes for one in self.images) + self.kept.nbytes + self.live.nbytes


def make_annotated(here: Services, params: Mapping[str, Any], report: Report) -> SurveyedData:
    """The record of the job kind `annotated`.

    Parameters: `model`, `checkpoint`, `size`; `data`, which is `{"set": id}`, or `{"families":
    names, "first": number, "count": scenes, "side": pixels}` for made scenes.

    Raises:
        ValueError: a set that is not known, or none of whose pictures can be read.
    """
    from analytics.serve.binding_subject import binding_model

    report(0, 0, "loading the model")
    loaded = binding_model(here, params)
    report(0, 0, "finding the pictures")
    title, kind, notes, sources = _sources(here, params["data"], loaded)
    grid = input_grid(loaded)
    images, kept_sources, skipped = _read_all(sources, loaded.input_size, grid, report)
    counts = [live_counts(one.most, one.shares) for one in images]
    return SurveyedData(
        id=str(params["job"]),
        data=dict(params["data"]),
        title=title,
        kind=kind,
        notes=tuple(notes),
        grid=grid,
        input_size=loaded.input_size,
        images=tuple(images),
        sources=tuple(kept_sources),
        skipped=tuple(skipped),
        kept=np.array([one[0] for one in counts], np.int32),
        live=np.array([one[1] for one in counts], np.int32),
        model_label=loaded.label,
        provenance=_provenance(loaded, params["data"], images),
    )


def input_grid(loaded: LoadedModel) -> PatchGrid:
    """The patches of a model's input; of about 16 pixels where the model states none."""
    height, width = loaded.input_size
    patch = loaded.patch_size or next(side for side in (16, 14, 8, 4, 2, 1) if height % side == 0)
    if height % patch or width % patch:
        patch = int(np.gcd(height, width))
    return PatchGrid(height // patch, width // patch)


def _sources(
    here: Services, data: Mapping[str, Any], loaded: LoadedModel
) -> tuple[str, str, list[str], Sequence[AnnotatedSource]]:
    """Title, kind, notes and pictures of what the parameters name."""
    if "set" in data:
        found = open_set(here, str(data["set"]))
        sources, notes = set_sources(found), list(found.notes)
        if len(sources) < len(found.sources):
            notes.append(
                f"{len(sources)} of {len(found.sources):,} pictures, drawn at random: probes are "
                "fitted on no more."
            )
        return found.name, found.kind, notes, sources
    return SCENES, "scenes", [], _scenes(data, loaded)


def _scenes(data: Mapping[str, Any], loaded: LoadedModel) -> list[AnnotatedSource]:
    """Scenes that take the families in turn, from a number on."""
    from analytics.io.scenes import MadeScene
    from analytics.studies.binding_images import scene_grid

    size, patch = scene_grid(loaded)
    side = int(data["side"]) or size
    families, first = list(data["families"]), int(data["first"])
    numbers = (divmod(place, len(families)) for place in range(int(data["count"])))
    # On another side the patches of the model's own, so that copies lie on whole patches there.
    fits = patch if side % patch == 0 else 14
    return [MadeScene(families[which], first + more, side, fits) for more, which in numbers]


def _read_all(
    sources: Sequence[AnnotatedSource], size: tuple[int, int], grid: PatchGrid, report: Report
) -> tuple[list[ShownImage], list[AnnotatedSource], list[tuple[str, str]]]:
    images: list[ShownImage] = []
    kept: list[AnnotatedSource] = []
    skipped: list[tuple[str, str]] = []
    known: dict[str, str] = {}
    for number, source in enumerate(sources):
        report(number, len(sources), f"reading picture {number + 1} of {len(sources)}")
        try:
            image = source.load()
        except ValueError as error:
            skipped.append((source.name, str(error).removeprefix(f"{source.name}: ")))
            continue
        shown = shown_image(image, size, grid)
        if shown.sha256 in known:
            skipped.append((image.name, f"the same as {known[shown.sha256]}"))
            continue
        known[shown.sha256] = image.name
        images.append(shown)
        kept.append(source)
    if not images:
        name, reason = skipped[0]
        raise ValueError(f"none of {len(sources)} pictures can be read; {name}: {reason}")
    report(len(sources), len(sources), "done")
    return images, kept, skipped


def _provenance(
    loaded: LoadedModel, data: Mapping[str, Any], images: Sequence[ShownImage]
) -> Provenance:
    from analytics.store.provenance import make_provenance

    return make_provenance(
        "",
        loaded.spec.public_id,
        loaded.weights_sha256,
        {one.name: one.sha256 for one in images},
        {**data, "fit": "crop", "input_size": list(loaded.input_size), "most": MOST_IMAGES},
        device=loaded.device,
    )
