"""How far and in what shape every head looks: one pass over a set of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.store.results import ResultStore, content_key
from analytics.studies.attend import Progress
from analytics.studies.batching import batch_plan
from analytics.studies.pictures import Survey, survey
from analytics.studies.plans import study_plan
from analytics.studies.profile_record import Profile, assemble
from analytics.types import Fit, PatchGrid

if TYPE_CHECKING:
    from torch import Tensor

    from analytics.capture.recording import Captured, Heads
    from analytics.capture.sites import Site, SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.registry import LoadedModel
    from analytics.studies.head_sums import HeadSums
    from analytics.studies.head_tables import HeadTables

VERSION = 1
"""Raised whenever a result made from the same inputs would differ."""

Arrays = dict[str, np.ndarray]


def profile_key(loaded: LoadedModel, sha256s: Sequence[str], fit: Fit) -> str:
    """The id of a result: the same model and pictures find what was measured before."""
    return content_key(
        {
            "version": VERSION,
            "study": "profile",
            "model": [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype],
            "images": list(sha256s),
            "fit": fit,
        }
    )


def profile_images(
    loaded: LoadedModel,
    images: Sequence[ImageSource],
    fit: Fit = "crop",
    store: ResultStore | None = None,
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
) -> Profile:
    """Measure distance, hops, entropy, templates and more of every head on every picture.

    The pictures stream through the model once; no attention map is kept. Every few pictures
    are written to the store: a run that was cancelled or killed goes on after them, and
    `load_profile` reads what there is.

    Args:
        loaded: the model.
        images: pictures; one that cannot be read is skipped with its reason, and a second
            one with the same bytes counts as a duplicate.
        fit: how a picture is brought to the model's input size.
        store: where parts are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends, when already known.

    Raises:
        ValueError: no picture can be read, or the model has no layer whose patches attend to
            patches.
    """
    from analytics.capture.tracing import find_sites

    report = progress or (lambda done, total, message: None)
    report(0, 0, "reading the pictures")
    found = survey(images)
    key = profile_key(loaded, found.sha256s, fit)
    report(0, 0, "finding where the model attends")
    sites = sites or find_sites(loaded.module, loaded.input_size)
    if sites.undrawable:
        raise ValueError(
            f"{loaded.label} has no layer in which patches attend to patches ({sites.undrawable}), "
            "so there is no distance to measure. Choose another model, for example a ViT, DeiT, "
            "BEiT, EVA or Swin"
        )
    plan = study_plan(loaded, key, found, {"fit": fit}, 0, command, _cautions(sites))
    plan["layers"] = _layers(sites)
    parts, running = begin(store, key, plan)
    known = {sha256 for _, about in parts for sha256 in about["sha256s"]}
    known |= {sha256 for _, about in parts for _, _, sha256 in about["unreadable"]}
    left = found.without(known)
    for arrays, about, sums in _measured(loaded, sites, left, fit, report):
        running = {name: running.get(name, 0) + values for name, values in sums.items()}
        if store is not None:
            store.put(key, len(parts), arrays, about, running)
        parts.append((arrays, about))
    record = assemble(plan, parts, running)
    if not record.images:
        raise ValueError(f"expected pictures that can be read, got none: {record.skipped[0][1]}")
    return record


def load_profile(store: ResultStore, key: str) -> Profile | None:
    """What a result holds so far; None where nothing was measured yet."""
    plan = store.plan(key)
    parts = [(arrays, about) for _, arrays, about in store.parts(key)]
    running = store.running(key, len(parts) - 1) if parts else None
    if plan is None or running is None:
        return None
    return assemble(plan, parts, running)


def begin(
    store: ResultStore | None, key: str, plan: Mapping[str, Any]
) -> tuple[list[tuple[Arrays, dict[str, Any]]], Arrays]:
    """The parts measured before and the sums over them; the plan is written where it is new."""
    if store is None:
        return [], {}
    numbered = list(store.parts(key))
    running = store.running(key, len(numbered) - 1) if numbered else {}
    whole = [number for number, _, _ in numbered] == list(range(len(numbered)))
    if running is None or not whole:
        # A part or the sums were damaged: what is left of them does not fit together.
        store.remove(key)
        numbered, running = [], {}
    store.begin(key, plan)
    return [(arrays, about) for _, arrays, about in numbered], running


def _cautions(sites: SiteMap) -> list[str]:
    notes = [*sites.refused_notes]
    left_out = len(sites.sites) - len(sites.placed)
    if left_out:
        notes.append(f"{left_out} of {len(sites.sites)} attention layers have no known places")
    if any(site.mixed for site in sites.placed):
        notes.append("some attention is changed after the softmax: rows need not sum to 1")
    if any(site.query_layout != site.key_layout for site in sites.placed if _asks(site)):
        notes.append(
            "in some layers keys lie on a coarser grid: their distance is that of the middle of "
            "what they cover, in whole patches"
        )
    return notes


def _asks(site: Site) -> bool:
    """Whether patches ask in a site."""
    return bool(site.query_layout and site.query_layout.grid.count)


def _layers(sites: SiteMap) -> list[dict[str, Any]]:
    """What the record says of each layer, in plain values."""
    from analytics.metrics.offsets import uniform_distance

    height, width = sites.input_size
    layers = []
    for i, site in enumerate(sites.placed):
        assert site.query_layout is not None and site.key_layout is not None
        grid, keys = site.query_layout.grid, site.key_layout.grid
        asks = bool(grid.count)
        layers.append(
            {
                "label": f"L{i}",
                "name": site.label,
                "num_heads": site.num_heads,
                "grid": [grid.rows, grid.columns],
                "key_grid": [keys.rows, keys.columns],
                "patch_px": [height / grid.rows, width / grid.columns] if asks else [0.0, 0.0],
                "num_windows": site.num_windows,
                "uniform_distance": uniform_distance(grid) if asks else None,
            }
        )
    return layers


def _measured(
    loaded: LoadedModel, sites: SiteMap, left: Survey, fit: Fit, report: Progress
) -> Iterator[tuple[Arrays, dict[str, Any], Arrays]]:
    """Measure the pictures that are left, some at a time: arrays, plain values and sums."""
    from analytics.studies.features import read_batches

    unreadable: list[list[str]] = []
    total, done = len(left.images), 0

    def skip(name: str, reason: str) -> None:
        unreadable.append([name, reason, left.sha256s[left.names.index(name)]])

    report(0, total, "measuring the first pictures")
    batch_size, _ = batch_plan(loaded, sites) if left.images else (1, 1)
    for batch in read_batches(left.images, loaded, fit, batch_size, skip):
        tables = measure_batch(loaded, sites, batch.pixels)
        done += len(batch.names)
        images = [list(one) for one in zip(batch.names, batch.sha256s, strict=True)]
        about = {"images": images, "sha256s": list(batch.sha256s), "unreadable": unreadable}
        unreadable = []
        yield _joined(tables), about, _sums(tables)
        report(done, total, f"{done} of {total} pictures measured")
    if unreadable:
        yield {}, {"images": [], "sha256s": [], "unreadable": unreadable}, {}


def measure_batch(
    loaded: LoadedModel, sites: SiteMap, pixels: Tensor
) -> list[tuple[int, HeadTables | None]]:
    """Run the model once and return the tables of each placed layer with its number of heads.

    Args:
        loaded: the model.
        sites: where it attends.
        pixels: (b, 3, height, width), normalised.

    Returns:
        Per placed layer the number of its heads and its tables, None where no patch asks.
    """
    import torch

    from analytics.capture.recording import capture

    with (
        torch.inference_mode(),
        capture(loaded.module, sites, reduce=_explicit, attend=_fused) as captured,
    ):
        loaded.module(pixels)
        return tables_of([one for one in captured if one.site.placed])


def tables_of(captured: Sequence[Captured]) -> list[tuple[int, HeadTables | None]]:
    """Tables of each layer; layers of the same grids are worked out together."""
    from analytics.studies.head_tables import tables_of_layers

    found: list[tuple[int, HeadTables | None]] = [(one.site.num_heads, None) for one in captured]
    groups: dict[tuple[PatchGrid, PatchGrid], list[int]] = {}
    for i, one in enumerate(captured):
        if one.reduced is not None:
            assert one.site.query_layout is not None and one.site.key_layout is not None
            grids = one.site.query_layout.grid, one.site.key_layout.grid
            groups.setdefault(grids, []).append(i)
    for (queries, keys), members in groups.items():
        tables = tables_of_layers([captured[i].reduced for i in members], queries, keys)
        first = 0
        for i in members:
            num_heads = captured[i].site.num_heads
            found[i] = num_heads, tables.part(slice(first, first + num_heads))
            first += num_heads
    return found


def _fused(heads: Heads) -> tuple[Tensor, HeadSums] | None:
    """Attention and sums in one go where the call is regular; torch does the others."""
    from analytics.studies.head_sums import GridSums, is_regular

    return GridSums(heads).run() if is_regular(heads) else None


def _explicit(heads: Heads) -> HeadSums | None:
    from analytics.studies.window_sums import sum_windows

    return sum_windows(heads) if heads.site.placed and _asks(heads.site) else None


def _joined(tables: Sequence[tuple[int, HeadTables | None]]) -> Arrays:
    """The tables of all layers side by side, heads of all layers in order."""
    some = next(one for _, one in tables if one is not None)
    hops = max(one.hops.shape[-1] for _, one in tables if one is not None)
    axes = {"scalars": -1, "hops": -2, "blocks": -3, "templates": -2}
    joined = {}
    for name, axis in axes.items():
        pieces = []
        for num_heads, one in tables:
            shape = list(getattr(some, name).shape)
            shape[axis] = num_heads
            if name == "hops":
                shape[-1] = hops
            piece = np.full(shape, np.nan, np.float32)
            if one is not None:
                values = getattr(one, name)
                piece[..., : values.shape[-1]] = values
            pieces.append(piece)
        joined[name] = np.concatenate(pieces, axis=axis)
    return joined


def _sums(tables: Sequence[tuple[int, HeadTables | None]]) -> Arrays:
    """What is added up over the pictures, by layer and name."""
    found: Arrays = {}
    for layer, (_, one) in enumerate(tables):
        if one is not None:
            found |= {f"{layer}:{name}": values for name, values in one.sums.items()}
            found[f"{layer}:counted"] = one.counted
    return found
