"""Sinks: keys that much attention ends in, what happens without them, and massive activations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SINK_THRESHOLD = 5.0
"""A key is a sink when it receives more than this many times its even share (ours)."""

MASSIVE_VALUE, MASSIVE_RATIO = 100.0, 1000.0
"""What makes an activation massive, and how many times the median magnitude it must have."""


def received_relative(attention: Tensor) -> Tensor:
    """What each key receives, as a multiple of its even share.

    The mean over heads and queries of A, times the number of keys.

    Args:
        attention: (..., heads, queries, keys).

    Returns:
        (..., keys), float32 at least; its mean is 1 where rows sum to 1. Known answers:
        uniform attention gives 1 everywhere; all attention on one of T keys gives T there.

    Reference: the mean over queries is the attention received of Preplan-and-Anchor.
    Differs: prefix tokens are keys and queries like all others, and the unit is ours.
    """
    exact = attention if attention.dtype == torch.float64 else attention.float()
    return exact.mean((-3, -2)) * exact.shape[-1]


def sinks(attention: Tensor, threshold: float = SINK_THRESHOLD) -> Tensor:
    """Which keys receive more than a multiple of their even share.

    Args:
        attention: (..., heads, queries, keys).
        threshold: the multiple.

    Returns:
        bool (..., keys). Known answers: none in uniform attention for a threshold of 1 or
        more; with all attention on one of T keys that key, for a threshold below T.

    Reference: Xiao et al. 2024, "Efficient Streaming Language Models with Attention Sinks", for
    the word. Differs: the rule is ours; Kang et al. 2025, "See What You Are Told: Visual
    Attention Sink", choose sinks by dimensions of the residual stream.

    Raises:
        ValueError: a threshold that is not above 0.
    """
    check_threshold(threshold)
    return received_relative(attention) > threshold


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is no multiple of uniform.

    Raises:
        ValueError: not above 0.
    """
    if not threshold > 0:
        raise ValueError(
            f"expected a multiple of uniform attention above 0, got {threshold}; "
            f"{SINK_THRESHOLD:g} is the default"
        )


def redistribute(
    attention: Tensor, sink_keys: Tensor, p: float, receivers: Tensor | None = None
) -> Tensor:
    """Scale what goes to sinks, and give the freed mass to other keys in proportion.

    With s the mass of a row on sinks and o that on receivers, sink keys are scaled by p and
    receivers by 1 + (1 - p) s / o. A row without mass on receivers stays as it is.

    Args:
        attention: (..., heads, queries, keys).
        sink_keys: bool, broadcasts to `attention` from the right, usually (keys,).
        p: from 0 (sinks get nothing) to 1.
        receivers: bool of the same kind; None for all keys that are no sinks. Sinks among
            them receive nothing.

    Returns:
        Of the shape of `attention`; rows keep their sum. Known answers: p = 1 changes
        nothing, bit for bit; (.6, .3, .1) with the first as sink and p = 0 gives
        (0, .75, .25).

    Reference: adapted from Kang et al. 2025, "See What You Are Told: Visual Attention Sink",
    where the mass goes to the patches of the picture. Differs: all heads alike.

    Raises:
        ValueError: p outside 0 to 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"expected p from 0 (sinks get nothing) to 1 (unchanged), got {p}")
    receiving = ~sink_keys if receivers is None else receivers & ~sink_keys
    nothing = attention.new_zeros(())
    on_sinks = torch.where(sink_keys, attention, nothing).sum(-1, keepdim=True)
    on_others = torch.where(receiving, attention, nothing).sum(-1, keepdim=True)
    possible = on_others > 0
    growth = 1 + (1 - p) * on_sinks / torch.where(possible, on_others, 1)
    changed = torch.where(sink_keys, attention * p, attention)
    changed = torch.where(receiving, attention * growth, changed)
    return torch.where(possible, changed, attention)


class Activation(NamedTuple):
    """One entry of the residual stream: its place, its value, its magnitude over the median."""

    token: int
    dimension: int
    value: float
    ratio: float


def massive_activations(stream: np.ndarray) -> list[Activation]:
    """Entries of the residual stream that are far larger than all others.

    Magnitude above 100 and at least 1,000 times the median magnitude of the stream.

    Args:
        stream: (tokens, width) after a layer.

    Returns:
        The largest first. Known answer: ones everywhere but for a 1,500 give that one, with
        ratio 1,500; with a 900 instead, none.

    Reference: Sun et al. 2024, "Massive Activations in Large Language Models".
    """
    magnitude = np.abs(stream.astype(np.float64))
    median = float(np.median(magnitude))
    found = (magnitude > MASSIVE_VALUE) & (magnitude >= MASSIVE_RATIO * median)
    places = np.argwhere(found)
    order = np.argsort(-magnitude[found], kind="stable")
    return [
        Activation(
            int(token),
            int(dimension),
            float(stream[token, dimension]),
            float(magnitude[token, dimension] / median) if median else float("inf"),
        )
        for token, dimension in places[order]
    ]
