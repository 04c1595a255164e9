"""The object of a patch: by hand, and against counting one patch at a time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from analytics.metrics.patch_objects import NO_OBJECT, patch_objects
from analytics.types import PatchGrid

MASK = np.array(
    [
        [7, 7, 0, 0, 1, 1],
        [7, 0, 0, 0, 2, 2],
    ],
    np.int32,
)
GRID = PatchGrid(1, 3)


def counted(mask: np.ndarray, grid: PatchGrid, purity: float, background: bool):
    tall, wide = mask.shape[0] // grid.rows, mask.shape[1] // grid.columns
    objects = np.full((grid.rows, grid.columns), -1)
    shares = np.zeros((grid.rows, grid.columns), np.float32)
    for row in range(grid.rows):
        for column in range(grid.columns):
            patch = mask[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            times = Counter(patch.ravel().tolist())
            most = min(times, key=lambda value: (-times[value], value))
            shares[row, column] = times[most] / patch.size
            if times[most] / patch.size >= purity and (most or background):
                objects[row, column] = most
    return objects, shares


def test_by_hand() -> None:
    objects, shares = patch_objects(MASK, GRID)
    assert (objects.dtype, shares.dtype) == (np.int32, np.float32)
    assert shares.tolist() == [[0.75, 1.0, 0.5]]
    assert objects.tolist() == [[7, -1, -1]]
    assert NO_OBJECT == -1


def test_the_option_of_the_authors_code_counts_the_background() -> None:
    objects, shares = patch_objects(MASK, GRID, count_background=True)
    assert objects.tolist() == [[7, 0, -1]]
    assert shares.tolist() == [[0.75, 1.0, 0.5]]


@pytest.mark.parametrize(("purity", "first"), [(0.75, 7), (0.76, -1), (1.0, -1), (0.01, 7)])
def test_the_threshold_belongs_to_what_is_kept(purity, first) -> None:
    assert patch_objects(MASK, GRID, purity)[0][0, 0] == first


def test_a_share_at_the_threshold_is_kept_in_spite_of_rounding() -> None:
    # 3 of 5 pixels is .6, and .6 * 5 is not exactly 3 in floating point for every such pair.
    for pixels in range(1, 60):
        for kept in range(1, pixels + 1):
            row = np.array([[4] * kept + [0] * (pixels - kept)], np.int32)
            if 2 * kept > pixels:
                assert patch_objects(row, PatchGrid(1, 1), kept / pixels)[0].item() == 4


def test_of_equal_counts_the_smaller_number_is_taken() -> None:
    assert patch_objects(MASK, GRID, 0.5)[0].tolist() == [[7, -1, 1]]
    half = np.array([[0, 5]], np.int32)
    assert patch_objects(half, PatchGrid(1, 1), 0.5)[0].tolist() == [[-1]]
    assert patch_objects(half, PatchGrid(1, 1), 0.5, True)[0].tolist() == [[0]]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("values", [2, 5, 300])
@pytest.mark.parametrize("grid", [PatchGrid(3, 5), PatchGrid(1, 1), PatchGrid(12, 20)])
def test_against_counting(grid, values, background) -> None:
    rng = np.random.default_rng(values)
    mask = rng.integers(0, values, (12, 20)).astype(np.int32)
    mask[rng.random(mask.shape) < 0.5] = values - 1
    for purity in (0.3, 0.6):
        objects, shares = patch_objects(mask, grid, purity, background)
        expected, parts = counted(mask, grid, purity, background)
        assert objects.tolist() == expected.tolist()
        assert np.allclose(shares, parts)


def test_masks_of_one_value() -> None:
    for value, object_ in ((0, -1), (9, 9)):
        objects, shares = patch_objects(np.full((4, 4), value, np.int32), PatchGrid(2, 2))
        assert objects.tolist() == [[object_] * 2] * 2
        assert shares.tolist() == [[1.0] * 2] * 2


def test_an_object_of_one_pixel_owns_no_patch_of_many() -> None:
    mask = np.full((4, 4), 2, np.int32)
    mask[1, 1] = 3
    objects, shares = patch_objects(mask, PatchGrid(2, 2))
    assert objects.tolist() == [[2, 2], [2, 2]]
    assert shares[0, 0] == 0.75
    assert patch_objects(mask, PatchGrid(4, 4))[0][1, 1] == 3


def test_patches_need_not_be_square_and_large_numbers_are_kept() -> None:
    top = np.iinfo(np.int32).max
    mask = np.array([[top, top, 1, 1, 1, 1]], np.int64)
    assert patch_objects(mask, PatchGrid(1, 3))[0].tolist() == [[top, 1, 1]]


@pytest.mark.parametrize(
    ("mask", "grid", "purity", "said"),
    [
        (MASK[0], GRID, 0.6, "(6,)"),
        (MASK.astype(float), GRID, 0.6, "float64"),
        (MASK[:0], GRID, 0.6, "(0, 6)"),
        (MASK, PatchGrid(1, 4), 0.6, "1 x 4 patches divide, got 2 x 6"),
        (MASK, GRID, 0.0, "purity"),
        (MASK, GRID, 1.01, "purity"),
        (MASK, GRID, float("nan"), "purity"),
        (-MASK, GRID, 0.6, "number them from 1"),
        (MASK.astype(np.int64) << 33, GRID, 0.6, "32 bits"),
    ],
)
def test_what_is_refused(mask, grid, purity, said) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        patch_objects(mask, grid, purity)
    assert said in str(caught.value)
