"""One forward pass that shows a flow what every layer does, without keeping its maps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from analytics.capture.recording import Edit, Heads, capture
from analytics.studies.flow_layers import FlowLayers, on_base, read_weights
from analytics.studies.flow_subject import FlowSubject
from analytics.studies.reading import Read

if TYPE_CHECKING:
    from analytics.capture.sites import Site


class Observed(NamedTuple):
    """What one pass shows. Numbers of layers lie on the layout of all layers.

    `means` has per layer that is followed the mean of its attention over heads,
    (tokens, tokens). `own_received` has per layer of the lens what each key receives on the
    layer's own layout; `received` and `readout_attention` are float32 (layers, tokens).
    `streams` is the residual stream after each block, (tokens, width), empty where it cannot
    be had. `broken` lists layers whose attention holds NaN or infinity.
    """

    means: tuple[Tensor, ...]
    own_received: tuple[np.ndarray, ...]
    received: np.ndarray
    readout_attention: np.ndarray
    streams: tuple[Tensor, ...]
    read: Read
    broken: tuple[int, ...]


class _Seen(NamedTuple):
    """One layer of an `Observed`."""

    mean: Tensor | None
    received: np.ndarray
    readout_attention: np.ndarray
    broken: bool


@torch.no_grad()
def observe(subject: FlowSubject, edit: Edit | None = None) -> Observed:
    """Run the model once and keep what a flow needs of every layer, not its maps.

    Memory: one layer's attention, and a tokens x tokens mean for each layer that is followed.

    Args:
        subject: the model and the picture.
        edit: attention that the model goes on with.
    """
    layers = subject.layers
    mixing = {site.index for site in layers.mixing}

    def look(heads: Heads) -> _Seen | None:
        if layers.position(heads.site) is None:
            return None
        attention = heads.attention()[0]  # windows, heads, queries, keys
        mean = attention.mean(1)  # windows, queries, keys
        kept = mean[0] if heads.site.index in mixing else None
        return _Seen(
            kept,
            _received(heads.site, mean),
            _read_row(heads.site, mean, layers),
            not bool(mean.isfinite().all()),
        )

    with (
        watch_streams(subject.loaded.module) as streams,
        capture(subject.loaded.module, subject.sites, reduce=look, edit=edit) as captured,
    ):
        read = subject.read(subject.pixels)
    # A pooling head attends after the features: its layer was not run.
    seen = {layers.position(one.site): one.reduced for one in captured if one.reduced is not None}
    blank = np.full(layers.base.num_tokens, np.nan, np.float32)
    own = [seen[i].received if i in seen else None for i in range(len(layers.placed))]
    return Observed(
        tuple(seen[layers.position(site)].mean for site in layers.mixing),
        tuple(
            np.full(_keys(site), np.nan) if one is None else one
            for site, one in zip(layers.placed, own, strict=True)
        ),
        np.stack(
            [
                blank if one is None else _placed(site, one, layers)
                for site, one in zip(layers.placed, own, strict=True)
            ]
        ),
        np.stack(
            [
                _placed(site, seen[i].readout_attention, layers) if i in seen else blank
                for i, site in enumerate(layers.placed)
            ]
        ),
        tuple(one[0] for one in streams),
        read,
        tuple(i for i in range(len(layers.placed)) if i in seen and seen[i].broken),
    )


def _keys(site: Site) -> int:
    assert site.key_layout is not None
    return site.key_layout.num_tokens


def _placed(site: Site, values: np.ndarray, layers: FlowLayers) -> np.ndarray:
    assert site.key_layout is not None
    return on_base(values, site.key_layout, layers.base)


def _received(site: Site, mean: Tensor) -> np.ndarray:
    """What each key of a layer receives x uniform in its window, (tokens of its layout,)."""
    assert site.key_index is not None
    # The even share of a key is one over the keys that a query sees.
    values = (mean.mean(1) * mean.shape[-1]).cpu().numpy().reshape(-1)  # windows * keys
    places = site.key_index.reshape(-1)
    inside = places >= 0
    total = np.bincount(places[inside], values[inside], _keys(site))
    times = np.bincount(places[inside], minlength=_keys(site))
    return np.where(times > 0, total / np.maximum(times, 1), np.nan).astype(np.float32)


def _read_row(site: Site, mean: Tensor, layers: FlowLayers) -> np.ndarray:
    """Attention of what is read at the end, (tokens of its layout,); NaN where there is none."""
    assert site.query_layout is not None and site.key_layout is not None
    if len(mean) > 1:
        return np.full(_keys(site), np.nan, np.float32)
    if not site.query_layout.grid.count:  # a token that pools is what is read
        return mean[0].mean(0).cpu().numpy()
    if site.query_layout != site.key_layout:
        return np.full(_keys(site), np.nan, np.float32)
    start = torch.from_numpy(read_weights(site.query_layout, layers.read_at))
    return (start.to(mean) @ mean[0]).cpu().numpy()


@contextmanager
def watch_streams(module: nn.Module) -> Iterator[list[Tensor]]:
    """The residual stream after each block of the passes inside, (b, tokens, width).

    Nothing is seen of a family whose blocks do not share one grid of tokens, nor of a pass that
    another thread makes with the same model meanwhile.
    """
    from analytics.capture.streams import has_one_grid

    found: list[Tensor] = []
    own = threading.get_ident()

    def keep(block: nn.Module, inputs: Any, output: Any) -> None:
        mine = threading.get_ident() == own
        if mine and isinstance(output, Tensor) and output.ndim == 3:
            found.append(output)

    blocks: Any = module.blocks if has_one_grid(module) else ()
    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
