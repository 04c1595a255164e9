"""A canvas of identical copies: one object at given places over a ground.

The object is a drawn figure or shape, a cut-out of a shipped photograph, or one that was marked
on a picture. The same layout gives the same picture on every run.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.io.canvas_places import CopiesLayout, Position, settled_places
from analytics.io.cutouts import resized_cutout, shipped_cutouts
from analytics.io.scenes_layout import Placed, Sprite, compose, trimmed
from analytics.io.scenes_paint import cloud, line_width, painted_figure, palette, patchwork, texture
from analytics.io.scenes_photos import blurred_photograph
from analytics.io.scenes_shapes import FIGURES, SHAPES, frame, shape_mask

GROUNDS: dict[str, str] = {
    "plain": "one colour",
    "dots": "dots that repeat with the patches",
    "soft": "a soft mixture with grain",
    "patchwork": "patches in the object's colours",
    "photograph": "a photograph out of focus",
}
"""What copies can lie on. Of the first two every patch of the grid shows the same."""

REPEATING = ("plain", "dots")
_WIDE = frozenset({"car", "fish", "bird", "boat"})
_SLIM = {"bar": 0.35, "wave": 0.7, "ellipse": 0.75, "box": 0.8}


@dataclass(frozen=True, eq=False)
class Canvas:
    """A layout as a picture.

    `layout` is what was laid, with its notes on what could not be as asked; copy i is instance
    i + 1 of `image`; `ground` is uint8 (height, width, 3) without copies.
    """

    layout: CopiesLayout
    image: AnnotatedImage
    ground: np.ndarray
    sprite: Sprite
    notes: tuple[str, ...]


def object_names() -> dict[str, str]:
    """Objects that need no picture of one's own: name in a layout, and title."""
    found = {name: name for name in (*FIGURES, *SHAPES)}
    kinds = (group[0].kind for group in shipped_cutouts())
    return found | {f"photo:{kind}": kind for kind in kinds}


def canvas_of_copies(
    layout: CopiesLayout,
    size: tuple[int, int],
    patch: tuple[int, int],
    marked: np.ndarray | None = None,
) -> Canvas:
    """Draw a layout.

    Args:
        layout: object, ground, seed and places; without places three are found.
        size: height and width of the canvas in pixels.
        patch: height and width of a patch in pixels.
        marked: the object of `marked:k`, uint8 (height, width, 4) with alpha, in its own box.

    Raises:
        ValueError: no such object or ground, an object that was not marked, or one that is
            larger than the canvas.

    Known answer: on the grid and a repeating ground, patches at the same place of two copies have
    equal pixels.
    """
    if layout.ground not in GROUNDS:
        raise ValueError(f"expected a ground out of {', '.join(GROUNDS)}, got {layout.ground!r}")
    sprite = canvas_sprite(layout, size, marked)
    ground = canvas_ground(layout, size, patch)
    places, notes = settled_places(layout, sprite.shape, size, patch)
    placed = [Placed(sprite, *at) for at in places]
    laid = replace(layout, side=size[0], places=places)
    name = f"{len(places)} copies of {layout.object}"
    image = compose(name, "canvas", ground, placed, notes)
    return Canvas(laid, image, ground, sprite, notes)


def canvas_sprite(
    layout: CopiesLayout, size: tuple[int, int], marked: np.ndarray | None = None
) -> Sprite:
    """The object of a layout, its longer side `share` per cent of the canvas's shorter one."""
    kind, long = layout.object, max(4, round(layout.share / 100 * min(size)))
    if kind.startswith("marked:"):
        if marked is None:
            raise ValueError(
                "expected an object that is marked on the picture, found none; mark one, or "
                "take another object"
            )
        return _from_pixels(kind, marked, long)
    if kind.startswith("photo:"):
        groups = {group[0].kind: group for group in shipped_cutouts()}
        if kind[6:] not in groups:
            raise _unknown(kind)
        return _from_pixels(kind[6:], groups[kind[6:]][0].load(), long)
    if kind not in FIGURES and kind not in SHAPES:
        raise _unknown(kind)
    return _drawn(kind, layout.seed, long, min(size))


def _unknown(kind: str) -> ValueError:
    return ValueError(f"expected an object out of {', '.join(object_names())}; got {kind!r}")


def _from_pixels(kind: str, pixels: np.ndarray, long: int) -> Sprite:
    resized = resized_cutout(pixels, long / max(pixels.shape[:2]), mirror=False)
    return trimmed(kind, resized[..., :3], (resized[..., 3] > 0).astype(np.int32))


def _drawn(kind: str, seed: int, long: int, side: int) -> Sprite:
    """A figure in several colours, or a shape in one."""
    colours = _colours(seed)[1:]
    rng = np.random.default_rng([14, seed, zlib.crc32(kind.encode())])
    half = (long - 3) / 2
    if kind in FIGURES:
        sides = (half, 0.6 * half) if kind in _WIDE else (0.6 * half, half)
        return trimmed(kind, *painted_figure(rng, kind, colours, sides, line_width(side), 0.1))
    u, v = frame(half, half * _SLIM.get(kind, 1.0), 0.0)
    parts = shape_mask(kind, u, v, rng).astype(np.int32)
    return trimmed(kind, np.broadcast_to(colours[0], (*parts.shape, 3)), parts)


def canvas_ground(
    layout: CopiesLayout, size: tuple[int, int], patch: tuple[int, int]
) -> np.ndarray:
    """The ground of a layout, uint8 (height, width, 3)."""
    colours = _colours(layout.seed)
    shade = (colours[0] * 0.78).astype(np.uint8)
    rng = np.random.default_rng([15, layout.seed])
    if layout.ground == "plain":
        return np.tile(colours[0], (*size, 1))
    if layout.ground == "dots":
        # Laid patch by patch, so that it repeats with patches that are not square as well.
        one = texture("dots", *patch, np.stack([colours[0], shade]), max(2, min(patch)))
        times = (-(-size[0] // patch[0]), -(-size[1] // patch[1]), 1)
        return np.tile(one, times)[: size[0], : size[1]].copy()
    side = max(size)
    if layout.ground == "soft":
        whole = cloud(rng, side, np.stack([colours[0], shade]))
    elif layout.ground == "patchwork":
        whole = patchwork(rng, side, colours)
    else:
        whole = blurred_photograph(rng, side)
    return whole[: size[0], : size[1]].copy()


def _colours(seed: int) -> np.ndarray:
    """The ground's colour and four of the object, uint8 (5, 3)."""
    return palette(np.random.default_rng([13, seed]), 5, muted=1)


def marked_object(pixels: np.ndarray, instances: np.ndarray, number: int) -> np.ndarray:
    """A marked object cut out of its picture, uint8 (height, width, 4), alpha 0 or 255.

    Args:
        pixels: uint8 (height, width, 3).
        instances: int32 (height, width).
        number: which instance.

    Raises:
        ValueError: no pixel has that number.
    """
    seen = instances == number
    if not seen.any():
        known = ", ".join(str(value) for value in np.unique(instances) if value)
        raise ValueError(
            f"expected a marked object out of {known or 'none'}, got {number}; mark it, or take "
            "another object"
        )
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    alpha = np.where(seen, 255, 0).astype(np.uint8)
    return np.dstack([pixels, alpha])[box]


__all__ = [
    "GROUNDS",
    "REPEATING",
    "Canvas",
    "CopiesLayout",
    "Position",
    "canvas_ground",
    "canvas_of_copies",
    "canvas_sprite",
    "marked_object",
    "object_names",
]
