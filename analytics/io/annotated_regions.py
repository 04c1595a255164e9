"""Regions of COCO files as masks: polygons, and run lengths in both of their forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_FAR = 1e6
"""Corners farther out than this, in pixels, are no corners of a picture."""


def region_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """The pixels of one instance.

    Args:
        segmentation: polygons, each a list x0, y0, x1, y1, ... in pixels, whose union counts;
            or run lengths: a mapping with `size` (height, width) and `counts`, a list of
            whole numbers or their compressed text.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        bool (height, width).

    Raises:
        ValueError: another form, another size, or numbers that make no region.
    """
    if isinstance(segmentation, Mapping):
        return _from_runs(segmentation, height, width)
    if isinstance(segmentation, Sequence) and not isinstance(segmentation, str) and segmentation:
        mask = np.zeros((height, width), bool)
        for polygon in segmentation:
            mask |= polygon_mask(polygon, height, width)
        return mask
    raise ValueError("expected polygons or run lengths, got another form of region")


def polygon_mask(corners: Sequence[float], height: int, width: int) -> np.ndarray:
    """The pixels whose centres lie in a polygon, by the even-odd rule.

    Pixel 0 reaches from 0 to 1. A polygon that holds no centre gives the pixel under the mean
    of its corners, so that a small object is not lost.

    Args:
        corners: x0, y0, x1, y1, ... in pixels, at least three corners.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        bool (height, width).

    Raises:
        ValueError: fewer than three corners, an odd count, or no finite positions.

    Known answer: 1, 1, 4, 1, 4, 3, 1, 3 gives columns 1 to 3 of rows 1 and 2, six pixels.

    Differs: the COCO tools draw the outline on a raster five times as fine and round it, which
    keeps some pixels of the border whose centres lie outside.
    """
    points = _points(corners)
    turns = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        first, last = np.clip(np.ceil(np.sort([y0, y1]) - 0.5), 0, height).astype(int)
        rows = np.arange(first, last)
        crossing = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
        turns[rows, columns] += 1
    mask = np.cumsum(turns[:, :width], axis=1) % 2 == 1
    if not mask.any():
        x, y = np.floor(points.mean(axis=0)).astype(int)
        if 0 <= y < height and 0 <= x < width:
            mask[y, x] = True
    return mask


def _points(corners: Any) -> np.ndarray:
    try:
        points = np.asarray(corners, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("expected a polygon of numbers, got something else") from error
    if points.ndim != 1 or points.size < 6 or points.size % 2:
        raise ValueError(
            "expected a polygon of at least three corners as x0, y0, x1, y1, ..., got "
            f"{points.size} numbers"
        )
    if not (np.isfinite(points) & (np.abs(points) < _FAR)).all():
        raise ValueError("expected corners near the picture, got numbers far outside or none")
    return points.reshape(-1, 2)  # (corners, x and y)


def _from_runs(region: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    size, counts = region.get("size"), region.get("counts")
    if not isinstance(size, Sequence) or list(size) != [height, width]:
        raise ValueError(
            f"expected run lengths for {height} x {width} pixels (height x width), got them for "
            f"{size}"
        )
    lengths = run_lengths(counts) if isinstance(counts, str) else _checked(counts)
    if sum(lengths) != height * width:
        raise ValueError(
            f"expected run lengths that add up to {height * width:,} pixels, got {sum(lengths):,}"
        )
    runs = np.array(lengths, np.int64)
    inside = np.arange(len(runs)) % 2 == 1
    # Runs go down the columns, and begin with what lies outside.
    return np.repeat(inside, runs).reshape(width, height).T


def run_lengths(text: str) -> list[int]:
    """Run lengths from their compressed text.

    Every character holds six bits above code 48: five of the number, the lowest first, and one
    that says that more follow; the highest bit of the last five is the sign. From the fourth
    number on, the difference from the number two places before is stored.

    Raises:
        ValueError: characters outside the code, an end within a number, or lengths below 0.

    Reference: the `rleFrString` of the COCO tools describes the code.

    Known answer: "061M" is 0, 6, 1, 3, as M holds 29, which is -3, and 6 - 3 = 3.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError("expected compressed run lengths, got text outside their code")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("expected whole compressed run lengths, got text that is cut short")
    return _checked(lengths)


def _checked(counts: Any) -> list[int]:
    whole = isinstance(counts, Sequence) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts
    )
    if not whole:
        raise ValueError("expected run lengths of 0 and above, got something else")
    return list(counts)
