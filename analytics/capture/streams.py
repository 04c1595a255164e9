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
    if not _has_one_grid(model):
        model(batch)
        return []
    # Some families fail when they are asked for prefix tokens that they do not have.
    prefix = bool(getattr(model, "num_prefix_tokens", 0))
    final, blocks = model.forward_intermediates(  # type: ignore[operator]
        batch, output_fmt="NLC", return_prefix_tokens=prefix
    )
    # The head comes after the blocks and may attend too (a pooling query).
    model.forward_head(final)  # type: ignore[operator]
    return [_tokens(block) for block in blocks]


def _has_one_grid(model: nn.Module) -> bool:
    info = getattr(model, "feature_info", None)
    run = getattr(model, "forward_intermediates", None)
    if not (run and info and hasattr(model, "blocks")):
        return False
    if not {"output_fmt", "return_prefix_tokens"} <= set(inspect.signature(run).parameters):
        return False
    return len(info) == len(model.blocks) and len({one["reduction"] for one in info}) == 1  # type: ignore[arg-type]


def _tokens(block: Tensor | tuple[Tensor, Tensor]) -> np.ndarray:
    if isinstance(block, Tensor):
        return block[0].float().cpu().numpy()
    patches, prefix = block
    return torch.cat([prefix[0], patches[0]]).float().cpu().numpy()
