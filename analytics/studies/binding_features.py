"""The residual stream of drawn patches at every point, kept on disk part by part."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from analytics.capture.streams import has_one_grid
from analytics.io.fitting import normalise
from analytics.models.binding_probes import query_key_sums
from analytics.store.results import ResultStore, content_key
from analytics.studies.attend import Progress
from analytics.studies.binding_choices import VERSION, BindingChoices
from analytics.studies.binding_images import AnnotatedSet, DrawnPatches, draw_patches
from analytics.types import TokenLayout

if TYPE_CHECKING:
    from analytics.capture.recording import Heads
    from analytics.capture.sites import Site, SiteMap
    from analytics.models.registry import LoadedModel

BATCH = 8
"""Images at once, and of a part on disk."""

Part = tuple[dict[str, np.ndarray], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class BindingFeatures:
    """Drawn patches of N images at P points: the embedding and the output of each layer.

    `features` is float16 (P, N, n, d), without prefix tokens; `products` float16 (L, N, n, n), the
    mean over heads of the symmetric logit (q . k' + q' . k) / 2 of each layer's attention, whose
    input is the point of the same number, NaN where it cannot be had. `objects` int32 (N, n), 0
    for none; `patches` int32 (N, n), row-major; `pixels` float32 (N, n, 6). `qk_width` is the
    width of queries of all heads.
    """

    features: np.ndarray
    products: np.ndarray
    objects: np.ndarray
    patches: np.ndarray
    pixels: np.ndarray
    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    families: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    layout: TokenLayout
    qk_width: int

    @property
    def places(self) -> np.ndarray:
        """Row and column of each patch, int (N, n, 2); where there is none (-1, ...)."""
        return np.stack(np.divmod(self.patches, self.layout.grid.columns), axis=-1)


@dataclass(frozen=True, eq=False)
class Streams:
    """What one forward pass gave: `points` P tensors (b, patches, d) of the residual stream.

    `queries`, one a layer, are what `query_key_sums` made of queries and keys of all heads,
    (b, patches, 2 w), scaled so that the signed product is the mean over heads; None where they
    cannot be had.
    """

    points: list[Tensor]
    queries: list[Tensor | None]


class StreamReader:
    """Reads the residual stream of a model whose layers share one grid of patches."""

    def __init__(self, loaded: LoadedModel, sites: SiteMap | None = None) -> None:
        """Make ready.

        Raises:
            ValueError: layers without one grid of tokens.
        """
        from analytics.capture.tracing import find_sites

        if not has_one_grid(loaded.module):
            raise ValueError(
                f"expected a model whose layers share one grid of patches, got {loaded.label}; "
                "choose a ViT, DeiT, BEiT or EVA"
            )
        self.loaded = loaded
        self.sites = sites or find_sites(loaded.module, loaded.input_size)
        layouts = [one.query_layout for one in self.sites.placed if one.query_layout]
        layouts = [one for one in layouts if one.grid.count]
        if not layouts:
            raise ValueError(f"{loaded.label} has no attention between patches: choose a ViT")
        self.layout: TokenLayout = layouts[0]
        self.layers = len(loaded.module.blocks)  # type: ignore[arg-type]
        self.qk_width = 0

    def read(self, pixels: Tensor, with_queries: bool = True) -> Streams:
        """One forward pass over normalised pictures, (b, 3, height, width)."""
        from analytics.capture.recording import capture

        queries: list[Tensor | None] = [None] * self.layers

        def reduce(heads: Heads) -> None:
            layer = self.layer_of(heads.site)
            if layer is not None and heads.query is not None and heads.key is not None:
                queries[layer] = self._sums(heads)

        with torch.no_grad(), _watched(self.loaded.module) as points:
            if with_queries:
                with capture(self.loaded.module, self.sites, reduce=reduce):
                    self.loaded.module.forward_features(pixels)  # type: ignore[operator]
            else:
                self.loaded.module.forward_features(pixels)  # type: ignore[operator]
        shapes = {tuple(one.shape[1:2]) for one in points}
        if len(points) != self.layers + 1 or shapes != {(self.layout.num_tokens,)}:
            raise ValueError(
                f"expected {self.layout.num_tokens} tokens before and after each of {self.layers} "
                f"layers of {self.loaded.label}, got other streams; choose another model"
            )
        return Streams([self._patches(one) for one in points], queries)

    def _patches(self, tokens: Tensor) -> Tensor:
        """Patch tokens, (b, patches, d)."""
        return tokens[:, tokens.shape[1] - self.layout.grid.count :]

    def layer_of(self, site: Site) -> int | None:
        """The layer that a call belongs to, where it is plain attention over all tokens."""
        name, _, rest = site.module.partition(".")
        plain = site.num_windows == 1 and site.query_layout == site.key_layout == self.layout
        number = rest.partition(".")[0]
        return int(number) if name == "blocks" and number.isdecimal() and plain else None

    def _sums(self, heads: Heads) -> Tensor:
        assert heads.query is not None and heads.key is not None and heads.scale is not None
        start = len(self.layout.prefix)
        query, key = (one[:, 0, :, start:].float() for one in (heads.query, heads.key))
        count = query.shape[1]
        query, key = (one.transpose(1, 2).flatten(2) for one in (query, key))  # b patches w
        self.qk_width = query.shape[-1]
        return query_key_sums(query * (heads.scale / count), key)


@contextmanager
def _watched(module: nn.Module) -> Iterator[list[Tensor]]:
    """A list that fills with the input of the first layer and the output of every layer."""
    from analytics.studies.flow_passes import watch_streams

    own = threading.get_ident()
    with watch_streams(module) as points:

        def before(_: nn.Module, given: tuple[Any, ...]) -> None:
            # Threads that share a model see each other's passes.
            if threading.get_ident() == own:
                points.append(given[0])

        hook = module.blocks[0].register_forward_pre_hook(before)  # type: ignore[index, union-attr]
        try:
            yield points
        finally:
            hook.remove()


def features_key(loaded: LoadedModel, sha256s: Sequence[str], chosen: BindingChoices) -> str:
    """The id of the features of a set; other probes on the same patches find them again."""
    model = [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype]
    drawn = [chosen.patches, chosen.purity, chosen.count_background, chosen.fit, chosen.draw_seed]
    about = {"model": model, "images": list(sha256s), "patches": drawn}
    return content_key({"binding features": VERSION, **about})


def binding_features(
    loaded: LoadedModel,
    found: AnnotatedSet,
    chosen: BindingChoices,
    store: ResultStore | None = None,
    progress: Progress | None = None,
    sites: SiteMap | None = None,
) -> BindingFeatures:
    """Run the model over annotated images once and keep the drawn patches at every point.

    A run that was cancelled or killed goes on after the last whole part.

    Args:
        loaded: the model.
        found: different images.
        chosen: how patches are drawn.
        store: where parts are kept.
        progress: called with (done, total, what is being done); may raise to cancel.
        sites: where the model attends, when already known.

    Raises:
        ValueError: layers without one grid, features that are not finite, or no image with two
            patches in objects.
    """
    report = progress or (lambda done, total, message: None)
    reader = StreamReader(loaded, sites)
    key = features_key(loaded, found.sha256s, chosen)
    parts: list[Part] = [] if store is None else [(a, b) for _, a, b in store.parts(key)]
    if store is not None:
        store.begin(key, {"id": key, "model_label": loaded.label})
    known = {sha256 for _, about in parts for sha256 in about["sha256s"]}
    known |= {sha256 for _, about in parts for _, _, sha256 in about["unusable"]}
    left = found.without(known)
    if left.sources:
        for part in _measured(reader, left, chosen, report):
            if store is not None:
                store.put(key, len(parts), *part)
            parts.append(part)
    return _joined(found, reader.layout, parts)


def _measured(
    reader: StreamReader, left: AnnotatedSet, chosen: BindingChoices, report: Progress
) -> Iterator[Part]:
    total = len(left.sources)
    report(0, total, f"features of {total} pictures")
    for first in range(0, total, BATCH):
        drawn: list[DrawnPatches] = []
        about: dict[str, Any] = {"names": [], "sha256s": [], "families": [], "unusable": []}
        for row in range(first, min(first + BATCH, total)):
            facts = (left.names[row], left.sha256s[row], left.families[row])
            try:
                image = left.sources[row].load()
                size, grid = reader.loaded.input_size, reader.layout.grid
                drawn.append(draw_patches(image, facts[1], size, grid, chosen))
            except ValueError as error:
                about["unusable"].append([facts[0], str(error), facts[1]])
                continue
            for name, value in zip(("names", "sha256s", "families"), facts, strict=True):
                about[name].append(value)
        arrays = _arrays(reader, drawn) if drawn else {}
        yield arrays, {**about, "qk_width": reader.qk_width}
        done = min(first + BATCH, total)
        report(done, total, f"features of {done} of {total} pictures")


def _arrays(reader: StreamReader, drawn: Sequence[DrawnPatches]) -> dict[str, np.ndarray]:
    """Features and facts of some images, points or layers first."""
    loaded = reader.loaded
    pixels = np.stack([normalise(one.fitted, loaded.mean, loaded.std) for one in drawn])
    batch = torch.from_numpy(pixels).to(loaded.device, getattr(torch, loaded.dtype))
    streams = reader.read(batch)
    index = torch.from_numpy(np.stack([one.patches for one in drawn])).to(loaded.device).long()
    index = index.clamp(min=0)[..., None]  # b n 1
    points = torch.stack([_taken(one, index) for one in streams.points])
    if not bool(torch.isfinite(points).all()):
        raise ValueError(
            f"expected finite features of {loaded.label}, got NaN or infinity; use dtype float32"
        )
    shape = (len(index), index.shape[1], index.shape[1])
    products = [
        torch.full(shape, torch.nan) if one is None else _product(_taken(one, index))
        for one in streams.queries
    ]
    return {
        "features": _half(points),
        "products": _half(torch.stack([one.to(points.device) for one in products])),
        **{
            name: np.stack([getattr(one, name) for one in drawn])
            for name in ("objects", "patches", "pixels")
        },
    }


def _taken(tokens: Tensor, index: Tensor) -> Tensor:
    return tokens.gather(1, index.expand(-1, -1, tokens.shape[-1])).float()


def _product(sums: Tensor) -> Tensor:
    """The signed product of `query_key_sums`, (b, n, n)."""
    first, second = sums.chunk(2, dim=-1)
    return first @ first.mT - second @ second.mT


def _half(values: Tensor) -> np.ndarray:
    return values.clamp(-65504, 65504).half().cpu().numpy()


def _joined(found: AnnotatedSet, layout: TokenLayout, parts: Sequence[Part]) -> BindingFeatures:
    """Parts as one set, with what was left out."""
    skipped = [*found.skipped]
    skipped += [(name, why) for _, about in parts for name, why, _ in about["unusable"]]
    whole: list[tuple[Mapping[str, np.ndarray], Mapping[str, Any]]] = [
        (arrays, about) for arrays, about in parts if about["names"]
    ]
    if not whole:
        raise ValueError(f"expected pictures with objects, got none: {skipped[0][1]}")
    axis = {"features": 1, "products": 1}
    tables: dict[str, Any] = {
        name: np.concatenate([arrays[name] for arrays, _ in whole], axis=axis.get(name, 0))
        for name in ("features", "products", "objects", "patches", "pixels")
    }
    texts: dict[str, Any] = {
        name: tuple(value for _, about in whole for value in about[name])
        for name in ("names", "sha256s", "families")
    }
    return BindingFeatures(
        **tables,
        **texts,
        skipped=tuple(skipped),
        layout=layout,
        qk_width=max(about["qk_width"] for _, about in whole),
    )
