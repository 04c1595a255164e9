"""The maps of a flow on the patches of the picture, with what each of them means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from analytics.metrics.flow import relevance_row, rollout_row
from analytics.studies.flow_layers import READ_WORDS, FlowLayers, read_weights
from analytics.types import TokenLayout


class MapWords(NamedTuple):
    """What a map is called, what it means, and where it comes from."""

    title: str
    definition: str
    source: str


WORDS: dict[str, MapWords] = {
    "rollout": MapWords(
        "attention rollout",
        "Product over the layers of rownorm(mean over heads of A + I): how much of each patch "
        "reaches the output if layers only mixed tokens.",
        "Abnar & Zuidema 2020 (2005.00928)",
    ),
    "relevance": MapWords(
        "relevance",
        "From R = I, layer by layer: R + mean over heads of relu(gradient * A) times R. "
        "Attention counts where the target rises with it.",
        "Chefer et al. 2021 (2103.15679)",
    ),
    "legrad": MapWords(
        "LeGrad",
        "Sum over the layers of relu(gradient of the layer's own score at its attention), mean "
        "over heads and queries: all queries count, not only those that are read out.",
        "Bousselham et al. 2024 (2404.03214)",
    ),
    "raw": MapWords(
        "raw attention",
        "Attention of the last layer, mean over heads.",
        "common practice, for example Caron et al. 2021 (2104.14294)",
    ),
}


def map_words(name: str, layers: FlowLayers, target: str) -> MapWords:
    """The words of one map for one model: what is read, of which layer, for which target."""
    words = WORDS[name]
    title, definition = words.title, words.definition
    last = layers.labels[layers.position(layers.mixing[-1]) or 0]
    if name == "raw":
        title = f"raw attention, {last}"
    if name == "rollout" and layers.mixing[-1].index != layers.placed[-1].index:
        definition += f" The layers up to {last}."
    if name != "legrad":
        definition += f" Shown: {READ_WORDS[layers.read_at]}."
    if name in ("relevance", "legrad"):
        definition += f" Target: {target}."
    return MapWords(title, definition, words.source)


def attention_maps(means: Sequence[Tensor], layers: FlowLayers) -> dict[str, np.ndarray]:
    """Rollout and the last layer's attention, (rows, columns) each; needs no gradient.

    Args:
        means: of every followed layer, (tokens, tokens).
        layers: of `flow_layers`.
    """
    if not means:
        return {}
    layout = _layout(layers)
    start = _start(layers, means[-1])
    rows = {"rollout": rollout_row(means, start), "raw": start @ means[-1]}
    return {name: patches_of(row, layout) for name, row in rows.items()}


def gradient_maps(
    supports: Sequence[Tensor], legrad: Tensor | None, layers: FlowLayers
) -> dict[str, np.ndarray]:
    """Relevance and LeGrad, (rows, columns) each.

    Args:
        supports: of every followed layer, (tokens, tokens).
        legrad: (tokens,), None where it cannot be had.
        layers: of `flow_layers`.
    """
    layout, start = _layout(layers), _start(layers, supports[-1])
    # Less the identity, which says that a token is its own source.
    maps = {"relevance": patches_of(relevance_row(supports, start) - start, layout)}
    return maps if legrad is None else maps | {"legrad": patches_of(legrad, layout)}


def patches_of(row: Tensor, layout: TokenLayout) -> np.ndarray:
    """The patches of a row of tokens, float32 (rows, columns)."""
    patches = row[len(layout.prefix) :].detach().float().cpu().numpy()
    return np.ascontiguousarray(patches.reshape(layout.grid.rows, layout.grid.columns))


def _layout(layers: FlowLayers) -> TokenLayout:
    layout = layers.mixing[0].query_layout
    assert layout is not None
    return layout


def _start(layers: FlowLayers, like: Tensor) -> Tensor:
    """What is read at the end, (tokens,)."""
    return torch.from_numpy(read_weights(_layout(layers), layers.read_at)).to(like)
