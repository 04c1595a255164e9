"""The small attention maps of every head on every picture, kept on disk part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from analytics.metrics.grids import heads_on_grid
from analytics.metrics.patterns import (
    CLS_MOST,
    CLS_PARTS,
    MOST,
    SIDE,
    log_scale,
    small_cls_row,
    small_map,
)
from analytics.metrics.strength import template_score
from analytics.metrics.strength_catalogue import TEMPLATES
from analytics.store.results import ResultStore, content_key
from analytics.studies.attend import Progress
from analytics.studies.pictures import Survey
from analytics.types import Fit

if TYPE_CHECKING:
    from torch import Tensor

    from analytics.capture.recording import Heads
    from analytics.capture.sites import Site, SiteMap
    from analytics.io.labelled import ImageSource
    from analytics.models.registry import LoadedModel

VERSION = 1
"""Raised whenever maps made from the same picture would differ."""

BATCH = 4
"""Pictures at once; one layer's maps are all that is held of them."""

Part = tuple[dict[str, np.ndarray], dict[str, Any]]


@dataclass(frozen=True)
class SmallMaps:
    """The small maps of a set, on a log scale of 0 to 1, as float16.

    `key` is their id in a store.
    `maps` (images, heads, 64, 64), `cls` (images, heads, 16, 16); `templates` float32
    (images, heads, 12) is measured on the full maps, NaN for a layer whose queries and keys lie on
    different grids. A head whose attention is not finite has NaN in all.
    """

    key: str
    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    heads: tuple[tuple[int, int], ...]
    maps: np.ndarray
    cls: np.ndarray
    templates: np.ndarray
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


class _Small(NamedTuple):
    maps: Tensor
    cls: Tensor
    templates: Tensor


def maps_key(loaded: LoadedModel, sha256s: Sequence[str], fit: Fit) -> str:
    """The id of the maps of a set; other fits of the same maps find them again."""
    model = [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype]
    return content_key({"small maps": VERSION, "model": model, "images": list(sha256s), "fit": fit})


