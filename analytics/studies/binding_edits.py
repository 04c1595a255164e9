"""A forward pass that goes on with another residual stream at one point."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from analytics.capture.streams import has_one_grid
from analytics.metrics.binding_subspace import (
    Subspace,
    energy,
    injected_change,
    matched_gain,
    shuffle_order,
    shuffled_change,
)

Edit = Literal["shuffle", "inject"]
UNCHANGED: dict[Edit, float] = {"shuffle": 0.0, "inject": 1.0}
"""The amount of each edit that is a bitwise identity: ratio 0 and alpha 1."""


@contextmanager
def edited_stream(
    module: nn.Module, point: int, change: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """Let the passes inside go on with another residual stream.

    Passes that another thread makes with the same model meanwhile stay as they are.

    Args:
        module: a timm model whose layers share one grid of tokens.
        point: 0 for the input of the first layer, l for the output of the l-th layer.
        change: gets (b, tokens, d), prefix tokens first, and returns what takes its place.

    Raises:
        ValueError: another family, or no such point.
    """
    if not has_one_grid(module):
        raise ValueError("expected a model whose layers share one grid of patches; choose a ViT")
    blocks: Any = module.blocks
    if not 0 <= point <= len(blocks):
        raise ValueError(f"expected a point of 0 to {len(blocks)}, got {point}")
    own = threading.get_ident()

    def before(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return (change(given[0]), *given[1:]) if threading.get_ident() == own else None

    def after(_: nn.Module, given: Any, output: Tensor) -> Tensor | None:
        return change(output) if threading.get_ident() == own else None

    if point:
        handle = blocks[point - 1].register_forward_hook(after)
    else:
        handle = blocks[0].register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def changed_patches(
    patches: Tensor,
    objects: Tensor,
    binding: Subspace,
    subspace: Subspace,
    edit: Edit,
    amount: float,
    seed: int,
) -> tuple[Tensor, float]:
    """The patches of one picture with an edit in a subspace, as strong as in the binding part.

    Args:
        patches: (n, d) of the residual stream.
        objects: object of each, int (n,), 0 for none.
        binding: the binding subspace, whose change gives the energy.
        subspace: where the edit is made; the binding subspace itself, or a control, whose change
            is scaled to the same energy.
        edit: `shuffle` or `inject`.
        amount: ratio of shuffled patches, or alpha.
        seed: of the shuffle.

    Returns:
        (n, d) of the type of `patches`, and the energy that was moved as a share of the patches'
        variance. Known answer: `patches` bit for bit for the amounts in `UNCHANGED`.
    """
    order = shuffle_order(len(patches), amount, seed) if edit == "shuffle" else None

    def moved(space: Subspace) -> Tensor:
        own = space.coordinates(patches)
        if order is None:
            return space.lifted(injected_change(own, objects, amount))
        return space.lifted(shuffled_change(own, order.to(own.device)))

    change = moved(binding)
    if subspace is not binding:
        control = moved(subspace)
        change = control * matched_gain(energy(change), control)
    whole = patches.float()
    spread = energy(whole - whole.mean(0))
    share = energy(change) / spread if spread > 0 else 0.0
    return (whole + change).to(patches.dtype), share


def replaced_patches(tokens: Tensor, patches: list[Tensor]) -> Tensor:
    """Tokens (b, tokens, d) with the last ones of each picture replaced by its patches."""
    new = torch.stack(patches)
    return torch.cat([tokens[:, : tokens.shape[1] - new.shape[1]], new], dim=1)
