"""The result of a flow study: how attention flows through a model on one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from analytics.types import Picture, Placement, Provenance, TokenLayout

MAP_NAMES = ("rollout", "relevance", "legrad", "raw")
"""All maps in the order in which they are shown; `raw` is the last layer's attention."""


@dataclass(frozen=True)
class FlowMap:
    """One map of what the model's output draws on, and how faithful it is.

    `name` is one of `MAP_NAMES`; a map that cannot be had is left out of a flow.
    `values` is float32 (rows, columns), raw: the maps have different units, so each is
    scaled by its own range where several are shown. `deletion` and `insertion`, float32
    (steps + 1,), are the score as patches are removed or put back in the order of the map,
    the largest first; their areas lie on the scale of the score. A good map has a small
    area of deletion and a large one of insertion.
    """

    name: str
    title: str
    definition: str
    source: str
    values: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    deletion_auc: float
    insertion_auc: float


@dataclass(frozen=True)
class Massive:
    """One massive activation of the residual stream after a layer.

    `token` is its name (`cls`, `reg0`, `row,column`), `dimension` its place in the vector,
    `ratio` its magnitude over the median magnitude of the layer.
    """

    layer: int
    token: str
    dimension: int
    value: float
    ratio: float


@dataclass(frozen=True)
class ShiftConsistency:
    """What changes when the picture is shifted in a circle by whole patches.

    `shifts` are (rows, columns) in patches. `embedding_cosine` is float32 (shifts,),
    `same_class` bool (shifts,), None without classes. `attention_agreement` is float32
    (shifts, layers): the mean over heads of the cosine of the shifted picture's
    patch-to-patch attention to the shifted attention of the picture; NaN where a layer's
    maps cannot be compared.
    """

    shifts: tuple[tuple[int, int], ...]
    embedding_cosine: np.ndarray
    same_class: np.ndarray | None
    attention_agreement: np.ndarray

    @property
    def class_share(self) -> float | None:
        """Share of the shifts under which the predicted class stays; None without classes."""
        return None if self.same_class is None else float(self.same_class.mean())


class WhatIf(NamedTuple):
    """Keys that received more than `threshold` x uniform are scaled by `p`, from 0 to 1.

    With `prefix` off, cls and registers are never taken for sinks.
    """

    threshold: float
    p: float
    prefix: bool = True


@dataclass(frozen=True)
class Redistribution:
    """The what-if: sink keys scaled by p, their mass given to the other patches.

    Sinks are the keys that received more than the threshold in the unchanged run:
    `sinks` is bool (layers, tokens). `score_before` and `score_after` are on the scale of
    the flow's curves; `before` and `after` are the most probable classes, empty without
    classes. `received` is what each key receives afterwards, float32 (layers, tokens) x
    uniform. `maps` has the maps that need no gradient, by name as in `Flow.maps`: float32
    (rows, columns).
    """

    what_if: WhatIf
    sinks: np.ndarray
    embedding_cosine: float
    score_before: float
    score_after: float
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]
    received: np.ndarray
    maps: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Flow:
    """One picture's flow of attention through a model.

    Layers are those of the lens, `layer_labels` `L0`, `L1`, ...; tokens are those of
    `base_layout`: a layer with a coarser grid repeats its patch at every place that it covers,
    and a token that it lacks is NaN. `target` says what relevance and LeGrad are taken of,
    `score` what the curves measure. `fractions`, float32 (steps + 1,), is the share of patches
    removed or put back; `random_deletion` and `random_insertion`, float32
    (orders, steps + 1), are the curves of random orders.

    Float32 (layers, tokens): `readout_attention`, the attention of the token that is read out
    (see `readout_row` for which), mean over heads; `received`, what each key receives, mean
    over heads and queries, as a multiple of uniform attention; `norms`, length of the token
    after the layer. `sinks` is bool (layers, tokens): `received` above `sink_threshold`.
    `top` are the most probable classes of the whole picture, empty without classes. `notes`
    says what was left out and why.
    """

    id: str
    picture: Picture
    placement: Placement
    base_layout: TokenLayout
    model_label: str
    caution: str
    layer_labels: tuple[str, ...]
    num_heads: tuple[int, ...]
    target: str
    score: str
    readout_row: str
    maps: tuple[FlowMap, ...]
    fractions: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray
    readout_attention: np.ndarray
    received: np.ndarray
    sinks: np.ndarray
    sink_threshold: float
    norms: np.ndarray
    norm_massive: tuple[Massive, ...]
    shift: ShiftConsistency | None
    redistribution: Redistribution | None
    top: tuple[tuple[str, float], ...]
    notes: tuple[str, ...]
    provenance: Provenance

    @property
    def nbytes(self) -> int:
        """Memory of the tables and the picture."""
        return (
            sum(array.nbytes for array in flow_arrays(self).values()) + self.picture.pixels.nbytes
        )

    def map(self, name: str) -> FlowMap:
        """One map by its name.

        Raises:
            ValueError: it was not measured.
        """
        for one in self.maps:
            if one.name == name:
                return one
        had = ", ".join(one.name for one in self.maps) or "none"
        reasons = f" ({'; '.join(self.notes)})" if self.notes else ""
        raise ValueError(f"expected a map out of {had}; got {name!r}{reasons}")

    def sink_life(self, threshold: float | None = None) -> dict[str, tuple[int, ...]]:
        """Per token that is a sink anywhere, by name: the layers in which it is one.

        Args:
            threshold: multiple of uniform; the record's own where None.
        """
        limit = self.sink_threshold if threshold is None else threshold
        found = np.nan_to_num(self.received, nan=0.0) > limit
        names = self.base_layout.names
        return {
            names[token]: tuple(np.flatnonzero(found[:, token]).tolist())
            for token in np.flatnonzero(found.any(axis=0))
        }


