"""The residual stream after every block, from the same forward pass as the attention."""

from __future__ import annotations

import inspect

import numpy as np
import torch
from torch import Tensor, nn


def forward_with_streams(model: nn.Module, batch: Tensor) -> list[np.ndarray]:
    """Run the whole model once and return the residual stream after each of its blocks.

    Args:
        model: a timm model.
        batch: one image, (1, 3, height, width).

    Returns:
        Per block float32 (tokens, width), prefix tokens first; empty for families whose
        blocks do not share one grid of tokens (the model is run all the same).
    """
    if not has_one_grid(model):
        model(batch)
        return []
    # Some families fail when they are asked for prefix tokens that they do not have.
    prefix = bool(getattr(model, "num_prefix_tokens", 0))
    final, blocks = model.forward_intermediates(  # type: ignore[operator]
        batch, output_fmt="NLC", return_prefix_tokens=prefix
    )
    # The head comes after the blocks and may attend too (a pooling query).
    model.forward_head(final)  # type: ignore[operator]
    return [join_tokens(block)[0].float().cpu().numpy() for block in blocks]


def has_one_grid(model: nn.Module) -> bool:
    """Whether all blocks of a timm model share one grid of tokens and give them away."""
    info = getattr(model, "feature_info", None)
    run = getattr(model, "forward_intermediates", None)
    if not (run and info and hasattr(model, "blocks")):
        return False
    if not {"output_fmt", "return_prefix_tokens"} <= set(inspect.signature(run).parameters):
        return False
    return len(info) == len(model.blocks) and len({one["reduction"] for one in info}) == 1  # type: ignore[arg-type]


def join_tokens(block: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """What timm's `forward_intermediates` gave of one block, (b, tokens, width), prefix first."""
    if isinstance(block, Tensor):
        return block
    patches, prefix = block
    return torch.cat([prefix, patches], dim=1)
