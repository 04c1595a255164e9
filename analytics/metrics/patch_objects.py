"""The object of a patch, from the instance mask laid on the model's input."""

from __future__ import annotations

import numpy as np

from analytics.types import PatchGrid

NO_OBJECT = -1
"""Stands for a patch that belongs to no object: mixed, or unlabelled."""


def patch_objects(
    instances: np.ndarray, grid: PatchGrid, purity: float = 0.6, count_background: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Say which object every patch belongs to.

    A patch's object is the most frequent instance in it, 0 (unlabelled) taking part in the
    count; it is kept where its share of the patch's pixels is at least `purity`. Where two
    are equally frequent, the smaller number is taken; above a purity of .5 none is kept.

    Args:
        instances: integers (height, width) on the model's input (see `fit_mask`), 0 for
            unlabelled, each other value one instance.
        grid: the model's patches; must divide height and width.
        purity: least share, above 0 and at most 1.
        count_background: take unlabelled patches as one object, number 0, as the authors'
            code does. Otherwise they are excluded.

    Returns:
        objects int32 (rows, columns): the instance, or `NO_OBJECT` (-1) for a mixed patch and,
        unless `count_background`, for an unlabelled one. `objects >= 0` are the patches to
        use in both cases.
        shares float32 (rows, columns): of the most frequent number, 0 included, kept or not.

    Raises:
        ValueError: a mask that is no table of whole numbers from 0 on or that the grid does
            not divide, or a purity outside its range.

    Reference: Li et al. 2025, arXiv 2510.24709 (object binding), for the most frequent instance;
    the threshold's value and the rule for ties are ours.

    Known answer: with 2 x 2 pixels of which three are instance 7 and one is 0, the share is
    .75: kept as 7 at a purity of .6, -1 at .8.

    Differs: the authors' code counts 0 as an object always; here that is the option.
    """
    _check(instances, grid, purity)
    rows, columns = grid.rows, grid.columns
    tall, wide = instances.shape[0] // rows, instances.shape[1] // columns
    blocks = instances.reshape(rows, tall, columns, wide).transpose(0, 2, 1, 3)
    pixels = np.sort(blocks.reshape(rows * columns, tall * wide), axis=1)  # (patches, pixels)
    most, count = _most_frequent(pixels)
    shares = (count / (tall * wide)).astype(np.float32)
    kept = count >= purity * tall * wide - 1e-9
    if not count_background:
        kept &= most > 0
    objects = np.where(kept, most, NO_OBJECT).astype(np.int32)
    return objects.reshape(rows, columns), shares.reshape(rows, columns)


def _most_frequent(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent value of each row of sorted values, the smallest of equals; its count."""
    place = np.arange(ordered.shape[1])
    starts = np.ones(ordered.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    run = place - first + 1  # how often the value has come so far
    best = run.argmax(axis=1)
    row = np.arange(len(ordered))
    return ordered[row, best], run[row, best]


def _check(instances: np.ndarray, grid: PatchGrid, purity: float) -> None:
    if instances.ndim != 2 or instances.dtype.kind not in "iu" or not instances.size:
        raise ValueError(
            "expected instances as whole numbers (height, width), got "
            f"{instances.dtype} {instances.shape}; pass what fit_mask returns"
        )
    height, width = instances.shape
    if height % grid.rows or width % grid.columns:
        raise ValueError(
            f"expected a mask that {grid.rows} x {grid.columns} patches divide, got "
            f"{height} x {width} pixels (height x width); fit it to the model's input first"
        )
    if not 0 < purity <= 1:
        raise ValueError(f"expected a purity above 0 and at most 1, got {purity}")
    if int(instances.min()) < 0 or int(instances.max()) > np.iinfo(np.int32).max:
        raise ValueError(
            f"expected instances of 0 and above that fit 32 bits, got {instances.min()} to "
            f"{instances.max()}; number them from 1"
        )
