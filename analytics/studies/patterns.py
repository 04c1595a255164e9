"""In what patterns heads look: every head on every picture laid out by its attention map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.store.results import ResultStore
from analytics.studies.attend import Progress
from analytics.studies.pattern_atlas import assemble, finite_points, map_tensors
from analytics.studies.pattern_choices import PatternChoices, atlas_key, shipped_coder
from analytics.studies.pattern_maps import SmallMaps, small_maps
from analytics.studies.patterns_record import Atlas
from analytics.studies.pictures import Survey, survey

if TYPE_CHECKING:
    import torch

    from analytics.capture.sites import SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.autoencoder import PatternCoder
    from analytics.models.registry import LoadedModel
    from analytics.studies.pattern_fit import Fitted

MOST_FITTED, MOST_HELD_OUT = 30_000, 8_000
"""Most maps that a fit, and its check, take of a large set, drawn at random."""

HELD_OUT = 0.2
"""Share of the pictures that the coder is not fitted on."""


def make_atlas(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    choices: PatternChoices | None = None,
    store: ResultStore | None = None,
    maps: ResultStore | None = None,
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
) -> tuple[Atlas, PatternCoder]:
    """Lay out every head on every picture by its attention map.

    The maps are read in one pass over the pictures and kept; a coder is fitted on four
    pictures of five and judged on the rest, beside principal components of the same size. A
    run that was cancelled or killed goes on after the last part and the last whole epoch.

    Args:
        loaded: the model.
        images: pictures; one that cannot be read is skipped with its reason.
        choices: size of the latent, epochs, layout, clusters; `pretrained` takes the shipped coder,
            which ignores `latent` and `epochs`.
        store: where the fit and the atlas are kept, with the losses so far (`load_losses`).
        maps: where the small maps are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends, when already known.

    Raises:
        ValueError: no picture can be read, no layer in which patches attend to patches, no map that
            is finite, or choices that do not go together.
    """
    from analytics.studies.patterns_store import load_atlas, load_coder, save_atlas

    chosen = (choices or PatternChoices()).checked()
    report = progress or (lambda done, total, message: None)
    report(0, 0, "reading the pictures")
    found = survey(images)
    key = atlas_key(loaded, found.sha256s, chosen)
    if store is not None:
        atlas, coder = load_atlas(store, key), load_coder(store, key)
        if atlas is not None and coder is not None:
            return atlas, coder
        store.begin(key, {"id": key, "model_label": loaded.label})
    atlas, coder = _build(loaded, found, key, chosen, store, maps, report, sites, command, None)
    if store is not None:
        save_atlas(store, atlas, coder)
    report(1, 1, "done")
    return atlas, coder


def partial_atlas(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    choices: PatternChoices,
    store: ResultStore,
    maps: ResultStore,
    command: str = "",
) -> tuple[Atlas, PatternCoder] | None:
    """The atlas as far as an interrupted `make_atlas` got; None before the first whole epoch.

    It is not kept: the fit goes on where it stopped.
    """
    from analytics.studies.patterns_store import load_losses

    chosen, found = choices.checked(), survey(images)
    key = atlas_key(loaded, found.sha256s, chosen)
    losses = load_losses(store, key)
    if losses is None or not losses["train"]:
        return None

    def quiet(done: float, total: float, message: str) -> None:
        """Says nothing."""

    stop = len(losses["train"])
    return _build(loaded, found, key, chosen, store, maps, quiet, None, command, stop)


def _build(
    loaded: LoadedModel,
    found: Survey,
    key: str,
    chosen: PatternChoices,
    store: ResultStore | None,
    maps: ResultStore | None,
    report: Progress,
    sites: SiteMap | None,
    command: str,
    stop: int | None,
) -> tuple[Atlas, PatternCoder]:
    small = small_maps(loaded, found, chosen.fit, maps, report, sites)
    points = finite_points(small)
    held_out = _held_out(len(small.names), chosen)
    fitted, notes = _coder(loaded, small, points, held_out, chosen, store, key, report, stop)
    report(0, 0, "laying out the maps")
    atlas = assemble(
        loaded, key, small, points, held_out, chosen, fitted, notes, found.wanted, command
    )
    return atlas, fitted.coder


def _held_out(pictures: int, chosen: PatternChoices) -> np.ndarray:
    """Which pictures the coder is not fitted on, bool (pictures,)."""
    held = np.zeros(pictures, bool)
    if pictures > 1 and not chosen.pretrained:
        order = np.random.default_rng(chosen.seed).permutation(pictures)
        held[order[: max(1, round(HELD_OUT * pictures))]] = True
    return held


def _coder(
    loaded: LoadedModel,
    small: SmallMaps,
    points: np.ndarray,
    held_out: np.ndarray,
    chosen: PatternChoices,
    store: ResultStore | None,
    key: str,
    report: Progress,
    stop: int | None,
) -> tuple[Fitted, list[str]]:
    """The shipped coder, or one fitted on these maps, with what is to be said of it."""
    from analytics.studies.pattern_fit import Fitted, enough_epochs, fit_coder

    if chosen.pretrained:
        coder, about = shipped_coder()
        notes = ["the shipped coder: R2 as measured on pictures held out of its own fit"]
        if about.get("weights_sha256") != loaded.weights_sha256:
            notes.append(f"the shipped coder was fitted on maps of {about.get('model', 'another')}")
        known = [float(about[name]) for name in ("r2_autoencoder", "r2_pca")]
        return Fitted(coder, known[0], known[1], (), (), 0), notes
    from analytics.studies.patterns_store import held_fit, keep_fit

    device = loaded.device
    data = fit_maps(small, points, held_out, chosen.seed, device)
    epochs = chosen.epochs or enough_epochs(len(data.maps))
    fitted = fit_coder(
        data,
        chosen.latent,
        epochs,
        chosen.seed,
        report,
        None if store is None else held_fit(store, key, device),
        None if store is None else lambda state: keep_fit(store, key, state, epochs),
        stop,
    )
    return fitted, _fit_notes(fitted, held_out)


def fit_maps(
    small: SmallMaps, points: np.ndarray, held_out: np.ndarray, seed: int, device: str
) -> Any:
    """Maps to fit on and maps held out, drawn from large sets (`FitMaps`)."""
    from analytics.studies.pattern_fit import FitMaps

    rng = np.random.default_rng(seed)
    taken: list[torch.Tensor] = []
    for rows, most in ((~held_out, MOST_FITTED), (held_out, MOST_HELD_OUT)):
        own = points[rows[points[:, 0]]]
        if len(own) > most:
            own = own[np.sort(rng.permutation(len(own))[:most])]
        taken += [tensor.to(device) for tensor in map_tensors(small, own)]
    return FitMaps(*taken)


def _fit_notes(fitted: Fitted, held_out: np.ndarray) -> list[str]:
    if not held_out.any():
        return ["one picture only: nothing is held out, so R2 is unknown"]
    notes = []
    if len(fitted.train_losses) < fitted.epochs:
        notes.append(f"interrupted: {len(fitted.train_losses)} of {fitted.epochs} epochs run")
    if fitted.coder.kind == "pca":
        notes.append(
            f"principal components explain more of held-out maps ({fitted.r2_pca:.2f}) than the "
            f"autoencoder ({fitted.r2_autoencoder:.2f}) and are used"
        )
    return notes
