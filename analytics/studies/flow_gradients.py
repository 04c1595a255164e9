"""One forward pass with gradients at every layer's attention: what relevance and LeGrad need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from analytics.capture.recording import capture
from analytics.metrics.flow import legrad_layer, supported
from analytics.studies.features import feature_tokens, pool_tokens, prefix_facts
from analytics.studies.flow_layers import FlowLayers
from analytics.studies.flow_passes import watch_streams
from analytics.studies.flow_subject import FlowSubject, Target
from analytics.studies.slopes import forward_with_read

if TYPE_CHECKING:
    from analytics.capture.sites import Site

GRADIENT_BYTES = 6 * 2**30
"""Largest graph that is built for gradients."""


def gradient_bytes(layers: FlowLayers, width: int) -> int:
    """About the memory of the graph behind one picture, in bytes: attention and tokens."""
    sizes = [(site.num_heads, site.query_tokens) for site in layers.mixing]
    # The attention once, and about 16 tensors of the width of the tokens in each layer.
    return 4 * sum(heads * tokens**2 + 16 * tokens * width for heads, tokens in sizes)


def gradients(subject: FlowSubject, target: Target) -> tuple[list[Tensor], Tensor | None]:
    """What relevance and LeGrad need, from one forward pass.

    Each gradient is reduced as soon as it is there: beside the graph (every layer's attention
    once) one layer's gradient is held at a time.

    Returns:
        Per layer what `supported` gave, (tokens, tokens), and the sum of `legrad_layer`,
        (tokens,); None where the family does not give its residual stream.
    """
    maps: dict[int, Tensor] = {}
    supports: dict[int, Tensor] = {}
    wanted = {site.index for site in subject.layers.mixing}

    def grow(site: Site, attention: Tensor) -> Tensor:
        if site.index not in wanted:
            return attention
        # The graph starts at the first map: nothing before it has a part in a gradient.
        maps[site.index] = attention if maps else attention.detach().requires_grad_()
        return maps[site.index]

    with (
        torch.enable_grad(),
        watch_streams(subject.loaded.module) as streams,
        capture(subject.loaded.module, subject.sites, edit=grow),
    ):
        end = _End(subject, target)
        score = end.score(subject.pixels, streams)
        ordered = [maps[site.index] for site in subject.layers.mixing]
        summed = _legrad(end, streams, ordered)
        for index, attention in maps.items():
            attention.register_hook(_reducing(index, attention, supports))
        torch.autograd.grad(score, ordered[0])
    empty = torch.zeros(ordered[0].shape[-2:], device=subject.pixels.device)
    return [supports.get(site.index, empty) for site in subject.layers.mixing], summed


def _reducing(index: int, attention: Tensor, into: dict[int, Tensor]) -> Any:
    kept = attention.detach()

    def reduce(gradient: Tensor) -> None:
        into[index] = supported(kept[0, 0], gradient[0, 0])

    return reduce


def _legrad(end: _End, streams: Sequence[Tensor], maps: Sequence[Tensor]) -> Tensor | None:
    """The sum over layers, each from the score at its own output."""
    if not end.has_layers(streams, len(maps)):
        return None
    total = None
    for stream, attention in zip(streams, maps, strict=False):
        (slope,) = torch.autograd.grad(end.layer_score(stream), attention, retain_graph=True)
        part = legrad_layer(slope[0, 0])
        total = part if total is None else total + part
    return total


class _End:
    """The score that gradients are taken of, at the model's end and at every layer's output."""

    def __init__(self, subject: FlowSubject, target: Target) -> None:
        readout = subject.readout
        self._module: Any = subject.loaded.module
        self._readout = None if readout is None else readout.to(subject.loaded.device)
        self._read_layer = None if readout is None else readout.layer
        self._target = target
        self._way: Tensor | None = None
        self._tokens: Tensor | None = None

    def score(self, pixels: Tensor, streams: list[Tensor]) -> Tensor:
        """Run the model; the score of its end."""
        features, at = forward_with_read(self._module, pixels, self._read_layer)
        if self._target.label is not None:
            self._tokens = features if at is None else self._norm(at)
            return self._logit(self._tokens)
        # The stream itself: after the final norm its length says next to nothing.
        end = streams[-1] if streams else feature_tokens(self._module, features)
        vector = self._pooled(end)
        self._way = normalize(vector.detach(), dim=0)
        return vector @ self._way

    def has_layers(self, streams: Sequence[Tensor], count: int) -> bool:
        """Whether every layer's output can be read as the end is."""
        if len(streams) < count or not count:
            return False
        if self._tokens is None:
            return True
        again = self._norm(streams[count - 1])
        same = again.shape == self._tokens.shape
        return same and torch.allclose(again, self._tokens, rtol=1e-2, atol=1e-2)

    def layer_score(self, stream: Tensor) -> Tensor:
        """The same score read from a layer's output."""
        if self._target.label is not None:
            return self._logit(self._norm(stream))
        assert self._way is not None
        return self._pooled(stream) @ self._way

    def _norm(self, tokens: Tensor) -> Tensor:
        norm = getattr(self._module, "norm", None)
        return tokens if norm is None else norm(tokens)

    def _logit(self, tokens: Tensor) -> Tensor:
        if self._readout is None:
            logits = self._module.forward_head(tokens)
        else:
            logits = self._readout.logits(pool_tokens(tokens, *prefix_facts(self._module)))
        return logits[0, self._target.label].float()

    def _pooled(self, tokens: Tensor) -> Tensor:
        num_prefix, has_cls = prefix_facts(self._module)
        exact = tokens[0] if tokens.dtype == torch.float64 else tokens[0].float()
        return exact[0] if has_cls else exact[num_prefix:].mean(0)
