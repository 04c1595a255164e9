"""Finding the attention sites of a model by watching a few forward passes.

All passes run on noise with attention replaced by "every query takes the key at its own
place", so that a token keeps to its place in the picture all the way up. Each later pass
changes the picture in one place; tokens that are claimed to stand there must be the ones
that change most. A layout that fails this is not used: better no map than a wrong one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analytics.capture.interception import AttentionTap, FusedCall
from analytics.capture.layouts import Placer, token_at_place
from analytics.capture.sites import HeadAxes, Site, SiteMap
from analytics.types import TokenLayout

_CONVOLUTIONS = frozenset({F.conv2d, torch.conv2d})
_READS_TOKENS = frozenset({F.linear, F.layer_norm}) | _CONVOLUTIONS
PLACES = ((0.2, 0.65), (0.75, 0.3))
"""Where each later picture differs from the first, as shares of its height and width."""


@dataclass(frozen=True)
class _Event:
    """What one attention call looked like at batch size one."""

    module: str
    call: int
    kind: Literal["fused", "explicit"]
    query_shape: tuple[int, ...]  # (..., query tokens)
    key_tokens: int
    inputs: tuple[Tensor, ...]
    history: tuple[Tensor, ...]
    tied: Tensor | None = None  # a tensor (..., windows or heads, heads or windows, *, *)
    output_tail: tuple[int, ...] = ()
    mixed: bool = False


class _Watcher:
    """Keeps the shapes of every attention call and what it read.

    With `remember`, also the tensors that lead up to it, which takes the memory of several
    blocks at once.
    """

    def __init__(self, model: nn.Module, placer: Placer, remember: bool = False) -> None:
        self.events: list[_Event] = []
        self.counts: Counter[str] = Counter()
        self._placer = placer
        self._tap = AttentionTap(model, self, watch_all=True)
        self._read: dict[str, list[Tensor]] = {}
        self._history: deque[Tensor] = deque(maxlen=48 if remember else 0)

    def watch(self, model: nn.Module, pixels: Tensor) -> None:
        with self._tap:
            model(pixels)

    def fused(self, module: str, call: FusedCall, run: Callable[[], Tensor]) -> Tensor:
        shape = (*call.query.shape[:-1], call.key.shape[-2])
        local = self._placer.local_attention(shape, call.value)
        output = local @ call.value.expand(*shape[:-2], *call.value.shape[-2:])
        self._add(module, "fused", shape, call.value)
        self.events[-1] = replace(self.events[-1], output_tail=tuple(output.shape[-2:]))
        return output

    def softmax(self, module: str, attention: Tensor) -> tuple[Tensor, Any]:
        self._add(module, "explicit", tuple(attention.shape), attention)
        local = self._placer.local_attention(tuple(attention.shape), attention)
        return local.expand(attention.shape).clone(), len(self.events) - 1

    def product(self, mark: int, attention: Tensor, output: Tensor, mixed: bool) -> Tensor:
        tail = tuple(output.shape[-2:])
        self.events[mark] = replace(self.events[mark], output_tail=tail, mixed=mixed)
        return output

    def other(self, function: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        if function in _READS_TOKENS:
            channels_last = function not in _CONVOLUTIONS or args[0].ndim != 4
            read = args[0] if channels_last else args[0].permute(0, 2, 3, 1)
            self._read.setdefault(self._tap.caller(), []).append(read)
        if isinstance(result, Tensor) and result.is_floating_point() and result.ndim >= 3:
            self._history.append(result)

    def _add(
        self,
        module: str,
        kind: Literal["fused", "explicit"],
        shape: tuple[int, ...],
        tensor: Tensor,
    ) -> None:
        inside = [
            n for n in self._read if n == module or n.startswith(f"{module}." if module else "")
        ]
        inputs = tuple(tensor for name in inside for tensor in self._read[name])
        self._read.clear()
        if self.events and self.events[-1].module == module:  # both calls read the same
            inputs += self.events[-1].inputs
        call, history = self.counts[module], tuple(self._history)
        tied = tensor if len(shape) > 3 and shape[-4] == shape[-3] > 1 else None
        self.events.append(_Event(module, call, kind, shape[:-1], shape[-1], inputs, history, tied))
        self.counts[module] += 1


@torch.no_grad()
def find_sites(model: nn.Module, input_size: tuple[int, int]) -> SiteMap:
    """Every attention call of a forward pass, with its heads and its tokens' places.

    Runs the model on one picture of noise (seeded), once more where it has windows, and again
    with the picture changed in each of PLACES; in this thread only. The model is left as it
    was.

    Args:
        model: a model in evaluation mode that takes (images, 3, height, width).
        input_size: (height, width) in pixels.

    Raises:
        ValueError: the model attends nowhere between tokens; the message says what was found.
    """
    parameter = next(model.parameters())
    pixels = torch.randn(1, 3, *input_size, generator=torch.Generator().manual_seed(0))
    placer = Placer(model, input_size)

    def watch(picture: Tensor, remember: bool = False) -> _Watcher:
        watcher = _Watcher(model, placer, remember)
        watcher.watch(model, picture.to(parameter))
        return watcher

    plain = watch(pixels)
    if any(_windows(model, plain, event) > 1 for event in plain.events):
        plain = watch(pixels, remember=True)
    changed = [watch(_changed(pixels, *place)) for place in PLACES]
    return _site_map(model, plain, changed, placer, input_size)


def _changed(pixels: Tensor, y: float, x: float) -> Tensor:
    """The picture with other noise in a fourteenth of its sides around one place."""
    changed = pixels.clone()
    height, width = pixels.shape[2:]
    half_y, half_x = max(1, height // 28), max(1, width // 28)
    rows = slice(int(y * height) - half_y, int(y * height) + half_y)
    columns = slice(int(x * width) - half_x, int(x * width) + half_x)
    changed[..., rows, columns] *= -3
    return changed


def _windows(model: nn.Module, watcher: _Watcher, event: _Event) -> int:
    """Number of windows of a call, before it is known which axis they have."""
    return _head_axes(event.query_shape[:-1], _heads_of(model, watcher, event))[1]


def _heads_of(model: nn.Module, watcher: _Watcher, event: _Event) -> int | None:
    heads = _num_heads(model.get_submodule(event.module))
    if len(event.query_shape) == 2 and heads == watcher.counts[event.module]:
        return 1  # called once for each head
    return heads


def _site_map(
    model: nn.Module,
    plain: _Watcher,
    changed: list[_Watcher],
    placer: Placer,
    input_size: tuple[int, int],
) -> SiteMap:
    modules = dict(model.named_modules())
    sites: list[Site] = []
    refused: list[str] = []
    for event, *others in zip(plain.events, *(one.events for one in changed), strict=True):
        module = modules[event.module]
        heads = _heads_of(model, plain, event)
        reason = _refusal(event, module, heads)
        if reason:
            refused.append(f"{event.module} ({type(module).__name__}): {reason}")
        elif event.output_tail:
            sites.append(_site(event, others, heads, len(sites), placer))
    if not sites:
        found = "; ".join(dict.fromkeys(r.split(" ", 1)[1] for r in refused)) or "none at all"
        raise ValueError(
            f"{type(model).__name__} has no attention between the places of a picture "
            f"(attention found: {found}). Choose a model with softmax attention over patches, "
            "for example a ViT, DeiT, BEiT, EVA or Swin"
        )
    return SiteMap(tuple(sites), dict(plain.counts), input_size, tuple(refused))


def _site(
    event: _Event, others: list[_Event], heads: int | None, index: int, placer: Placer
) -> Site:
    axes, windows, heads = _head_axes(event.query_shape[:-1], heads)
    if event.tied is not None and others[0].tied is not None and heads == windows:
        axes = _untied(axes, event.tied - others[0].tied)
    queries, keys = event.query_shape[-1], event.key_tokens
    site = Site(
        index,
        event.module,
        event.call,
        event.kind,
        event.mixed,
        axes,
        windows,
        heads,
        queries,
        keys,
    )
    placed = placer.place(windows, queries, keys, event.inputs, event.history)
    if placed is None:
        return site
    query_layout, key_layout, query_index, key_index = placed
    # Queries pooled from the keys may lie right where the keys do not.
    claims = (query_layout, query_index), (key_layout, key_index)
    if not all(_stand(*claim, event, others, placer) for claim in claims):
        return site
    return replace(
        site,
        query_layout=query_layout,
        key_layout=key_layout,
        query_index=query_index,
        key_index=key_index,
    )


def _stand(
    layout: TokenLayout, index: np.ndarray, event: _Event, others: list[_Event], placer: Placer
) -> bool:
    """Whether what was read changes where the layout says that each changed place is."""
    return all(
        token_at_place(layout, index, event.inputs, other.inputs, place, placer.layout)
        for other, place in zip(others, PLACES, strict=True)
    )


def _num_heads(module: nn.Module) -> int | None:
    """The module's own count of heads."""
    for name in ("num_heads", "heads", "n_heads", "num_attention_heads"):
        heads = getattr(module, name, None)
        if isinstance(heads, int):
            return heads
    return None


