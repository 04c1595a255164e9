"""Where the model's input lies on a picture, and the pixels that the model is given.

Positions are continuous: pixel 0 reaches from 0 to 1, and the input's edges lie at 0 and
at its height and width. A `Placement` holds the one mapping that resampling, patch boxes
and overlays all use, so that the grid drawn on the picture is the grid that the model saw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from analytics.types import Fit, PatchGrid, Picture, Placement

PAD_GREY = 128
"""Mid grey, 0 to 255, around a padded picture."""

ENLARGED = 4.0
"""Enlargement from which `placement_notes` speaks up."""

_FITS = ("crop", "pad", "stretch")


def place(height: int, width: int, fit: Fit, input_height: int, input_width: int) -> Placement:
    """Lay the model's input over a picture.

    `crop`: the largest centred region with the input's aspect; `pad`: the whole picture,
    centred, grey around it; `stretch`: the whole picture, each axis on its own scale.
    With `pad` the picture covers a whole number of input pixels (at least one), and the
    scales are those of that region, so the two may differ slightly.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        fit: how to make it fit.
        input_height: of the model's input, pixels.
        input_width: of the model's input, pixels.

    Raises:
        ValueError: a size below 1, or an unknown fit.

    Known answer: a 300 x 400 picture cropped to 224 x 224 has top 0, left 50 and both
    scales 300/224.
    """
    _check_place(height, width, fit, input_height, input_width)
    scale_y, scale_x = height / input_height, width / input_width
    if fit == "stretch":
        return Placement(fit, input_height, input_width, 0.0, 0.0, scale_y, scale_x)
    if fit == "crop":
        scale = min(scale_y, scale_x)
        top, left = (height - input_height * scale) / 2, (width - input_width * scale) / 2
        return Placement(fit, input_height, input_width, top, left, scale, scale)
    scale = max(scale_y, scale_x)
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    above, before = (input_height - rows) // 2, (input_width - columns) // 2
    scale_y, scale_x = height / rows, width / columns
    top, left = -above * scale_y, -before * scale_x
    return Placement(fit, input_height, input_width, top, left, scale_y, scale_x)


def fit_picture(picture: Picture, placement: Placement) -> np.ndarray:
    """Resample the picture to what the model is given, antialiased bicubic.

    The region is taken at its exact sub-pixel position, so the result and
    `placement` agree everywhere.

    Args:
        picture: its height and width must be those that `placement` was made for.
        placement: from `place`.

    Returns:
        uint8 (placement.height, placement.width, 3); `PAD_GREY` where no picture is.

    Raises:
        ValueError: the placement does not lie on this picture.
    """
    rows, columns = _on_picture(placement, picture.height, picture.width)
    box = _picture_box(placement, rows, columns, picture.height, picture.width)
    size = (len(columns), len(rows))
    seen = Image.fromarray(picture.pixels).resize(size, Image.Resampling.BICUBIC, box=box)
    fitted = np.full((placement.height, placement.width, 3), PAD_GREY, np.uint8)
    fitted[rows.start : rows.stop, columns.start : columns.stop] = np.asarray(seen)
    return fitted


def fit_mask(mask: np.ndarray, placement: Placement) -> np.ndarray:
    """Resample a mask as `fit_picture` does the picture, by the nearest pixel.

    Every input pixel takes the value that lies under its centre, so that no value arises
    that was not there, and edges lie where the picture's are.

    Args:
        mask: (height, width) of any type, such as instances or one object; its size must be
            that of the picture which `placement` was made for.
        placement: from `place`.

    Returns:
        (placement.height, placement.width) of the same type; 0 where no picture is.

    Raises:
        ValueError: no table of pixels, or the placement does not lie on it.

    Known answer: a 2 x 2 mask stretched to 4 x 4 has every value in a block of 2 x 2.
    """
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"expected a mask (height, width), got one of shape {mask.shape}")
    rows, columns = _on_picture(placement, *mask.shape)
    left, top, right, bottom = _picture_box(placement, rows, columns, *mask.shape)
    fitted = np.zeros((placement.height, placement.width), mask.dtype)
    seen = np.ix_(_nearest(top, bottom, len(rows)), _nearest(left, right, len(columns)))
    fitted[rows.start : rows.stop, columns.start : columns.stop] = mask[seen]
    return fitted


def normalise(fitted: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Scale to 0..1, take the mean from each channel and divide by the deviation.

    Args:
        fitted: uint8 (height, width, 3).
        mean: of the three channels on the scale 0..1, as the model states it.
        std: deviation of the three channels on the same scale.

    Returns:
        float32 (3, height, width), contiguous.

    Raises:
        ValueError: another shape or type, not three values, or a deviation that is not positive.

    Known answer: with mean .5 and std .5, 0 gives -1 and 255 gives 1.
    """
    if fitted.dtype != np.uint8 or fitted.ndim != 3 or fitted.shape[2] != 3:
        raise ValueError(
            f"expected uint8 (height, width, 3), got {fitted.dtype} {fitted.shape}; "
            "pass what fit_picture returns"
        )
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError(
            "expected three means and three positive deviations, one for each colour, got "
            f"{tuple(mean)} and {tuple(std)}; pass the model's own"
        )
    centre, spread = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    scaled = (fitted.astype(np.float32) / np.float32(255) - centre) / spread
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))  # (3, H, W)


