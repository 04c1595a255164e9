"""A mask on the model's input: by hand, and in step with its picture to the pixel."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.io.fitting import PAD_GREY, fit_mask, fit_picture, place
from analytics.types import Fit, Picture, Placement

FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")
SIZES = [
    (224, 224, 224, 224),
    (300, 451, 224, 224),
    (451, 300, 224, 224),
    (97, 1001, 112, 224),
    (1001, 97, 224, 112),
    (333, 500, 140, 98),
    (61, 47, 518, 518),
    (37, 53, 14, 28),
]


def as_picture(pixels: np.ndarray) -> Picture:
    return Picture("made.png", "0" * 64, pixels)


def nearest(mask: np.ndarray, placement: Placement) -> np.ndarray:
    """The value under the centre of each input pixel, one at a time; 0 off the picture."""
    fitted = np.zeros((placement.height, placement.width), mask.dtype)
    for y in range(placement.height):
        for x in range(placement.width):
            row = int(np.floor(placement.top + (y + 0.5) * placement.scale_y))
            column = int(np.floor(placement.left + (x + 0.5) * placement.scale_x))
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
                fitted[y, x] = mask[row, column]
    return fitted


def test_enlarged_and_reduced_by_hand() -> None:
    mask = np.array([[1, 2], [3, 4]], np.int32)
    grown = fit_mask(mask, place(2, 2, "stretch", 4, 4))
    assert grown.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    # Three pixels into one: the middle one lies under the centre.
    assert fit_mask(np.arange(9).reshape(3, 3), place(3, 3, "crop", 1, 1)).tolist() == [[4]]


def test_pad_is_unlabelled_and_crop_cuts() -> None:
    mask = np.full((2, 4), 7, np.int32)
    assert fit_mask(mask, place(2, 4, "pad", 4, 4)).tolist() == [[0] * 4, [7] * 4, [7] * 4, [0] * 4]
    wide = np.array([[1, 2, 2, 3], [1, 2, 2, 3]], np.int32)
    assert fit_mask(wide, place(2, 4, "crop", 2, 2)).tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.bool_])
def test_the_type_is_kept_and_one_size_changes_nothing(kind) -> None:
    mask = np.random.default_rng(0).integers(0, 2, (9, 7)).astype(kind)
    for fit in FITS:
        fitted = fit_mask(mask, place(9, 7, fit, 9, 7))
        assert fitted.dtype == kind
        assert (fitted == mask).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_against_one_pixel_at_a_time(fit, size) -> None:
    mask = np.random.default_rng(1).integers(1, 99, size[:2]).astype(np.int32)
    placement = place(size[0], size[1], fit, size[2], size[3])
    assert (fit_mask(mask, placement) == nearest(mask, placement)).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_edges_of_mask_and_picture_fall_on_the_same_pixel(fit, size) -> None:
    height, width = size[:2]
    placement = place(height, width, fit, size[2], size[3])
    for along in (0, 1):
        for share in (0.31, 0.5, 0.66):
            mask = np.zeros((height, width), np.int32)
            edge = round(share * mask.shape[along])
            mask[(slice(None),) * along + (slice(edge, None),)] = 1
            pixels = np.repeat((255 * mask)[..., None], 3, axis=2).astype(np.uint8)
            shown = fit_picture(as_picture(pixels), placement)[..., 0]
            bright = (shown > 127) & (fit_mask(np.ones_like(mask), placement) > 0)
            start, scale = (
                (placement.top, placement.scale_y),
                (placement.left, placement.scale_x),
            )[along]
            centres = start + (np.arange(bright.shape[along]) + 0.5) * scale
            # A centre on the edge itself is grey in the picture and may fall on either side.
            clear = np.abs(centres - edge) > 0.02 * scale
            found = np.compress(clear, fit_mask(mask, placement), along) > 0
            assert (found == np.compress(clear, bright, along)).all()
            assert clear.sum() >= len(clear) - 1


@pytest.mark.parametrize("fit", FITS)
def test_blocks_stay_aligned_exactly_where_pixels_map_to_pixels(fit) -> None:
    rng = np.random.default_rng(2)
    mask = np.kron(rng.integers(1, 9, (7, 5)), np.ones((6, 6), int)).astype(np.int32)
    pixels = np.repeat((25 * mask)[..., None], 3, axis=2).astype(np.uint8)
    placement = place(42, 30, fit, 42, 30)
    shown = fit_picture(as_picture(pixels), placement)[..., 0]
    assert (shown == 25 * fit_mask(mask, placement)).all()


def test_grey_of_the_pad_is_unlabelled_and_only_that() -> None:
    for height, width in ((31, 77), (77, 31), (1, 9)):
        placement = place(height, width, "pad", 56, 42)
        white = np.full((height, width, 3), 255, np.uint8)
        grey = fit_picture(as_picture(white), placement)[..., 0] == PAD_GREY
        assert (grey == (fit_mask(np.ones((height, width), np.int32), placement) == 0)).all()


@pytest.mark.parametrize("shape", [(5,), (5, 5, 3), (0, 5)])
def test_what_is_no_mask_is_refused(shape) -> None:
    with pytest.raises(ValueError, match="expected a mask"):
        fit_mask(np.zeros(shape, np.int32), place(5, 5, "crop", 5, 5))


def test_a_placement_of_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a placement made for this picture of 10 x 10"):
        fit_mask(np.zeros((10, 10), np.int32), place(300, 400, "crop", 224, 224))
