"""Where the input lies on the picture: numbers by hand, and dots that must land right."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.io.fitting import (
    PAD_GREY,
    fit_picture,
    normalise,
    patch_box,
    place,
    placement_notes,
)
from analytics.types import Fit, PatchGrid, Picture, Placement

FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")
SIZES = [
    (224, 224, 224, 224),
    (300, 451, 224, 224),
    (451, 300, 224, 224),
    (97, 1001, 112, 224),
    (1001, 97, 224, 112),
    (333, 500, 140, 98),
    (500, 333, 98, 140),
    (61, 47, 518, 518),
]


def as_picture(pixels: np.ndarray) -> Picture:
    return Picture("made.png", "0" * 64, pixels)


def flat(height: int, width: int, value: int = 0) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def inside(height: int, width: int, placement: Placement) -> tuple[int, int, int, int]:
    """Rows and columns of input pixels whose centres lie on the picture, by trying each."""
    ys = [placement.top + (y + 0.5) * placement.scale_y for y in range(placement.height)]
    xs = [placement.left + (x + 0.5) * placement.scale_x for x in range(placement.width)]
    rows = [i for i, y in enumerate(ys) if 0 <= y < height]
    columns = [i for i, x in enumerate(xs) if 0 <= x < width]
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


# --- place -----------------------------------------------------------------------------


def test_crop_by_hand() -> None:
    assert place(300, 400, "crop", 224, 224) == Placement(
        "crop", 224, 224, 0.0, 50.0, 300 / 224, 300 / 224
    )
    assert place(400, 300, "crop", 112, 224) == Placement(
        "crop", 112, 224, 125.0, 0.0, 300 / 224, 300 / 224
    )


def test_stretch_by_hand() -> None:
    assert place(300, 400, "stretch", 224, 112) == Placement(
        "stretch", 224, 112, 0.0, 0.0, 300 / 224, 400 / 112
    )


def test_pad_by_hand() -> None:
    # 300 x 400 into 224 x 224: the content is 168 x 224, 28 rows of grey above it.
    assert place(300, 400, "pad", 224, 224) == Placement(
        "pad", 224, 224, -28 * 300 / 168, 0.0, 300 / 168, 400 / 224
    )


def test_pad_rounds_the_content_to_whole_pixels_and_says_so_in_its_scales() -> None:
    placed = place(301, 400, "pad", 224, 224)
    assert placed.scale_y == 301 / 169
    assert placed.scale_x == 400 / 224
    assert placed.top == -27 * placed.scale_y


@pytest.mark.parametrize("fit", FITS)
def test_same_size_is_the_identity(fit: Fit) -> None:
    assert place(224, 112, fit, 224, 112) == Placement(fit, 224, 112, 0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("size", SIZES)
def test_crop_is_the_largest_centred_region_with_the_inputs_aspect(
    size: tuple[int, int, int, int],
) -> None:
    height, width, rows, columns = size
    placed = place(height, width, "crop", rows, columns)
    seen_height, seen_width = rows * placed.scale_y, columns * placed.scale_x
    assert placed.scale_y == placed.scale_x
    assert min(height - seen_height, width - seen_width) == pytest.approx(0, abs=1e-9)
    assert placed.top == pytest.approx((height - seen_height) / 2)
    assert placed.left == pytest.approx((width - seen_width) / 2)


@pytest.mark.parametrize("size", SIZES)
def test_pad_shows_the_whole_picture_centred_and_nearly_undistorted(
    size: tuple[int, int, int, int],
) -> None:
    height, width, rows, columns = size
    placed = place(height, width, "pad", rows, columns)
    first, last, left, right = inside(height, width, placed)
    assert abs(first - (rows - last)) <= 1
    assert abs(left - (columns - right)) <= 1
    assert (last - first) * placed.scale_y == pytest.approx(height)
    assert (right - left) * placed.scale_x == pytest.approx(width)
    shorter = min(last - first, right - left)
    assert placed.scale_y / placed.scale_x == pytest.approx(1, abs=0.51 / shorter)


@pytest.mark.parametrize("sizes", [(0, 5, 14, 14), (5, 5, 14, 0), (-1, 5, 14, 14)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = sizes
    with pytest.raises(ValueError, match="expected sizes of at least 1 pixel"):
        place(height, width, "crop", rows, columns)


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a fit named crop, pad, stretch, got 'squash'"):
        place(5, 5, "squash", 14, 14)  # type: ignore[arg-type]


# --- fit_picture -----------------------------------------------------------------------


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", [0, 1, 77, 254, 255])
def test_a_constant_picture_stays_constant(
    fit: Fit, size: tuple[int, int, int, int], value: int
) -> None:
    height, width, rows, columns = size
    placed = place(height, width, fit, rows, columns)
    fitted = fit_picture(as_picture(flat(height, width, value)), placed)
    assert fitted.shape == (rows, columns, 3)
    assert fitted.dtype == np.uint8
    first, last, left, right = inside(height, width, placed)
    assert (fitted[first:last, left:right] == value).all()
    border = np.ones(fitted.shape[:2], bool)
    border[first:last, left:right] = False
    assert (fitted[border] == PAD_GREY).all()
    assert border.any() == (fit == "pad" and size[0] * size[3] != size[1] * size[2])


@pytest.mark.parametrize("fit", FITS)
def test_a_picture_of_the_inputs_size_is_not_changed(fit: Fit) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (56, 84, 3), np.uint8)
    fitted = fit_picture(as_picture(pixels), place(56, 84, fit, 56, 84))
    assert np.array_equal(fitted, pixels)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_the_input_shows_the_picture_where_the_placement_says(
    fit: Fit, size: tuple[int, int, int, int]
) -> None:
    # Brightness grows by a known amount per picture pixel along each axis, so that every
    # input pixel tells which picture position it shows.
    height, width, rows, columns = size
    y, x = np.mgrid[0:height, 0:width] + 0.5
    ramps = np.stack([255 * y / height, 255 * x / width, 0 * y], axis=-1)
    placed = place(height, width, fit, rows, columns)
    fitted = fit_picture(as_picture(np.rint(ramps).astype(np.uint8)), placed).astype(float)
    first, last, left, right = inside(height, width, placed)
    shown_y = placed.top + (np.arange(first, last) + 0.5) * placed.scale_y
    shown_x = placed.left + (np.arange(left, right) + 0.5) * placed.scale_x
    # The kernel reaches two pixels of the coarser of the two: near the picture's edge it sees
    # one side only.
    edge_y, edge_x = (2 * int(max(1, 1 / s)) + 1 for s in (placed.scale_y, placed.scale_x))
    inner = fitted[first:last, left:right][edge_y:-edge_y, edge_x:-edge_x]
    shown_y, shown_x = shown_y[edge_y:-edge_y, None], shown_x[None, edge_x:-edge_x]
    assert inner.size > 0
    assert np.abs(inner[:, :, 0] - 255 * shown_y / height).max() < 1.1
    assert np.abs(inner[:, :, 1] - 255 * shown_x / width).max() < 1.1


def centre_of_mass(weight: np.ndarray) -> tuple[float, float]:
    ys, xs = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]] + 0.5
    return (ys * weight).sum() / weight.sum(), (xs * weight).sum() / weight.sum()


def patch_holding(placed: Placement, grid: PatchGrid, y: float, x: float) -> tuple[int, int] | None:
    """By trying every box: the patch that holds a point, None where it is near a box's edge."""
    for row in range(grid.rows):
        for column in range(grid.columns):
            top, left, bottom, right = patch_box(placed, grid, row, column)
            deep_y = min(y - top, bottom - y) > 0.05 * (bottom - top)
            deep_x = min(x - left, right - x) > 0.05 * (right - left)
            if deep_y and deep_x:
                return row, column
    return None


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_a_bright_dot_lands_in_the_patch_whose_box_holds_it(
    fit: Fit, size: tuple[int, int, int, int]
) -> None:
    height, width, rows, columns = size
    grid = PatchGrid(rows // 14, columns // 14)
    placed = place(height, width, fit, rows, columns)
    background = fit_picture(as_picture(flat(height, width)), placed).astype(float)
    reach = [max(1, round(scale)) for scale in (placed.scale_y, placed.scale_x)]
    rng = np.random.default_rng(rows * columns + height)
    landed = 0
    for _ in range(200):
        # The dot spans whole pixels around the corner point (y, x), its exact centre.
        y = int(rng.integers(3 * reach[0], height - 3 * reach[0] + 1))
        x = int(rng.integers(3 * reach[1], width - 3 * reach[1] + 1))
        seen_y, seen_x = (y - placed.top) / placed.scale_y, (x - placed.left) / placed.scale_x
        margin = [3 * max(1, 1 / scale) for scale in (placed.scale_y, placed.scale_x)]
        whole = margin[0] < seen_y < rows - margin[0] and margin[1] < seen_x < columns - margin[1]
        expected = patch_holding(placed, grid, y, x)
        if not whole or expected is None:
            continue
        pixels = flat(height, width)
        pixels[y - reach[0] : y + reach[0], x - reach[1] : x + reach[1]] = 255
        change = fit_picture(as_picture(pixels), placed) - background
        at_y, at_x = centre_of_mass(change.sum(axis=2))
        assert (at_y, at_x) == pytest.approx((seen_y, seen_x), abs=0.3)
        assert (int(at_y * grid.rows / rows), int(at_x * grid.columns / columns)) == expected
        landed += 1
        if landed == 5:
            break
    assert landed >= 3


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_mean_of_a_patch_equals_the_mean_of_its_box_on_the_picture(
    fit: Fit, size: tuple[int, int, int, int]
) -> None:
    """Brute force: the exact area mean of each patch's box against the fitted patch."""
    height, width, rows, columns = size
    grid = PatchGrid(rows // 14, columns // 14)
    y, x = np.mgrid[0:height, 0:width]
    smooth = 128 + 100 * np.sin(7 * y / height) * np.cos(5 * x / width)
    pixels = np.repeat(np.rint(smooth).astype(np.uint8)[..., None], 3, axis=2)
    placed = place(height, width, fit, rows, columns)
    fitted = fit_picture(as_picture(pixels), placed).astype(float)
    for row in range(grid.rows):
        for column in range(grid.columns):
            box = patch_box(placed, grid, row, column)
            if box[0] < 0 or box[1] < 0 or box[2] > height or box[3] > width:
                continue
            patch = fitted[row * 14 : row * 14 + 14, column * 14 : column * 14 + 14]
            # Bicubic resampling and the area mean differ by the curvature within a patch.
            assert patch.mean() == pytest.approx(area_mean(pixels[..., 0], box), abs=1.5)


def area_mean(values: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """Mean of the picture over a box with fractional edges."""
    top, left, bottom, right = box
    y = overlap(top, bottom, values.shape[0])
    x = overlap(left, right, values.shape[1])
    return float(y @ values @ x / (y.sum() * x.sum()))


def overlap(start: float, stop: float, size: int) -> np.ndarray:
    """How much of each of `size` unit intervals lies between start and stop."""
    at = np.arange(size)
    return np.clip(np.minimum(stop, at + 1) - np.maximum(start, at), 0, None)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (1, 100), (2, 3)])
def test_extreme_pictures_fit_without_failing(fit: Fit, size: tuple[int, int]) -> None:
    height, width = size
    placed = place(height, width, fit, 224, 224)
    fitted = fit_picture(as_picture(flat(height, width, 200)), placed)
    assert fitted.shape == (224, 224, 3)
    assert set(np.unique(fitted)) <= {200, PAD_GREY}
    assert (fitted == 200).any()


def test_a_placement_of_another_picture_is_refused() -> None:
    placed = place(300, 400, "crop", 224, 224)
    with pytest.raises(ValueError, match="expected a placement made for this picture of 90 x 80"):
        fit_picture(as_picture(flat(90, 80)), placed)


# --- normalise and patch_box -----------------------------------------------------------


def test_normalise_by_hand() -> None:
    fitted = np.zeros((2, 3, 3), np.uint8)
    fitted[0, 0] = (255, 0, 51)
    out = normalise(fitted, (0.5, 0.5, 0.1), (0.5, 0.25, 0.1))
    assert out.dtype == np.float32
    assert out.shape == (3, 2, 3)
    assert out.flags.c_contiguous
    assert out[:, 0, 0] == pytest.approx([1, -2, 1])
    assert out[:, 1, 2] == pytest.approx([-1, -2, -1])


def test_normalise_refuses_what_it_does_not_expect() -> None:
    good = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"expected uint8 \(height, width, 3\), got float32"):
        normalise(good.astype(np.float32), (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match=r"got uint8 \(3, 2, 2\)"):
        normalise(good.transpose(2, 0, 1), (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="three positive deviations"):
        normalise(good, (0, 0, 0), (1, 1, 0))
    with pytest.raises(ValueError, match="three means"):
        normalise(good, (0,), (1,))


def test_patch_box_by_hand() -> None:
    grid = PatchGrid(16, 16)
    cropped = place(300, 400, "crop", 224, 224)
    assert patch_box(cropped, grid, 0, 0) == pytest.approx((0, 50, 18.75, 68.75))
    assert patch_box(cropped, grid, 15, 15) == pytest.approx((281.25, 331.25, 300, 350))
    padded = place(300, 400, "pad", 224, 224)
    assert patch_box(padded, grid, 0, 0) == pytest.approx((-50, 0, -25, 25))
    assert patch_box(padded, grid, 2, 0) == pytest.approx((0, 0, 25, 25))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", SIZES)
def test_patches_tile_the_input(fit: Fit, size: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = size
    grid = PatchGrid(rows // 14, columns // 14)
    placed = place(height, width, fit, rows, columns)
    for row in range(grid.rows - 1):
        for column in range(grid.columns - 1):
            _, _, bottom, right = patch_box(placed, grid, row, column)
            assert patch_box(placed, grid, row + 1, column)[0] == pytest.approx(bottom)
            assert patch_box(placed, grid, row, column + 1)[1] == pytest.approx(right)
    last = patch_box(placed, grid, grid.rows - 1, grid.columns - 1)
    assert last[2] == pytest.approx(placed.top + rows * placed.scale_y)
    assert last[3] == pytest.approx(placed.left + columns * placed.scale_x)


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (16, 0), (0, 8)])
def test_patch_box_refuses_patches_outside_the_grid(row: int, column: int) -> None:
    placed = place(300, 400, "crop", 224, 112)
    with pytest.raises(ValueError, match="row 0 to 15 and column 0 to 7"):
        patch_box(placed, PatchGrid(16, 8), row, column)


# --- notes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "fit", "words"),
    [
        (1, 1, "crop", "enlarged 224 times"),
        (100, 400, "crop", "the crop shows 25 % of the picture"),
        (100, 400, "pad", "fills 25 % of the input"),
        (100, 400, "stretch", "squeezed 4 times"),
    ],
)
def test_placement_notes_name_what_matters(height: int, width: int, fit: Fit, words: str) -> None:
    (note,) = placement_notes(height, width, place(height, width, fit, 224, 224))
    assert words in note


@pytest.mark.parametrize("fit", FITS)
def test_ordinary_photographs_need_no_placement_note(fit: Fit) -> None:
    assert placement_notes(480, 640, place(480, 640, fit, 518, 518)) == ()
