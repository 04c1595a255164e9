"""Scenes of two objects that place alone does not tell apart: strips, and a split bar."""

from __future__ import annotations

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.io.scenes_layout import Placed, compose, trimmed
from analytics.io.scenes_paint import TEXTURES, cloud, palette, texture

Masks = list[tuple[str, np.ndarray, int]]
"""Class, parts int32 (size, size) and number of the texture of each object, back to front."""


def strips(
    rng: np.random.Generator, size: int, name: str, family: str, own_colours: bool
) -> AnnotatedImage:
    """Two combs whose teeth lie between one another: strips of two objects take turns.

    Each comb's teeth hang together at its back, which lies on one side, so the picture
    shows which strip belongs to which object even where both have the same colours.
    """
    first, second = _combs(rng, size)
    if rng.integers(2):
        first, second = first.T, second.T
    found: Masks = [("comb", first, 0), ("comb", second, 1 if own_colours else 0)]
    return _painted(rng, size, name, family, found, 2 if own_colours else 1)


def _combs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Parts int32 (size, size) of two combs with level teeth; part 1 is the back."""
    teeth, gap = 2 * int(rng.integers(3, 5)), max(2, round(size / 75))
    tooth = int((size * rng.uniform(0.78, 0.92) - (teeth - 1) * gap) / teeth)
    back = round(size * rng.uniform(0.07, 0.1))
    width, height = round(size * rng.uniform(0.6, 0.9)), teeth * (tooth + gap) - gap
    left, top = (int(rng.integers(0, size - side + 1)) for side in (width, height))
    combs = [np.zeros((size, size), np.int32) for _ in range(2)]
    for number in range(teeth):
        comb, low = number % 2, top + number * (tooth + gap)
        start = left if comb == 0 else left + back + gap
        stop = left + width - (back + gap if comb == 0 else 0)
        combs[comb][low : low + tooth, start:stop] = number // 2 + 2
    combs[0][top : top + height, left : left + back] = 1
    combs[1][top : top + height, left + width - back : left + width] = 1
    return combs[0], combs[1]


def occluder(
    rng: np.random.Generator, size: int, name: str, family: str, one_object: bool
) -> AnnotatedImage:
    """A bar that passes behind an occluder, or two bars in line that end before it.

    With `one_object` the bar is one instance, seen in two pieces. Otherwise the pieces are
    two instances whose ends are seen, a gap before the occluder. Two small objects have the
    colours of the bar and of the occluder.
    """
    y, x = (np.arange(size, dtype=np.float64) - (size - 1) / 2 for _ in range(2))
    middle, turn = rng.uniform(-0.08, 0.08, 2) * size, rng.uniform(-0.22, 0.22)
    along = np.cos(turn) * (x - middle[0]) + np.sin(turn) * (y[:, None] - middle[1])
    across = np.cos(turn) * (y[:, None] - middle[1]) - np.sin(turn) * (x - middle[0])
    thick, length = size * rng.uniform(0.07, 0.12), size * rng.uniform(0.36, 0.42)
    bend = thick * rng.uniform(-0.5, 0.5) * np.cos(along / length * 3)
    rounded = np.maximum(abs(along) - length + thick, 0)
    bar = rounded**2 + (across - bend) ** 2 <= thick**2
    half, tall = size * rng.uniform(0.08, 0.13), size * rng.uniform(0.24, 0.38)
    power = 2 if rng.integers(2) else 6
    cover = (abs(along) / half) ** power + (abs(across) / tall) ** power <= 1
    found = _small_objects(rng, x, y, size)
    gap = 0.0 if one_object else half + max(4.0, size / 45)
    pieces = [bar] if one_object else [bar & (along < -gap), bar & (along > gap)]
    found += [("bar", piece.astype(np.int32), 0) for piece in pieces]
    found.append(("occluder", cover.astype(np.int32), 1))
    if rng.integers(2):
        found = [(kind, parts.T, paint) for kind, parts, paint in found]
    return _painted(rng, size, name, family, found, 2)


def _small_objects(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, size: int) -> Masks:
    """Two discs in opposite corners, in the colours of the bar and of the occluder."""
    sides = rng.choice([-1, 1], 2)
    found: Masks = []
    for paint, side in enumerate(sides[0] * np.array([-1, 1])):
        radius = size * rng.uniform(0.07, 0.09)
        at_x = sides[1] * side * rng.uniform(0.28, 0.4) * size
        at_y = side * rng.uniform(0.37, 0.4) * size
        disc = (x - at_x) ** 2 + (y[:, None] - at_y) ** 2 <= radius**2
        found.append(("disc", disc.astype(np.int32), paint))
    return found


def _painted(
    rng: np.random.Generator, size: int, name: str, family: str, found: Masks, paints: int
) -> AnnotatedImage:
    """Objects in `paints` textures over a soft background."""
    colours = palette(rng, 2 * paints + 1, muted=1)
    background = cloud(rng, size, np.stack([colours[0], colours[0] // 5 * 4]))
    period = int(rng.integers(4, 9)) * max(1, round(size / 224))
    looks = []
    for paint in range(paints):
        kind = TEXTURES[int(rng.integers(len(TEXTURES)))]
        pair = colours[1 + 2 * paint : 3 + 2 * paint]
        looks.append(texture(kind, size, size, pair, period, int(rng.integers(4))))
    placed = []
    for kind, parts, paint in found:
        sprite = trimmed(kind, looks[paint], parts)
        top, left = (int(np.flatnonzero(parts.any(axis=axis))[0]) for axis in (1, 0))
        placed.append(Placed(sprite, top, left))
    return compose(name, family, background, placed)