def _head_axes(lead: tuple[int, ...], heads: int | None) -> tuple[HeadAxes, int, int]:
    """Reads (axes, windows, heads) off the leading axes of a batch of one image."""
    if len(lead) == 1:
        heads = heads if heads and lead[0] % heads == 0 else 1
        return "bwh", lead[0] // heads, heads
    if len(lead) == 2:
        if heads and heads != lead[1] and lead[0] % heads == 0:
            return "bh,w", lead[1], heads
        return "bw,h", lead[0], lead[1]
    if heads == lead[2] and heads != lead[1]:
        return "b,w,h", lead[1], lead[2]
    return "b,h,w", lead[2], lead[1]


def _untied(axes: HeadAxes, change: Tensor) -> HeadAxes:
    """The axes where there are as many heads as windows, so that the shape does not tell.

    `change` is what one changed place did to a tensor with both: it is in few windows and in
    all heads. Where neither axis stands out, `axes` stays.
    """
    sums = change.float().abs().sum((-2, -1))
    sums = sums.reshape(-1, *sums.shape[-2:]).sum(0)  # windows or heads, heads or windows
    first, second = float(sums.sum(1).std()), float(sums.sum(0).std())
    readings: tuple[HeadAxes, HeadAxes] = ("b,w,h", "b,h,w")
    if axes in ("bw,h", "bh,w"):
        readings = ("bw,h", "bh,w")
    if first > 2 * second:
        return readings[0]
    return readings[1] if second > 2 * first else axes


def _refusal(event: _Event, module: nn.Module, heads: int | None) -> str:
    """Why a call is no attention between tokens; empty when it is."""
    if "Outlook" in type(module).__name__:
        return "weighs the neighbours of each place without comparing tokens"
    if "Lambda" in type(module).__name__:
        return "sums the picture up before any place reads it, without comparing tokens"
    if event.output_tail and _over_channels(event, module, heads):
        return "attends between channels, not between places in the picture"
    return ""


def _over_channels(event: _Event, module: nn.Module, heads: int | None) -> bool:
    """XCiT-like attention: heads x 'tokens' make up the width, and the real tokens come last.

    With d channels a head and n tokens, token attention gives outputs of (n, d) and channel
    attention of (d, n); the module's input (n, heads * d) tells them apart unless n = d.
    """
    queries, last = event.output_tail
    inputs = [tensor.shape for tensor in event.inputs if tensor.ndim == 3]
    if queries == last or not inputs:
        return any(w in type(module).__name__ for w in ("XCA", "CrossCovariance", "Channel"))
    heads = _head_axes(event.query_shape[:-1], heads)[2]
    return any(shape[-1] == heads * queries and shape[-2] == last for shape in inputs)