def small_maps(
    loaded: LoadedModel,
    found: Survey,
    fit: Fit = "crop",
    store: ResultStore | None = None,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> SmallMaps:
    """Run the model over the pictures once and keep each head's map, resampled.

    A run that was cancelled or killed goes on after the last whole part.

    Args:
        loaded: the model.
        found: different pictures.
        fit: how a picture is brought to the model's input size.
        store: where parts are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Raises:
        ValueError: no layer in which patches attend to patches, or no picture can be read.
    """
    from analytics.capture.tracing import find_sites

    report = progress or (lambda done, total, message: None)
    report(0, 0, "finding where the model attends")
    sites = sites or find_sites(loaded.module, loaded.input_size)
    usable = [site for site in sites.placed if _between_patches(site)]
    if not usable:
        raise ValueError(
            f"{loaded.label} has no layer in which patches attend to patches in a way that can be "
            f"drawn ({sites.undrawable or 'only pooling queries attend'}). Choose another model, "
            "for example a ViT, DeiT, BEiT, EVA or Swin"
        )
    key = maps_key(loaded, found.sha256s, fit)
    parts: list[Part] = [] if store is None else [(a, b) for _, a, b in store.parts(key)]
    if store is not None:
        store.begin(key, {"id": key, "model_label": loaded.label})
    known = {sha256 for _, about in parts for sha256 in about["sha256s"]}
    known |= {sha256 for _, about in parts for _, _, sha256 in about["unreadable"]}
    left = found.without(known)
    if left.images:
        for part in _measured(loaded, left, sites, usable, fit, report):
            if store is not None:
                store.put(key, len(parts), *part)
            parts.append(part)
    return _joined(key, found, sites, usable, parts)


def picture_maps(store: ResultStore, key: str, sha256: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The kept maps and cls rows of one picture, (heads, ...); None where it is not there."""
    for _, arrays, about in store.parts(key):
        if sha256 in about["sha256s"]:
            row = about["sha256s"].index(sha256)
            return arrays["maps"][row], arrays["cls"][row]
    return None


def _between_patches(site: Site) -> bool:
    layouts = (site.query_layout, site.key_layout)
    return bool(site.placed and all(one is not None and one.grid.count for one in layouts))


def _measured(
    loaded: LoadedModel,
    left: Survey,
    sites: SiteMap,
    usable: Sequence[Site],
    fit: Fit,
    report: Progress,
) -> Iterator[Part]:
    from analytics.capture.recording import capture
    from analytics.studies.features import read_batches

    wanted = {site.index for site in usable}
    unreadable: list[list[str]] = []
    total, done = len(left.images), 0

    def skip(name: str, reason: str) -> None:
        unreadable.append([name, reason, left.sha256s[left.names.index(name)]])

    def reduce(heads: Heads) -> _Small | None:
        return _small(heads) if heads.site.index in wanted else None

    report(0, total, "reading attention maps")
    images: Sequence[ImageSource] = left.images
    for batch in read_batches(images, loaded, fit, BATCH, skip):
        with torch.no_grad(), capture(loaded.module, sites, reduce=reduce) as captured:
            loaded.module(batch.pixels)
        kept = [one.reduced for one in captured if one.reduced is not None]
        arrays = {
            name: torch.cat([getattr(one, name) for one in kept], dim=1).cpu().numpy()
            for name in _Small._fields
        }
        done += len(batch.names)
        yield arrays, _about(batch.names, batch.sha256s, unreadable)
        unreadable = []
        report(done, total, f"attention maps of {done} of {total} pictures")
    if unreadable:
        yield {}, _about((), (), unreadable)


def _about(
    names: Sequence[str], sha256s: Sequence[str], unreadable: list[list[str]]
) -> dict[str, Any]:
    return {"names": list(names), "sha256s": list(sha256s), "unreadable": unreadable}


def _small(heads: Heads) -> _Small:
    """One call's maps, (images, heads, ...), a few heads at a time on the full grid."""
    site = heads.site
    queries, keys = site.query_layout, site.key_layout
    assert queries is not None and keys is not None
    assert site.query_index is not None and site.key_index is not None
    found = []
    for _, grid in heads_on_grid(
        heads.attention(), site.query_index, site.key_index, queries.num_tokens, keys.num_tokens
    ):
        maps = log_scale(small_map(grid, queries, keys).clamp(min=0), MOST)
        cls = log_scale(small_cls_row(grid, queries, keys).clamp(min=0), CLS_MOST)
        if queries == keys:
            templates = template_score(grid, queries)
        else:
            templates = maps.new_full((*maps.shape[:2], len(TEMPLATES)), torch.nan)
        broken = ~grid.flatten(2).isfinite().all(-1)  # images, heads
        nan = broken[..., None, None]
        found.append(
            _Small(
                maps.masked_fill(nan, torch.nan).half(),
                cls.masked_fill(nan, torch.nan).half(),
                templates.float().masked_fill(broken[..., None], torch.nan),
            )
        )
    return _Small(*(torch.cat(tensors, dim=1) for tensors in zip(*found, strict=True)))


def _joined(
    key: str, found: Survey, sites: SiteMap, usable: Sequence[Site], parts: Sequence[Part]
) -> SmallMaps:
    """Parts as one set, with what was left out."""
    skipped = [*found.skipped]
    skipped += [(name, why) for _, about in parts for name, why, _ in about["unreadable"]]
    whole = [(arrays, about) for arrays, about in parts if about["names"]]
    if not whole:
        raise ValueError(f"expected pictures that can be read, got none: {skipped[0][1]}")
    tables = {
        name: np.concatenate([arrays[name] for arrays, _ in whole]) for name in _Small._fields
    }
    names = tuple(name for _, about in whole for name in about["names"])
    heads = tuple(
        (layer, head)
        for layer, site in enumerate(sites.placed)
        if _between_patches(site)
        for head in range(site.num_heads)
    )
    notes = [*sites.refused_notes]
    left_out = len(sites.sites) - len(usable)
    if left_out:
        notes.append(f"{left_out} of {len(sites.sites)} attention layers have no maps of patches")
    notes += _not_finite(tables["maps"], heads)
    assert tables["maps"].shape[2:] == (SIDE, SIDE) and tables["cls"].shape[2] == CLS_PARTS
    return SmallMaps(
        key,
        names,
        tuple(sha256 for _, about in whole for sha256 in about["sha256s"]),
        heads,
        tables["maps"],
        tables["cls"],
        tables["templates"],
        tuple(skipped),
        tuple(notes),
    )


def _not_finite(maps: np.ndarray, heads: Sequence[tuple[int, int]]) -> list[str]:
    """What to say of heads whose attention is NaN or infinite."""
    broken = np.isnan(maps[:, :, 0, 0])
    if not broken.any():
        return []
    where = [f"L{heads[i][0]} H{heads[i][1]}" for i in np.flatnonzero(broken.any(0))[:3]]
    return [
        f"{broken.sum()} of {broken.size} maps are not finite ({', '.join(where)}"
        f"{' and others' if broken.any(0).sum() > 3 else ''}; half precision overflow?) and are "
        "left out; use float32"
    ]
