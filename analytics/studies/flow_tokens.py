"""What an observed pass says of single tokens: norms, massive activations and sinks."""

from __future__ import annotations

import numpy as np

from analytics.metrics.sinks import massive_activations
from analytics.metrics.tokens import token_norms
from analytics.studies.flow_layers import FlowLayers, on_base
from analytics.studies.flow_passes import Observed
from analytics.studies.flow_record import Massive


def observed_tokens(
    layers: FlowLayers, clean: Observed
) -> tuple[np.ndarray, tuple[Massive, ...], str]:
    """The norm of every token after every layer, and massive activations.

    Returns:
        Float32 (layers, tokens), NaN where a layer has no such token; the massive activations
        layer by layer; and why there are none, empty where the streams are known.
    """
    norms = np.full((len(layers.placed), layers.base.num_tokens), np.nan, np.float32)
    layouts = {
        i: one.query_layout
        for i, one in enumerate(layers.placed)
        if one.query_layout is not None and one.query_layout.grid.count
    }
    streams = [one.float().cpu().numpy() for one in clean.streams]
    if not streams or [len(one) for one in streams] != [one.num_tokens for one in layouts.values()]:
        why = "token norms: the family does not give its residual stream after each layer"
        return norms, (), why
    massive: list[Massive] = []
    for (layer, layout), stream in zip(layouts.items(), streams, strict=True):
        norms[layer] = on_base(token_norms(stream), layout, layers.base)
        massive += [
            Massive(layer, layout.names[one.token], one.dimension, one.value, one.ratio)
            for one in massive_activations(stream)
        ]
    return norms, tuple(massive), ""


def above(received: np.ndarray, threshold: float) -> np.ndarray:
    """Which keys received more than a multiple of uniform; a token that is missing did not."""
    return np.nan_to_num(received, nan=0.0) > threshold
