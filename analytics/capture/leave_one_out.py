"""What a model does without one of its heads: exact, and faster than running it again.

One clean pass keeps every block's output. Taking a head out changes its attention module's
output by W_O (o' - o), a rank-d update, so nothing of attention is computed again in that
block; only the blocks after it run; and where the cls token alone is read, the last block
computes that token alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analytics.capture.readout_block import reads_first_token, run_first_token
from analytics.capture.recording import Captured, Gates, Heads, capture
from analytics.capture.replay import Replay, repeat
from analytics.capture.sites import SiteMap

Filling = Callable[[Captured, int], Tensor]
"""(layer, head) -> what the head hands on instead: (images, windows, tokens, width)."""


@dataclass(frozen=True)
class Outcome:
    """What came out without a head.

    `features` is what the model's `forward_features` gives; with `tokens="cls"` it may hold
    the first token alone. `layer_output` is the output of the block that lost the head, and
    `read` that of the layer that is read, None where none was named. For several heads at once
    the images of the first come first.
    """

    features: Tensor
    layer_output: Tensor
    read: Tensor | None = None


class LeaveOneOut:
    """Removes one head after the other from a model, for one batch of images at a time.

    Equal to running the whole model with the head's gate at 0 within 1e-5 in float32. Not for
    several threads at once. `exact_update` says, per layer, whether the rank-d update holds;
    where it does not (a norm or a gate between the heads and the projection) the layer's block
    is run again with a gate. `heads` holds, after `start`, what was captured of every layer
    that the features depend on.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: SiteMap,
        tokens: Literal["cls", "all"] = "all",
        read_layer: int | None = None,
    ) -> None:
        """Make the model ready; it is not changed.

        Args:
            model: in evaluation mode.
            sites: where it attends, at the batch's size.
            tokens: which tokens of the features are read: the first alone, or all.
            read_layer: a layer whose block's output is read beside the features.

        Raises:
            ValueError: the model has no such layer.
        """
        if read_layer is not None and not 0 <= read_layer < len(sites.sites):
            raise ValueError(
                f"expected a layer from 0 to {len(sites.sites) - 1} to read, got {read_layer}"
            )
        self._sites = sites
        self._replay = Replay(model, sites)
        self._first_token_only = tokens == "cls"
        self._read_layer = read_layer
        self.heads: tuple[Captured, ...] = ()
        self.exact_update: tuple[bool, ...] = ()
        self._attention: dict[int, Tensor] = {}

    @property
    def model(self) -> nn.Module:
        """The private copy of the model, which shares its weights."""
        return self._replay.model

    @torch.no_grad()
    def start(self, batch: Tensor, reduce: Callable[[Heads], Any] | None = None) -> Tensor:
        """Run the model on a batch and keep what the removals need; returns its features.

        Args:
            batch: images, as the model takes them.
            reduce: called with every attention call, as by `capture`.
        """
        outputs: dict[str, Tensor] = {}

        def keep(name: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            outputs[name] = forward(*args, **kwargs)
            return outputs[name]

        modules = {site.module for site in self._sites.sites} - set(self._replay.steps)
        with (
            self._replay.replaced({name: partial(keep, name) for name in modules}),
            capture(self.model, self._sites, keep=("value", "output"), reduce=reduce) as captured,
        ):
            features = self._replay.record(batch)
        # A pooling layer after the features is not among them.
        self.heads = tuple(captured)
        self._attention = {
            one.site.index: outputs[one.site.module]
            for one in self.heads
            if one.site.module in outputs
        }
        self.exact_update = tuple(self._is_exact(layer) for layer in self.heads)
        self._first_token_only = self._first_token_only and reads_first_token(*self._last_step())
        return features

    @torch.no_grad()
    def without(self, layer: int, heads: Sequence[int], filling: Filling | None = None) -> Outcome:
        """The outcome without a head, for the batch of the last `start`.

        Args:
            layer: index of the layer.
            heads: the heads of it that are taken out, each on its own: their outcomes lie one
                behind the other in the batch.
            filling: what the head hands on instead; None for zero.
        """
        if self.exact_update[layer]:
            return self._updated(layer, heads, filling)
        outcomes = [self._gated(layer, head, filling) for head in heads]
        read = [one.read for one in outcomes if one.read is not None]
        return Outcome(
            torch.cat([one.features for one in outcomes]),
            torch.cat([one.layer_output for one in outcomes]),
            torch.cat(read) if read else None,
        )

    def _updated(self, layer: int, heads: Sequence[int], filling: Filling | None) -> Outcome:
        """Start from the attention module's kept output and take the heads' share away."""
        kept = self._attention[layer]
        weight = self.projection(layer).weight
        width = self.heads[layer].output.shape[-1]  # type: ignore[union-attr]
        parts = []
        for head in heads:
            lost = self._lost(layer, head, filling)
            columns = weight[:, head * width : (head + 1) * width]
            parts.append(kept - F.linear(lost, columns).reshape(kept.shape))
        changed = torch.cat(parts)
        instead = self._shortcut(layer, changed)
        module = self._sites.sites[layer].module
        with self._replay.replaced({module: lambda forward, *args, **kwargs: changed}):
            return self._rerun(layer, instead, len(heads))

    def _gated(self, layer: int, head: int, filling: Filling | None) -> Outcome:
        """Run the layer's block again with the head's gate at 0."""
        captured = self.heads[layer]
        gate = torch.ones(captured.site.num_heads)
        gate[head] = 0
        replacement = {}
        if filling is not None:
            assert captured.output is not None
            fill = torch.zeros_like(captured.output)
            fill[:, :, head] = filling(captured, head)
            replacement = {layer: fill}
        gates = Gates({layer: gate}, replacement)
        with capture(self.model, self._sites, gates=gates):
            return self._rerun(layer, self._shortcut(layer, None), 1)

    def _rerun(self, layer: int, instead: dict[str, Callable[..., Any]], copies: int) -> Outcome:
        features, outputs = self._replay.rerun(layer, instead, copies)
        read = None
        if self._read_layer is not None:
            name = self._replay.block_of(self._read_layer)
            read = (
                outputs[name]
                if name in outputs
                else repeat(self.layer_output(self._read_layer), copies)
            )
        return Outcome(features, outputs[self._replay.block_of(layer)], read)

    def read_output(self) -> Tensor | None:
        """What the layer that is read gave with all heads in place."""
        return None if self._read_layer is None else self.layer_output(self._read_layer)

    def layer_output(self, layer: int) -> Tensor:
        """What a layer's block gave with all heads in place."""
        return self._replay.output(self._replay.position(layer))

    def _lost(self, layer: int, head: int, filling: Filling | None) -> Tensor:
        """What the head hands on less what it is to hand on, (images, windows, tokens, width)."""
        captured = self.heads[layer]
        assert captured.output is not None
        own = captured.output[:, :, head]
        return own if filling is None else own - filling(captured, head).to(own)

    def _shortcut(self, layer: int, changed: Tensor | None) -> dict[str, Callable[..., Any]]:
        """What stands for the last block where the first token alone is read.

        `changed` is the attention module's output of the layer that lost a head; None where
        a gate acts inside that module, which must then run.
        """
        last = self._replay.block_of(self.heads[-1].site.index)
        own = self._replay.block_of(layer) == last
        if not self._first_token_only or (own and changed is None):
            return {}
        block, attention = self.model.get_submodule(last), changed if own else None
        return {last: lambda forward, tokens: run_first_token(block, tokens, attention)}

    def _last_step(self) -> tuple[nn.Module, Any, Any]:
        """The last block, what it read (the output of the step before) and what it gave."""
        step = self._replay.position(self.heads[-1].site.index)
        block = self.model.get_submodule(self._replay.block_of(self.heads[-1].site.index))
        return block, self._replay.output(step - 1) if step else None, self._replay.output(step)

    def projection(self, layer: int) -> nn.Linear:
        """The output projection of a layer whose `exact_update` holds."""
        return self.model.get_submodule(self._sites.sites[layer].module).proj  # type: ignore[return-value]

    def _is_exact(self, captured: Captured) -> bool:
        """Whether the attention module's output is its projection of the joined heads."""
        site = captured.site
        projection = getattr(self.model.get_submodule(site.module), "proj", None)
        kept, heads = self._attention.get(site.index), captured.output
        if not isinstance(projection, nn.Linear) or not isinstance(kept, Tensor) or heads is None:
            return False
        joined = heads.transpose(2, 3).flatten(3)  # images, windows, tokens, heads * width
        if joined.shape[-1] != projection.in_features:
            return False
        projected = projection(joined)
        same = projected.numel() == kept.numel()
        tolerance = 1e-5 if kept.dtype in (torch.float32, torch.float64) else 5e-2
        return same and torch.allclose(
            projected.reshape(kept.shape), kept, tolerance, tolerance * float(kept.abs().max())
        )
