"""Deletion and insertion: does the output depend on the patches that a map calls important?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def patch_order(values: np.ndarray) -> np.ndarray:
    """Patches from the largest value of a map to the smallest, int64 (patches,).

    Equal values keep the order of the grid; NaN comes last.

    Args:
        values: a map, (rows, columns) or (patches,).
    """
    flat = np.asarray(values, np.float64).reshape(-1)
    missing = np.isnan(flat)
    return np.lexsort((np.where(missing, 0, -flat), missing))


def step_counts(patches: int, steps: int) -> np.ndarray:
    """How many patches are changed at each point of a curve, int64 (steps + 1,).

    From none to all; with fewer patches than steps, one point for each patch.

    Known answer: 10 patches in 4 steps give 0, 2, 5, 8, 10 (halves to the even number).

    Raises:
        ValueError: no patch or no step.
    """
    if patches < 1 or steps < 1:
        raise ValueError(f"expected at least 1 patch and 1 step, got {patches} and {steps}")
    return np.rint(np.linspace(0, patches, min(steps, patches) + 1)).astype(np.int64)


def first_of(order: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Which patches are among the first of an order, bool (counts, patches)."""
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[None] < counts[:, None]


def paint_patches(pixels: Tensor, fill: Tensor, painted: Tensor) -> Tensor:
    """Copies of a picture with some patches replaced by a colour.

    Args:
        pixels: one picture, (channels, height, width).
        fill: the colour, (channels,).
        painted: bool (copies, rows, columns): patches to replace. The grid must divide the
            picture.

    Returns:
        (copies, channels, height, width).

    Raises:
        ValueError: a grid that does not divide the picture.
    """
    (height, width), (rows, columns) = pixels.shape[-2:], painted.shape[-2:]
    if height % rows or width % columns:
        raise ValueError(
            f"expected a grid that divides the picture of {height} x {width}, got "
            f"{rows} x {columns}; use the grid of the model's patches"
        )
    where = painted.repeat_interleave(height // rows, 1).repeat_interleave(width // columns, 2)
    return torch.where(where[:, None], fill[:, None, None], pixels)


def mean_colour(pixels: Tensor) -> Tensor:
    """The mean over all pixels of a picture, (channels, height, width) -> (channels,)."""
    return pixels.float().mean((-2, -1)).to(pixels.dtype)


def area_under(fractions: np.ndarray, curve: np.ndarray) -> float:
    """Area under a curve from 0 to 1 by the trapezoid rule.

    Args:
        fractions: share of the patches that are changed, (points,), from 0 to 1.
        curve: the score at each, (points,).

    Returns:
        On the scale of the score. Known answers: a curve that stays at 1 has 1, a straight
        line from 1 to 0 has 1/2; 1, 0, 0 at 0, 1/2, 1 has 1/4.

    Reference: Petsiuk et al. 2018, "RISE". Differs: patches instead of pixels, and
    the picture's mean colour instead of grey and of a blurred picture.
    """
    y, x = np.asarray(curve, np.float64), np.asarray(fractions, np.float64)
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())
