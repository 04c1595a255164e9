"""The contact sheet of annotated pictures: what every patch keeps at a purity."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.views.raster import data_url
from analytics.views.sheet import sheet

SIDE, COLUMNS, GAP, UNDER = 150, 4, 14, 34
"""Longer side of a picture, pictures in a row, space between and words below, figure pixels."""

FILL, VEIL = 0.55, 0.72
"""How much of a kept patch is its object's colour; how much of an excluded one is white."""

_GOLDEN = 137.508


@dataclass(frozen=True, eq=False)
class SheetTile:
    """A picture as uint8 (height, width, 3), its object by patch, -1 for none, and two lines."""

    pixels: np.ndarray
    objects: np.ndarray
    name: str
    words: str


def instance_colour(place: int) -> tuple[int, int, int]:
    """The colour of the instance at a position, from 1; grey for 0, the unlabelled.

    Neighbouring positions lie a golden angle of hue apart, so that few are alike.

    Known answer: position 0 is (150, 150, 150).
    """
    if place == 0:
        return 150, 150, 150
    hue = (place - 1) * _GOLDEN % 360 / 360
    light = (0.55, 0.42, 0.66)[(place - 1) // 8 % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, light, 0.72)
    return round(255 * red), round(255 * green), round(255 * blue)


def painted(pixels: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """A picture with kept patches in their object's colour and excluded ones pale.

    Args:
        pixels: uint8 (height, width, 3).
        objects: integers (rows, columns), positions of instances, -1 for an excluded patch.

    Known answer: an excluded patch of a black picture is .72 of white, 184.
    """
    height, width = pixels.shape[:2]
    rows = np.arange(height) * objects.shape[0] // height
    columns = np.arange(width) * objects.shape[1] // width
    laid = objects[np.ix_(rows, columns)]
    known, flat = np.unique(laid, return_inverse=True)
    inks = np.array([(255,) * 3 if one < 0 else instance_colour(int(one)) for one in known])
    cover = np.where(known < 0, VEIL, FILL)
    flat = flat.reshape(laid.shape)
    share = cover[flat][..., None]
    return np.rint(pixels * (1 - share) + inks[flat] * share).astype(np.uint8)


def contact_chart(tiles: Sequence[SheetTile], title: str, caption: Sequence[str]) -> Any:
    """The sheet as an Altair chart."""
    import altair as alt

    rows = [_row(number, tile) for number, tile in enumerate(tiles)]
    width = COLUMNS * (SIDE + GAP)
    height = -(-len(tiles) // COLUMNS) * (SIDE + UNDER + GAP)
    across, down = (alt.Scale(domain=[0, end], range=[0, end]) for end in (width, height))
    place = {
        "x": alt.X("left:Q", scale=across, axis=None),
        "x2": "right:Q",
        "y": alt.Y("top:Q", scale=down, axis=None),
        "y2": "bottom:Q",
    }
    base = alt.Chart(alt.Data(values=rows))
    images = base.mark_image(aspect=False, aria=False).encode(url="url:N", **place)
    layers = [images]
    for name, dy, ink in (("name", 12, "#1d2126"), ("words", 26, "#6f7780")):
        words = base.mark_text(align="left", dy=dy, fontSize=10, color=ink, limit=SIDE)
        at = {"x": place["x"], "y": alt.Y("bottom:Q", scale=down, axis=None)}
        layers.append(words.encode(text=f"{name}:N", **at))
    body = alt.layer(*layers).properties(width=width, height=height)
    return sheet(body, title, caption)


def _row(number: int, tile: SheetTile) -> dict[str, Any]:
    high, wide = tile.pixels.shape[:2]
    scale = SIDE / max(high, wide)
    left = number % COLUMNS * (SIDE + GAP)
    top = number // COLUMNS * (SIDE + UNDER + GAP)
    return {
        "url": data_url(painted(tile.pixels, tile.objects), photo=True),
        "left": left,
        "right": left + wide * scale,
        "top": top,
        "bottom": top + high * scale,
        "name": tile.name,
        "words": tile.words,
    }
