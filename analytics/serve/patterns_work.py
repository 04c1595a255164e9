"""Jobs of the Patterns page: lay out all heads, train a coder, add another model's heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analytics.jobs.queue import Report, Work
from analytics.serve.begun import note_result
from analytics.serve.subject import find_subject

if TYPE_CHECKING:
    from analytics.models.autoencoder import PatternCoder
    from analytics.serve.state import Services
    from analytics.studies.pattern_choices import PatternChoices
    from analytics.studies.patterns_record import Atlas

WIDE = 16
"""Latent values of a coder that UMAP lays out; a plane of its own has two."""

SKETCH = 6
"""Patterns along each side of what a coder draws while it learns."""

KEEP_ATLASES, KEEP_MAPS = 100, 40
"""Results kept on disk: an atlas takes about a megabyte, maps about half of one a picture."""


class HeldAtlas(NamedTuple):
    """An atlas in use, with its coder."""

    atlas: Atlas
    coder: PatternCoder | None

    @property
    def nbytes(self) -> int:
        """Memory of both, about."""
        if self.coder is None:
            return self.atlas.nbytes
        state = self.coder.state_dict().values()
        return self.atlas.nbytes + sum(one.numel() * one.element_size() for one in state)


def patterns_work(here: Services) -> Work:
    """The job kind `patterns`: make an atlas, keep it; the result is its key.

    Parameters: those of `find_subject`, and `train` (whether a coder is fitted on these
    pictures; else the shipped one is taken), `layout` (`autoencoder` or `umap`), `other` (id of
    a model whose heads are added, or None) and `job` (the job's own key).
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.capture.tracing import find_sites
        from analytics.studies.pattern_choices import atlas_key
        from analytics.studies.patterns import make_atlas
        from analytics.studies.pictures import survey

        subject = find_subject(here, params, report)
        report(0, 0, "finding where the model attends")
        sites = find_sites(subject.loaded.module, subject.loaded.input_size)
        choices, sha256s = choices_of(params), survey(subject.images).sha256s
        key = atlas_key(subject.loaded, sha256s, choices)
        note_result(here, str(params["job"]), key)
        atlas, coder = make_atlas(
            subject.loaded,
            subject.images,
            choices,
            here.patterns,
            here.pattern_maps,
            report,
            sites=sites,
        )
        if params["other"]:
            atlas = _with_other(here, atlas, coder, params, report)
        here.patterns.trim(KEEP_ATLASES)
        here.pattern_maps.trim(KEEP_MAPS)
        return atlas.id

    return work


def choices_of(params: Mapping[str, Any]) -> PatternChoices:
    """What the page's choices mean for the study."""
    from analytics.studies.pattern_choices import PatternChoices

    umap = params["layout"] == "umap"
    return PatternChoices(
        latent=WIDE if umap else 2,
        layout="umap" if umap else None,
        pretrained=not params["train"],
        fit=params["fit"],
        seed=int(params["seed"]),
    )


def _with_other(
    here: Services, atlas: Atlas, coder: PatternCoder, params: Mapping[str, Any], report: Report
) -> Atlas:
    """The atlas with a second model's heads, kept under an id of its own."""
    from dataclasses import replace

    from analytics.store.results import content_key
    from analytics.studies.pattern_placing import place
    from analytics.studies.patterns_store import load_atlas, save_atlas

    chosen = {"model": params["other"], "checkpoint": None, "size": None}
    second = find_subject(here, {**params, **chosen}, report)
    loaded = second.loaded
    model = [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size)]
    key = content_key({"atlas": atlas.id, "placed": model})
    known = load_atlas(here.patterns, key)
    if known is not None:
        return known
    placed = replace(
        place(atlas, coder, loaded, second.images, params["fit"], here.pattern_maps, report),
        id=key,
    )
    plan = {"id": key, "model_label": loaded.label}
    here.patterns.begin(key, plan)
    save_atlas(here.patterns, placed, coder)
    return placed


def held_atlas(here: Services, key: str) -> Atlas | None:
    """A finished atlas, from memory where it was used lately; None where there is none."""
    found = _held(here, key)
    return found.atlas if found else None


def _held(here: Services, key: str) -> HeldAtlas | None:
    found = here.atlases.get(key)
    if found is None:
        from analytics.studies.patterns_store import load_atlas, load_coder

        atlas = load_atlas(here.patterns, key)
        if atlas is not None:
            found = HeldAtlas(atlas, load_coder(here.patterns, key))
            here.atlases.put(key, found, found.nbytes)
    return found


def find_maps(here: Services, atlas: Atlas, row: int) -> tuple[np.ndarray, ...] | None:
    """Map and cls row of one point, real and as the coder draws them; None where not kept."""
    from analytics.studies.pattern_placing import point_patterns

    found = _held(here, atlas.id)
    if found is None or found.coder is None:
        return None
    maps = point_patterns(atlas, found.coder, here.pattern_maps, row)
    return (maps.real, maps.real_cls, maps.rebuilt, maps.rebuilt_cls) if maps else None


def coder_file(here: Services, atlas: Atlas) -> bytes | None:
    """The coder's weights as safetensors; None where it is not kept."""
    from analytics.models.autoencoder import coder_bytes

    found = _held(here, atlas.id)
    if found is None or found.coder is None:
        return None
    made = atlas.provenance
    about = {"model": made.model, "weights_sha256": made.weights_sha256, "atlas": atlas.id}
    return coder_bytes(found.coder, about)


def training_losses(here: Services, key: str) -> dict[str, Any] | None:
    """`train` and `held_out` losses so far and `epochs` wanted; None before the first epoch."""
    from analytics.studies.patterns_store import load_losses

    return load_losses(here.patterns, key)


def sketch(here: Services, key: str, atlas: Atlas) -> np.ndarray | None:
    """What a coder draws in the middle of its training, over a grid of the latents it uses.

    Args:
        here: the services.
        key: of the atlas that is in training.
        atlas: a finished one; its patterns are coded to see which latents are in use.

    Returns:
        uint8 (6, 6, side, side) over the first two latents, the second one upwards; None
        before the first epoch has ended.
    """
    import torch

    from analytics.models.autoencoder import restore_coder
    from analytics.studies.pattern_layout import as_bytes
    from analytics.studies.patterns_store import held_fit

    state = held_fit(here.patterns, key, "cpu")
    if state is None:
        return None
    tensors = {n[4:]: one for n, one in state.tensors.items() if n.startswith("net.")}
    coder = restore_coder("autoencoder", len(tensors["latent_mean"]), tensors)
    maps, cls = (
        torch.from_numpy(one.reshape(-1, *one.shape[2:]) / np.float32(255))
        for one in (atlas.decoded, atlas.decoded_cls)
    )
    with torch.no_grad():
        used = coder.raw(coder.scaling.join(maps, cls)).numpy()
        low, high = np.percentile(used[:, :2], [2, 98], axis=0)
        x, y = (np.linspace(low[i], high[i], SKETCH) for i in (0, 1))
        wanted = np.tile(used.mean(0), (SKETCH * SKETCH, 1)).astype(np.float32)
        wanted[:, :2] = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        drawn = coder.scaling.split(coder.draw(torch.from_numpy(wanted)))[0]
    return as_bytes(drawn.numpy()).reshape(SKETCH, SKETCH, *drawn.shape[1:])