def patch_box(
    placement: Placement, grid: PatchGrid, row: int, column: int
) -> tuple[float, float, float, float]:
    """Where one patch lies on the picture.

    Returns:
        (top, left, bottom, right) in picture pixels; beyond the picture where it was padded.

    Raises:
        ValueError: no such patch in the grid.

    Known answer: the patches of a row share edges, and the four corner patches of a
    stretched picture end at its corners.
    """
    if not (0 <= row < grid.rows and 0 <= column < grid.columns):
        raise ValueError(
            f"expected a patch with row 0 to {grid.rows - 1} and column 0 to {grid.columns - 1}, "
            f"got row {row}, column {column}"
        )
    patch_height = placement.height / grid.rows * placement.scale_y
    patch_width = placement.width / grid.columns * placement.scale_x
    return (
        placement.top + row * patch_height,
        placement.left + column * patch_width,
        placement.top + (row + 1) * patch_height,
        placement.left + (column + 1) * patch_width,
    )


def placement_notes(height: int, width: int, placement: Placement) -> tuple[str, ...]:
    """Say what fitting did to a picture, where that matters for reading its maps.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        placement: from `place`.
    """
    notes = []
    enlarged = 1 / max(placement.scale_y, placement.scale_x)
    if enlarged >= ENLARGED:
        notes.append(f"the picture is enlarged {enlarged:.3g} times: its maps show a blur")
    area = placement.height * placement.scale_y * placement.width * placement.scale_x
    share = area / (height * width)
    if placement.fit == "crop" and share < 0.5:
        notes.append(f"the crop shows {100 * share:.2g} % of the picture: pad shows all of it")
    if placement.fit == "pad" and share > 2:
        notes.append(f"the picture fills {100 / share:.2g} % of the input: the rest is grey")
    if placement.fit == "stretch":
        ratio = placement.scale_x / placement.scale_y
        if not 0.5 <= ratio <= 2:
            notes.append(f"stretched: one axis is squeezed {max(ratio, 1 / ratio):.3g} times more")
    return tuple(notes)


def _check_place(height: int, width: int, fit: str, input_height: int, input_width: int) -> None:
    if min(height, width, input_height, input_width) < 1:
        raise ValueError(
            "expected sizes of at least 1 pixel, got a picture of "
            f"{height} x {width} and an input of {input_height} x {input_width} (height x width)"
        )
    if fit not in _FITS:
        raise ValueError(f"expected a fit named {', '.join(_FITS)}, got {fit!r}")


def _covered(start: float, scale: float, size: int, picture_size: int) -> range:
    """Input pixels along one axis that lie on the picture."""
    first = max(0, round(-start / scale))
    last = min(size, round((picture_size - start) / scale))
    return range(first, max(first, last))


def _on_picture(placement: Placement, height: int, width: int) -> tuple[range, range]:
    """Input rows and columns that lie on a picture of this size."""
    rows = _covered(placement.top, placement.scale_y, placement.height, height)
    columns = _covered(placement.left, placement.scale_x, placement.width, width)
    if placement.fit != "pad" and (len(rows), len(columns)) != (placement.height, placement.width):
        raise ValueError(
            f"expected a placement made for this picture of {height} x {width} "
            "pixels (height x width), got one of another size; call place() with its size"
        )
    return rows, columns


def _nearest(first: float, last: float, count: int) -> np.ndarray:
    """Picture pixels under the centres of `count` input pixels between two positions."""
    centres = first + (np.arange(count) + 0.5) * ((last - first) / max(1, count))
    # Never beyond the last pixel: a centre lies half an input pixel before the end.
    return np.floor(centres).astype(np.intp)


def _picture_box(
    placement: Placement, rows: range, columns: range, height: int, width: int
) -> tuple[float, float, float, float]:
    """Pillow's (left, top, right, bottom) of the covered input pixels, in picture pixels.

    Clipped because the last bit of a float can lie outside the picture, which Pillow refuses.
    """
    left = placement.left + columns.start * placement.scale_x
    top = placement.top + rows.start * placement.scale_y
    right = placement.left + columns.stop * placement.scale_x
    bottom = placement.top + rows.stop * placement.scale_y
    return (
        max(left, 0.0),
        max(top, 0.0),
        min(right, float(width)),
        min(bottom, float(height)),
    )
