"""Pixels for figures: the part of a picture that the model saw, and data URLs."""

from __future__ import annotations

import base64
import io
import math

import numpy as np

from analytics.types import Picture, Placement

PADDING = 128
"""Grey of what lies beyond the picture."""


def seen_by_model(picture: Picture, placement: Placement, side: int) -> np.ndarray:
    """The rectangle under the model's input, its longer side at most `side` pixels.

    Returns:
        uint8 (height, width, 3); grey where the rectangle leaves the picture.
    """
    from PIL import Image

    top, left = placement.top, placement.left
    bottom = top + placement.height * placement.scale_y
    right = left + placement.width * placement.scale_x
    shrink = min(1.0, side / max(bottom - top, right - left))
    size = (max(1, round((right - left) * shrink)), max(1, round((bottom - top) * shrink)))
    # Cut first: resizing reads fractions of pixels, and only from inside the picture.
    inside = (
        max(0, math.floor(left)),
        max(0, math.floor(top)),
        min(picture.width, math.ceil(right)),
        min(picture.height, math.ceil(bottom)),
    )
    cut = Image.fromarray(picture.pixels[inside[1] : inside[3], inside[0] : inside[2]])
    canvas = Image.new("RGB", size, (PADDING, PADDING, PADDING))
    across, down = size[0] / (right - left), size[1] / (bottom - top)
    place = (round((inside[0] - left) * across), round((inside[1] - top) * down))
    new = (max(1, round(cut.width * across)), max(1, round(cut.height * down)))
    canvas.paste(cut.resize(new, Image.Resampling.LANCZOS), place)
    return np.asarray(canvas)


def data_url(pixels: np.ndarray, photo: bool = False) -> str:
    """Pixels as a `data:` URL: PNG, or JPEG where `photo` is set.

    Args:
        pixels: uint8 (height, width, 3), or 4 with opacity (PNG only).
        photo: whether small losses do not matter.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    kind, options = ("jpeg", {"quality": 88}) if photo else ("png", {"optimize": True})
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
