"""Rebuilds a timm model with heads taken out, from the files that lie beside this one.

    from load_pruned import load

    model = load()

Needs torch, timm and safetensors; recipe.json says which versions wrote the files, and what
the model takes in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def load(folder: str | Path | None = None) -> nn.Module:
    """The pruned model on the CPU, in evaluation mode; `folder` defaults to this file's own."""
    import timm
    from safetensors.torch import load_file

    place = Path(folder or Path(__file__).parent)
    recipe = json.loads((place / "recipe.json").read_text(encoding="utf-8"))
    model = timm.create_model(recipe["architecture"], pretrained=False, **recipe["build_arguments"])
    for name, changes in recipe["attention"].items():
        shrink(model.get_submodule(name), changes)
    model.to(getattr(torch, recipe["dtype"]))
    model.load_state_dict(load_file(place / "pruned.safetensors"), strict=True)
    return model.eval()


def shrink(attention: nn.Module, changes: Mapping[str, Any]) -> None:
    """Give one attention module the size it has with fewer heads; its values are zero then.

    Args:
        attention: a timm attention module, changed in place.
        changes: its part of recipe.json: `attributes` to set, new `shapes` of parameters and
            buffers, and which `forward` to run.
    """
    forward = changes["forward"]
    if forward == "timm" and not all(hasattr(attention, name) for name in changes["attributes"]):
        forward = "join_kept_heads"  # an older timm, whose class knows no width of its own
    for name, value in changes["attributes"].items():
        setattr(attention, name, value)
    for name, shape in changes["shapes"].items():
        owner, _, last = name.rpartition(".")
        part = attention.get_submodule(owner)
        old = getattr(part, last)
        new = old.new_zeros(shape)
        learned = isinstance(old, nn.Parameter)
        setattr(part, last, nn.Parameter(new, old.requires_grad) if learned else new)
        if isinstance(part, nn.Linear):
            part.out_features, part.in_features = part.weight.shape
    if forward != "timm":
        setattr(attention, "forward", MethodType(FORWARDS[forward], attention))  # noqa: B010


def join_kept_heads(attention: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
    """The forward of a class that joins its heads to the width of the input.

    Fewer heads are narrower than that, so here they are joined to the width they have.
    """
    with _JoinToOwnWidth():
        return type(attention).forward(attention, *args, **kwargs)


def project_nothing(attention: Any, tokens: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The forward of a layer without heads: the bias of its projection, for every token."""
    proj = attention.proj
    nothing = tokens.new_zeros(*tokens.shape[:-1], proj.out_features)
    return nothing if proj.bias is None else nothing + proj.bias


FORWARDS: Mapping[str, Callable[..., Tensor]] = {
    "join_kept_heads": join_kept_heads,
    "project_nothing": project_nothing,
}


class _JoinToOwnWidth(TorchFunctionMode):
    """Lets the last axis of a reshape that cannot hold the tensor follow from the others."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        lengths = args[1:]
        apart = func is torch.Tensor.reshape and not isinstance(lengths[0], tuple)
        if apart and math.prod(lengths) != args[0].numel():
            args = (*args[:-1], -1)
        return func(*args, **(kwargs or {}))