def flow_arrays(flow: Flow) -> dict[str, np.ndarray]:
    """All numbers of a flow by name, for an NPZ file."""
    arrays = {
        "fractions": flow.fractions,
        "random_deletion": flow.random_deletion,
        "random_insertion": flow.random_insertion,
        "readout_attention": flow.readout_attention,
        "received": flow.received,
        "sinks": flow.sinks,
        "norms": flow.norms,
    }
    for one in flow.maps:
        arrays[f"map_{one.name}"] = one.values
        arrays[f"deletion_{one.name}"] = one.deletion
        arrays[f"insertion_{one.name}"] = one.insertion
    if flow.shift is not None:
        arrays["shifts"] = np.array(flow.shift.shifts, np.int64).reshape(-1, 2)
        arrays["shift_embedding_cosine"] = flow.shift.embedding_cosine
        arrays["shift_attention_agreement"] = flow.shift.attention_agreement
        if flow.shift.same_class is not None:
            arrays["shift_same_class"] = flow.shift.same_class
    if flow.redistribution is not None:
        arrays["redistributed_received"] = flow.redistribution.received
        arrays["redistributed_sinks"] = flow.redistribution.sinks
        for name, values in flow.redistribution.maps.items():
            arrays[f"redistributed_{name}"] = values
    return arrays


def flow_values(flow: Flow) -> dict[str, object]:
    """What a flow says in words and single numbers, for a JSON file; no NaN."""
    return {
        "model": flow.model_label,
        "picture": flow.picture.name,
        "target": flow.target,
        "score": flow.score,
        "readout_row": flow.readout_row,
        "sink_threshold": flow.sink_threshold,
        "sinks": {name: list(layers) for name, layers in flow.sink_life().items()},
        "maps": {
            one.name: {
                "title": one.title,
                "definition": one.definition,
                "source": one.source,
                "deletion_auc": _plain(one.deletion_auc),
                "insertion_auc": _plain(one.insertion_auc),
            }
            for one in flow.maps
        },
        "massive": [
            [one.layer, one.token, one.dimension, _plain(one.value), _plain(one.ratio)]
            for one in flow.norm_massive
        ],
        "top": [list(one) for one in flow.top],
        "notes": list(flow.notes),
    }


def _plain(value: float) -> float | None:
    """A number that JSON knows, None for NaN or infinity."""
    return float(value) if np.isfinite(value) else None
