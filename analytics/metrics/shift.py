"""Whether a model sees the same in a picture that is shifted in a circle by whole patches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def roll_picture(pixels: Tensor, shift: tuple[int, int], patch: tuple[int, int]) -> Tensor:
    """A picture shifted in a circle: what leaves at the bottom enters at the top.

    Args:
        pixels: (..., height, width).
        shift: (rows, columns) in patches; positive moves down and right.
        patch: height and width of a patch in pixels.
    """
    (dy, dx), (height, width) = shift, patch
    return torch.roll(pixels, (dy * height, dx * width), (-2, -1))


def shifted_places(rows: int, columns: int, shift: tuple[int, int]) -> Tensor:
    """For each patch of the shifted picture, the patch that was moved there, int64 (patches,).

    Known answer: a 1 x 3 grid shifted by one column gives (2, 0, 1).
    """
    places = torch.arange(rows * columns).reshape(rows, columns)  # rows, columns
    return torch.roll(places, shift, (0, 1)).flatten()


def shift_agreement(
    attention: Tensor, shifted: Tensor, grid: tuple[int, int], shift: tuple[int, int]
) -> Tensor:
    """How alike attention on the shifted picture is to the shifted attention.

    The cosine of A(roll x) to roll A(x) over all pairs of patches, for each head; queries and
    keys are both moved.

    Args:
        attention: of the picture between its patches, (..., heads, patches, patches).
        shifted: of the shifted picture.
        grid: rows and columns of the patches.
        shift: (rows, columns) in patches.

    Returns:
        (..., heads). Known answers: 1 for attention that depends on the offset round the
        circle alone and for the shift 0; 0 where no key with attention is shared.

    Reference: Ding et al. 2023, "Reviving Shift Equivariance in Vision Transformers", for the
    question. Differs: the cosine of maps is ours.
    """
    places = shifted_places(*grid, shift).to(attention.device)
    moved = attention.index_select(-2, places).index_select(-1, places)
    return cosine_similarity(_precise(moved).flatten(-2), _precise(shifted).flatten(-2), dim=-1)


def shift_consistency(
    embeddings: Tensor, shifted: Tensor, classes: Tensor | None = None, after: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """How far a model's end stays where it is when the picture is shifted.

    Args:
        embeddings: of the picture, (..., width).
        shifted: of its shifted copies, (..., width).
        classes: class probabilities of the picture, (..., classes).
        after: those of the copies.

    Returns:
        The cosine of the embeddings, (...), and whether the most probable class stays, bool
        (...), None without classes; its mean is the share of equal predictions. Known
        answers: 1 and True for a model that does not see the shift.

    Reference: Ding et al. 2023, "Reviving Shift Equivariance in Vision Transformers": the share
    of equal predictions. Differs: the cosine, for models without classes, is ours.
    """
    cosine = cosine_similarity(_precise(embeddings), _precise(shifted), dim=-1)
    if classes is None or after is None:
        return cosine, None
    return cosine, classes.argmax(-1) == after.argmax(-1)


def _precise(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
