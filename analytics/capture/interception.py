"""Seeing every attention call of a forward pass, in this thread only, without hooks.

`AttentionTap` is a `TorchFunctionMode`: while it is active, each
`scaled_dot_product_attention`, and each softmax over the last axis together with the
product that follows it, is shown to its owner, who may replace what the model goes on
with. The mode lives on a thread-local stack, so another thread that runs the same model
sees nothing; the model itself is never touched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_SOFTMAX = frozenset({torch.softmax, torch.Tensor.softmax, F.softmax, torch.special.softmax})
_PRODUCT = frozenset(
    {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm}
    | {torch.einsum}
)
_SHAPE_ONLY = frozenset(
    {"dropout", "dropout_", "clone", "contiguous", "to", "type_as", "type", "float", "half"}
    | {"bfloat16", "reshape", "view", "flatten", "unflatten", "permute", "transpose", "swapaxes"}
    | {"movedim", "unsqueeze", "squeeze", "expand", "mT", "__get__"}
)


@dataclass(frozen=True)
class FusedCall:
    """Arguments of one `scaled_dot_product_attention` call, raw shapes (..., tokens, width)."""

    query: Tensor
    key: Tensor
    value: Tensor
    bias: Tensor | None
    scale: float


class Owner(Protocol):
    """What the tap calls. `module` is the dotted name, `call` counts events in that module."""

    def fused(self, module: str, call: FusedCall, run: Callable[[], Tensor]) -> Tensor:
        """One fused attention; returns the head outputs the model goes on with."""

    def softmax(self, module: str, attention: Tensor) -> tuple[Tensor, Any]:
        """One softmax; returns the attention to go on with, and a mark for `product`."""

    def product(self, mark: Any, attention: Tensor, output: Tensor, mixed: bool) -> Tensor:
        """The product of a marked attention with the values; returns what to go on with.

        `attention` is what was multiplied; `mixed` says that more than its shape changed
        since the softmax (talking heads, position gates).
        """

    def other(self, function: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
        """Any other call; only made when `watch_all` is set."""


class AttentionTap(TorchFunctionMode):
    """Shows each attention call of `model` in this thread to `owner`.

    Args:
        model: the model whose modules give the calls their names.
        owner: receives the calls.
        watch_all: also pass every other torch call to `owner.other` (slow; for tracing).
    """

    def __init__(self, model: nn.Module, owner: Owner, watch_all: bool = False) -> None:
        super().__init__()
        self._names = {id(module): name for name, module in model.named_modules()}
        self._owner = owner
        self._watch_all = watch_all
        # Tensors that carry an attention between its softmax and its product. The tensor is
        # kept beside its mark, so that its id cannot be given to another tensor meanwhile.
        self._tracked: dict[int, tuple[Tensor, Any, bool]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Route attention to the owner and everything else straight through."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._on_fused(func, args, kwargs)
        if func in _SOFTMAX and _over_last_axis(args, kwargs):
            return self._on_softmax(func, args, kwargs)
        result = func(*args, **kwargs)
        if self._tracked:
            result = self._follow(func, (*args, *kwargs.values()), result)
        if self._watch_all:
            self._owner.other(func, args, result)
        return result

    def _on_fused(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        return self._owner.fused(
            self.caller(), _fused_call(*args, **kwargs), lambda: func(*args, **kwargs)
        )

    def _on_softmax(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        attention, mark = self._owner.softmax(self.caller(), func(*args, **kwargs))
        self._tracked.clear()
        if mark is not None:
            self._tracked[id(attention)] = (attention, mark, False)
        return attention

    def _follow(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> Any:
        """Carry marks through reshapes and head mixing up to the product with the values."""
        operands = args[1:] if func is torch.einsum else args
        hit = next((self._tracked[id(a)] for a in operands if id(a) in self._tracked), None)
        if hit is None or not isinstance(result, Tensor):
            return result
        carried, mark, mixed = hit
        if func in _PRODUCT:
            self._tracked.clear()
            return self._owner.product(mark, carried, result, mixed)
        if result.numel() == carried.numel():
            mixed = mixed or getattr(func, "__name__", "") not in _SHAPE_ONLY
            self._tracked[id(result)] = (result, mark, mixed)
        return result

    def caller(self) -> str:
        """Dotted name of the innermost module of the model whose forward is running."""
        frame = sys._getframe(1)
        while frame is not None:
            module = frame.f_locals.get("self")
            if isinstance(module, nn.Module) and not isinstance(module, nn.Softmax):
                name = self._names.get(id(module))
                if name is not None:
                    return name
            frame = frame.f_back  # type: ignore[assignment]
        return ""


def _over_last_axis(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    values = args[0] if args else kwargs.get("input")
    axis = args[1] if len(args) > 1 else kwargs.get("dim")
    return isinstance(values, Tensor) and axis in (-1, values.ndim - 1) and values.ndim >= 3


def _fused_call(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> FusedCall:
    """The arguments of `scaled_dot_product_attention`, with one bias for mask and causality."""
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(groups, dim=-3) for t in (key, value))
    bias = attn_mask
    if is_causal:
        shape = (query.shape[-2], key.shape[-2])
        bias = torch.ones(shape, dtype=torch.bool, device=query.device).tril()
    if bias is not None and bias.dtype == torch.bool:
        bias = torch.zeros_like(bias, dtype=query.dtype).masked_fill_(~bias, float("-inf"))
    return FusedCall(query, key, value, bias, query.shape[-1] ** -0.5 if scale is None else scale)
