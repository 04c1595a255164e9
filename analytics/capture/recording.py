"""The capture context: reads attention out of a live model and gates its heads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from analytics.capture.interception import AttentionTap, FusedCall
from analytics.capture.sites import Site, SiteMap

Quantity = Literal["query", "key", "value", "attention", "output"]
Edit = Callable[[Site, Tensor], Tensor]
Attend = Callable[["Heads"], "tuple[Tensor, Any] | None"]


@dataclass(frozen=True)
class Heads:
    """One attention call as an observer sees it, while the forward pass is running.

    All tensors are (images, windows, heads, tokens, width); global attention has one window.
    `query`, `key`, `value`, `bias` and `scale` are None for calls that are not fused: their
    logits are made in ways that differ between families, and only the result is kept.
    `output` is what the head hands to the output projection, after gates.
    """

    site: Site
    output: Tensor
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    bias: Tensor | None = None
    scale: float | None = None
    softmax: Tensor | None = None

    def attention(self) -> Tensor:
        """Attention after the softmax, float32 (images, windows, heads, queries, keys).

        For a fused call it is computed here, softmax(q k^T * scale + bias) in float32, and
        not kept. Rows sum to 1 unless the site is `mixed`. float64 stays float64.
        """
        if self.softmax is not None:
            return _precise(self.softmax)
        assert self.query is not None and self.key is not None and self.scale is not None
        logits = (_precise(self.query) * self.scale) @ _precise(self.key).mT  # b w h q k
        learns = logits.requires_grad or (self.bias is not None and self.bias.requires_grad)
        if torch.is_grad_enabled() and learns:
            return torch.softmax(logits if self.bias is None else logits + self.bias, dim=-1)
        if self.bias is not None:
            logits += self.bias
        # In place: a second array of this size costs more time than the softmax itself.
        return torch.softmax(logits, dim=-1, out=logits)


def _precise(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


@dataclass(frozen=True)
class Captured:
    """What was kept of one attention call; None for what was not asked for or not had."""

    site: Site
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    bias: Tensor | None = None
    scale: float | None = None
    attention: Tensor | None = None
    output: Tensor | None = None
    reduced: Any = None


@dataclass(frozen=True)
class Gates:
    """How much of each head's output the model goes on with: z * g + (1 - g) * replacement.

    `values` maps a site's index to its gates, (heads,) or (images, heads); sites left out are
    untouched. `replacement` maps a site's index to what fills the gap, anything that
    broadcasts to (images, windows, heads, tokens, width); left out, it is zero.
    """

    values: Mapping[int, Tensor]
    replacement: Mapping[int, Tensor] = field(default_factory=dict)


def switch_off(sites: SiteMap, heads: Collection[tuple[int, int]]) -> Gates:
    """Gates that remove the given (site index, head) pairs and leave all others alone.

    Raises:
        ValueError: the model has no such site or head.
    """
    values: dict[int, Tensor] = {}
    for index, head in heads:
        if not (0 <= index < len(sites.sites) and 0 <= head < sites.sites[index].num_heads):
            raise ValueError(
                f"expected layers 0 to {len(sites.sites) - 1} with their heads; "
                f"got layer {index} head {head}"
            )
        gate = values.setdefault(index, torch.ones(sites.sites[index].num_heads))
        gate[head] = 0
    return Gates(values)


@contextmanager
def capture(
    model: nn.Module,
    sites: SiteMap,
    keep: Collection[Quantity] = (),
    reduce: Callable[[Heads], Any] | None = None,
    gates: Gates | None = None,
    edit: Edit | None = None,
    detach: bool = True,
    attend: Attend | None = None,
) -> Iterator[list[Captured]]:
    """Captures the attention of the forward passes made inside the `with` block.

    Attention stays fused, and the model's output bit-identical, unless a gate is set, `edit`
    is given or whole maps are kept; then the model goes on with the explicit attention, which
    is cheaper than computing it twice (outputs equal to 1e-5). Only this thread is watched;
    the model is not modified and needs no clean-up.

    Args:
        model: the live model, as given to `find_sites`.
        sites: where it attends, from `find_sites` at the same input size.
        keep: quantities to keep of every call, in the model's dtype (attention: float32
            at least).
        reduce: called with every call; its result is kept as `Captured.reduced`, so that
            statistics need no more memory than one layer's attention at a time.
        gates: heads to scale down or replace; gradients flow through them.
        edit: (site, attention) -> attention the model goes on with. Makes attention
            explicit and part of the graph; return it unchanged to differentiate through it.
        detach: whether kept tensors leave the graph. If not, gradients at `attention` and
            `output` can be had; the other quantities lie beside the path to the loss.
        attend: computes a fused call in torch's stead, so that what is made on the way need not
            be made twice: gives the head outputs and what is kept as `Captured.reduced`, or
            None to leave the call to torch, and to `reduce`. Not together with `keep` or `edit`.

    Yields:
        A list that grows by one `Captured` per attention call, in the order of the calls.

    Raises:
        ValueError: a gate or replacement for a site that the model does not have. A forward
            pass raises it for gates of a wrong shape, and where maps are kept, reduced or
            edited for an input of another size than that of `sites`.
    """
    unknown = set() if gates is None else {*gates.values, *gates.replacement}
    unknown -= {site.index for site in sites.sites}
    if unknown:
        raise ValueError(
            f"expected gates for layers 0 to {len(sites.sites) - 1}, got one for layer "
            f"{min(unknown)}"
        )
    assert attend is None or not (keep or edit)
    recorder = _Recorder(sites, frozenset(keep), reduce, gates, edit, detach, attend)
    with AttentionTap(model, recorder):
        yield recorder.captured


class _Recorder:
    """Receives the calls of one capture."""

    def __init__(
        self,
        sites: SiteMap,
        keep: frozenset[Quantity],
        reduce: Callable[[Heads], Any] | None,
        gates: Gates | None,
        edit: Edit | None,
        detach: bool,
        attend: Attend | None,
    ) -> None:
        self.captured: list[Captured] = []
        self._sites = {(site.module, site.call): site for site in sites.sites}
        self._events = sites.events
        self._counts: Counter[str] = Counter()
        self._keep, self._reduce, self._gates, self._edit = keep, reduce, gates, edit
        self._detach, self._attend = detach, attend

    def fused(self, module: str, call: FusedCall, run: Callable[[], Tensor]) -> Tensor:
        site = self._next(module, call.query.shape[-2], call.key.shape[-2])
        if site is None:
            return run()
        attention = None
        if self._attend is not None:
            found = self._attend(self._heads(site, call, None, call.query))
            if found is not None:
                self.captured.append(Captured(site, reduced=found[1]))
                joined = call.query.new_empty((*call.query.shape[:-1], call.value.shape[-1]))
                return self._gated(site, site.join(found[0], joined))
        if self._edit is not None or "attention" in self._keep:
            seen = self._heads(site, call, None, call.query)
            attention = seen.attention()
            attention = attention if self._edit is None else self._edit(site, attention)
            assert seen.value is not None
            raw = attention.to(seen.value.dtype) @ seen.value
            output = site.join(raw, raw.new_empty((*call.query.shape[:-1], raw.shape[-1])))
        else:
            output = run()
        output = self._gated(site, output)
        if self._keep or self._reduce:
            output = self._record(self._heads(site, call, attention, output), output)
        return output

    def softmax(self, module: str, attention: Tensor) -> tuple[Tensor, Any]:
        site = self._next(module, *attention.shape[-2:])
        if site is None:
            return attention, None
        if self._edit is not None:
            edited = self._edit(site, site.split(attention))
            attention = site.join(edited, attention).to(attention.dtype)
        return attention, (site, attention)

    def product(self, mark: Any, attention: Tensor, output: Tensor, mixed: bool) -> Tensor:
        site, softmax = mark
        output = self._gated(site, output)
        if self._keep or self._reduce:
            # What was multiplied counts; a mere transposition of it reads like the softmax.
            used = attention if mixed and attention.shape == softmax.shape else softmax
            heads = Heads(site, site.split(output), softmax=site.split(used))
            output = self._record(heads, output)
        return output

    def other(self, function: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Not called: the tap of a capture watches attention alone."""

    def _next(self, module: str, queries: int, keys: int) -> Site | None:
        call = self._counts[module] % self._events.get(module, 1)
        self._counts[module] += 1
        site = self._sites.get((module, call))
        looked_at = self._keep or self._reduce or self._edit or self._attend
        # Gates alone do not care which token stands where.
        if site and looked_at and (queries, keys) != (site.query_tokens, site.key_tokens):
            raise ValueError(
                f"{site.label}: expected {site.query_tokens} queries and {site.key_tokens} keys, "
                f"got {queries} and {keys}; find the sites again for this input size"
            )
        return site

    def _heads(
        self, site: Site, call: FusedCall, attention: Tensor | None, output: Tensor
    ) -> Heads:
        lead = call.query.shape[:-2]
        key, value = (t.expand(*lead, *t.shape[-2:]) for t in (call.key, call.value))
        bias = call.bias
        if bias is not None:
            bias = site.split(bias.expand(*call.query.shape[:-1], key.shape[-2]))
        return Heads(
            site,
            site.split(output),
            site.split(call.query),
            site.split(key),
            site.split(value),
            bias,
            call.scale,
            attention,
        )

    def _gated(self, site: Site, output: Tensor) -> Tensor:
        gate = None if self._gates is None else self._gates.values.get(site.index)
        if gate is None or self._gates is None:
            return output
        heads = site.split(output)
        if gate.shape not in {(site.num_heads,), (heads.shape[0], site.num_heads)}:
            raise ValueError(
                f"{site.label}: expected gates of shape ({site.num_heads},) or "
                f"({heads.shape[0]}, {site.num_heads}), got {tuple(gate.shape)}"
            )
        gate = gate.to(heads).reshape(-1, 1, site.num_heads, 1, 1)
        gated = heads * gate
        filling = self._gates.replacement.get(site.index)
        if filling is not None:
            gated = gated + (1 - gate) * filling.to(heads)
        return site.join(gated, output)

    def _record(self, heads: Heads, output: Tensor) -> Tensor:
        """Keep what was asked for of one call; returns the output to go on with."""

        def kept(name: Quantity, value: Tensor | None) -> Tensor | None:
            if name not in self._keep or value is None:
                return None
            return value.detach() if self._detach else value

        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._detach):
            attention = heads.attention() if "attention" in self._keep else None
            reduced = self._reduce(heads) if self._reduce else None
        logits_kept = "query" in self._keep or "key" in self._keep
        self.captured.append(
            Captured(
                heads.site,
                kept("query", heads.query),
                kept("key", heads.key),
                kept("value", heads.value),
                heads.bias if logits_kept else None,
                heads.scale,
                kept("attention", attention),
                kept("output", heads.output),
                reduced,
            )
        )
        # Where the graph is kept, the model goes on with the very tensor that was shown, so that
        # the slope at it can be had.
        return output if self._detach else heads.site.join(heads.output, output)
