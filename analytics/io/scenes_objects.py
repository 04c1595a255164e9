"""Scenes of scattered objects: of one colour, and of parts in a palette that all share."""

from __future__ import annotations

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.io.scenes_layout import Placed, Sprite, compose, scatter, trimmed
from analytics.io.scenes_paint import cloud, line_width, painted_figure, palette, patchwork
from analytics.io.scenes_shapes import FIGURES, SHAPES, frame, shape_mask


def one_colour(rng: np.random.Generator, size: int, name: str, family: str) -> AnnotatedImage:
    """Three to six turned shapes, each of one colour, on a soft background.

    Four colours serve all, so a colour does not name an object; objects of one colour keep
    apart, as nothing would show where one ends.
    """
    colours = palette(rng, 5, muted=1)
    shade = np.rint(colours[0] * rng.uniform(0.6, 0.85)).astype(np.uint8)
    background = cloud(rng, size, np.stack([colours[0], shade]))
    sprites = [one_colour_shape(rng, size, colours[1:]) for _ in range(int(rng.integers(3, 7)))]
    return compose(name, family, background, scatter(rng, sprites, size, hidden=0.4))


def one_colour_shape(rng: np.random.Generator, size: int, colours: np.ndarray) -> Sprite:
    """A turned shape in one of the colours, from a fifth to half of the picture long."""
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    half = size * rng.uniform(0.1, 0.2)
    slim = rng.uniform(0.25, 0.4) if shape == "bar" else rng.uniform(0.65, 1.0)
    long = 1.35 if shape in ("bar", "wave", "ring", "crescent") else 1.0
    u, v = frame(half * long, half * long * slim, rng.uniform(0, 6.28))
    parts = shape_mask(shape, u, v, rng).astype(np.int32)
    which = int(rng.integers(len(colours)))
    pixels = np.broadcast_to(colours[which], (*parts.shape, 3))
    return trimmed(shape, pixels, parts, group=which)


def shared_palette(rng: np.random.Generator, size: int, name: str, family: str) -> AnnotatedImage:
    """Three to five figures of several parts over patches in the same five colours."""
    background, placed = shared_palette_layout(rng, size)
    return compose(name, family, background, placed)


def shifted_palette(
    rng: np.random.Generator,
    size: int,
    name: str,
    family: str,
    shift: tuple[int, int] | None,
) -> AnnotatedImage:
    """A scene as `shared_palette` makes them, moved by whole pixels.

    Args:
        rng: of the scene.
        size: side in pixels.
        name: of the picture.
        family: of the scene.
        shift: pixels down and right, up to a quarter of the side either way; None draws
            one of a sixth at most.

    Returns:
        The scene with its objects moved, cut off at the border, and its background rolled.

    Raises:
        ValueError: a shift of more than a quarter of the side.
    """
    background, placed = shared_palette_layout(rng, size)
    if shift is None:
        drawn = rng.integers(1, size // 6 + 1, 2) * rng.choice([-1, 1], 2)
        shift = int(drawn[0]), int(drawn[1])
    down, right = shift
    if max(abs(down), abs(right)) > size // 4:
        raise ValueError(
            f"expected a shift of at most {size // 4} pixels, a quarter of the side, got "
            f"{down} down and {right} right; shift by less"
        )
    moved = [Placed(item.sprite, item.top + down, item.left + right) for item in placed]
    note = f"Moved by {down} pixels down and {right} right."
    rolled = np.roll(background, shift, axis=(0, 1))
    return compose(name, family, rolled, moved, (note,))


def shared_palette_layout(rng: np.random.Generator, size: int) -> tuple[np.ndarray, list[Placed]]:
    """Background uint8 (size, size, 3) and the placed figures over it."""
    colours = palette(rng, 5)
    background = patchwork(rng, size, colours)
    names = list(FIGURES)
    chosen = rng.permutation(len(names))[: int(rng.integers(3, 6))]
    sprites = [figure_sprite(rng, size, names[i], colours, _half(rng, size)) for i in chosen]
    return background, scatter(rng, sprites, size, hidden=0.45)


def figure_sprite(
    rng: np.random.Generator,
    size: int,
    figure: str,
    colours: np.ndarray,
    half: tuple[float, float],
    tilt: float = 0.3,
) -> Sprite:
    """A figure of half width and half height in pixels, tilted by up to `tilt` radians."""
    return trimmed(figure, *painted_figure(rng, figure, colours, half, line_width(size), tilt))


def _half(rng: np.random.Generator, size: int) -> tuple[float, float]:
    half, stretch = size * rng.uniform(0.12, 0.24), rng.uniform(0.7, 1.45)
    return half * min(1.0, stretch), half * min(1.0, 1 / stretch)
