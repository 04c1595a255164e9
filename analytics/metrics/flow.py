"""What the output draws on, followed through all layers: rollout, relevance and LeGrad.

Maps are (..., tokens, tokens) with axes (query, key) and layer 0 first. A whole result holds
tokens x tokens numbers; the functions ending in `_row` follow a single row (that of the token
that is read out) from the last layer back, and need no more than each layer's mean over heads.
Everything is computed in float32, or in float64 if given.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def rollout(attentions: Tensor) -> Tensor:
    """How much of each input token reaches each output token, if layers only mixed tokens.

    The product over layers of rownorm(mean over heads of A + I), the last layer on the left:
    half of each layer's output is what the token was before.

    Args:
        attentions: (layers, ..., heads, tokens, tokens); rows sum to 1.

    Returns:
        (..., tokens, tokens); rows sum to 1. Known answers: L layers of uniform attention U
        give 2^-L I + (1 - 2^-L) U; the identity in every layer gives the identity.

    Reference: Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers".

    Raises:
        ValueError: maps that are not square.
    """
    total = _start(attentions)
    for layer in attentions:
        total = _with_residual(_precise(layer).mean(-3)) @ total
    return total


def rollout_row(means: Sequence[Tensor], start: Tensor) -> Tensor:
    """One row of the rollout, or a mix of rows, with the memory of one row.

    Args:
        means: per layer the mean over heads, (..., tokens, tokens).
        start: weights of the output tokens, (..., tokens): 1 at cls for its row, 1/N at
            each patch for the mean of their rows.

    Returns:
        (..., tokens): `start @ rollout`.

    Reference: Abnar & Zuidema 2020. Differs: in the order of the products alone.
    """
    row = start
    for mean in reversed(means):
        row = _times(row, _with_residual(_precise(mean)))
    return row


def relevance(attentions: Tensor, gradients: Tensor) -> Tensor:
    """How relevant each input token is to a score, by attention that its gradient supports.

    From R = I, layer by layer, R <- R + mean over heads of relu(gradient * A) R.

    Args:
        attentions: (layers, ..., heads, tokens, tokens).
        gradients: of the score at each of them, of the same shape.

    Returns:
        (..., tokens, tokens). Known answers: L layers of uniform attention U with gradient 1
        give I + (2^L - 1) U; gradients nowhere above 0 give I.

    Reference: Chefer et al. 2021, "Generic Attention-model Explainability", equations 5 and 6.

    Raises:
        ValueError: maps that are not square, or gradients of another shape.
    """
    if attentions.shape != gradients.shape:
        raise ValueError(
            f"expected a gradient for each of the maps {tuple(attentions.shape)}, got "
            f"{tuple(gradients.shape)}; take both from the same forward pass"
        )
    total = _start(attentions)
    for attention, gradient in zip(attentions, gradients, strict=True):
        total = total + supported(attention, gradient) @ total
    return total


def supported(attention: Tensor, gradient: Tensor) -> Tensor:
    """One layer's mean over heads of relu(gradient * A), (..., tokens, tokens).

    Args:
        attention: (..., heads, queries, keys).
        gradient: of the score at it.

    Reference: Chefer et al. 2021, equation 5.
    """
    return (_precise(attention) * _precise(gradient)).clamp(min=0).mean(-3)


def relevance_row(supports: Sequence[Tensor], start: Tensor) -> Tensor:
    """One row of the relevance, or a mix of rows, with the memory of one row.

    Args:
        supports: per layer what `supported` gave, (..., tokens, tokens).
        start: weights of the output tokens, (..., tokens).

    Returns:
        (..., tokens): `start @ relevance`.

    Reference: Chefer et al. 2021. Differs: in the order of the products alone.
    """
    row = start
    for support in reversed(supports):
        row = row + _times(row, support)
    return row


def legrad(gradients: Sequence[Tensor]) -> Tensor:
    """Which keys each layer's own score would rise with, if they were attended to more.

    The sum over layers l of relu(d s_l / d A_l), averaged over heads and queries; s_l is the
    score read from the output of layer l.

    Args:
        gradients: per layer d s_l / d A_l, (..., heads, queries, keys).

    Returns:
        (..., keys). Known answers: gradient 1 everywhere in L layers gives L; gradients
        nowhere above 0 give 0.

    Reference: Bousselham et al. 2024, "LeGrad".
    Differs: the sum is neither divided by the number of layers nor scaled to 0 to 1.

    Raises:
        ValueError: no layer.
    """
    if not len(gradients):
        raise ValueError("expected the gradients of at least one layer, got none")
    return torch.stack([legrad_layer(one) for one in gradients]).sum(0)


def legrad_layer(gradient: Tensor) -> Tensor:
    """One layer's part of `legrad`: (..., heads, queries, keys) -> (..., keys)."""
    return _precise(gradient).clamp(min=0).mean((-3, -2))


def _with_residual(mean: Tensor) -> Tensor:
    """rownorm(A + I)."""
    mixed = mean + torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device)
    return mixed / mixed.sum(-1, keepdim=True)


def _times(row: Tensor, matrix: Tensor) -> Tensor:
    """(..., tokens) @ (..., tokens, tokens)."""
    return (row.to(matrix)[..., None, :] @ matrix)[..., 0, :]


def _start(attentions: Tensor) -> Tensor:
    """The identity for every image."""
    if attentions.ndim < 4 or attentions.shape[-1] != attentions.shape[-2]:
        raise ValueError(
            "expected attention (layers, ..., heads, tokens, tokens) in which every token is "
            f"query and key, got {tuple(attentions.shape)}; put windows back on the grid first"
        )
    like = _precise(attentions[0, ..., 0, :, :])
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device).expand(like.shape)


def _precise(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
