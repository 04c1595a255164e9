"""Objects laid over a background: exact visible, whole and part masks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.io.annotated import AnnotatedImage

_APART = 3
"""Pixels between the boxes of sprites of one group."""


@dataclass(frozen=True, eq=False)
class Sprite:
    """A drawn object: its pixels where it is, and nothing around it.

    `pixels` is uint8 (height, width, 3), `parts` int32 (height, width): 0 outside the
    object, else its parts from 1. `group` says which sprites must not touch.
    """

    kind: str
    pixels: np.ndarray
    parts: np.ndarray
    group: Hashable = None

    @property
    def inside(self) -> np.ndarray:
        """The pixels of the object, bool (height, width)."""
        return self.parts > 0

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.parts.shape[0]), int(self.parts.shape[1])


@dataclass(frozen=True, eq=False)
class Placed:
    """A sprite with the row and column of its top-left corner, which may lie outside."""

    sprite: Sprite
    top: int
    left: int


def trimmed(kind: str, pixels: np.ndarray, parts: np.ndarray, group: Hashable = None) -> Sprite:
    """A sprite without the empty rows and columns around it.

    Raises:
        ValueError: no pixel belongs to the object.
    """
    rows, columns = np.flatnonzero(parts.any(axis=1)), np.flatnonzero(parts.any(axis=0))
    if not len(rows):
        raise ValueError(f"expected an object of at least one pixel, got an empty {kind}")
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Sprite(kind, pixels[box], parts[box], group)


def compose(
    name: str,
    family: str,
    background: np.ndarray,
    placed: Sequence[Placed],
    notes: tuple[str, ...] = (),
) -> AnnotatedImage:
    """Paint objects over a background, later ones over earlier ones.

    Args:
        name: of the picture.
        family: of the scene.
        background: uint8 (height, width, 3).
        placed: the objects; number i + 1 is instance i + 1, whatever is outside is cut off.
        notes: about the scene.

    Returns:
        The picture; parts are numbered through all objects; an object of which no pixel
        shows is in none of the masks.
    """
    pixels = background.copy()
    instances, parts = (np.zeros(background.shape[:2], np.int32) for _ in range(2))
    whole, before = {}, 0
    for number, item in enumerate(placed, start=1):
        there, own = _overlap(item, background.shape[:2])
        inside = item.sprite.inside[own]
        pixels[there][inside] = item.sprite.pixels[own][inside]
        instances[there][inside] = number
        parts[there][inside] = item.sprite.parts[own][inside] + before
        whole[number] = np.zeros(instances.shape, bool)
        whole[number][there] = inside
        before += int(item.sprite.parts.max())
    shown = [int(value) for value in np.unique(instances) if value]
    classes = {number: placed[number - 1].sprite.kind for number in shown}
    amodal = {number: whole[number] for number in shown}
    return AnnotatedImage(name, pixels, instances, classes, family, parts, amodal, notes)


def _overlap(
    item: Placed, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where an object falls in the picture, and which part of it that is."""
    spans = []
    for start, length, limit in zip((item.top, item.left), item.sprite.shape, shape, strict=True):
        low, high = max(start, 0), max(min(start + length, limit), max(start, 0))
        spans.append((slice(low, high), slice(low - start, high - start)))
    return (spans[0][0], spans[1][0]), (spans[0][1], spans[1][1])


def scatter(
    rng: np.random.Generator,
    sprites: Sequence[Sprite],
    size: int,
    hidden: float = 0.0,
    tries: int = 60,
) -> list[Placed]:
    """Places for objects inside a square picture.

    Args:
        rng: where the places come from.
        sprites: the objects, the first at the back, each smaller than the picture.
        size: side of the picture in pixels.
        hidden: the share of an object that later ones may cover together.
        tries: how often a place is drawn; an object that finds none is left out.

    Returns:
        The objects that found a place. Sprites with the same `group` that is not None
        keep their boxes apart.
    """
    shown = np.zeros((size, size), np.int32)
    placed: list[Placed] = []
    for sprite in sprites:
        height, width = sprite.shape
        for _ in range(tries):
            top = int(rng.integers(0, max(1, size - height + 1)))
            left = int(rng.integers(0, max(1, size - width + 1)))
            item = Placed(sprite, top, left)
            if _fits(item, placed, shown, hidden):
                placed.append(item)
                shown[top : top + height, left : left + width][sprite.inside] = len(placed)
                break
    return placed


def _fits(item: Placed, placed: list[Placed], shown: np.ndarray, hidden: float) -> bool:
    """Whether an object leaves enough of all others and keeps away from its group."""
    height, width = item.sprite.shape
    for other in placed:
        corners = (other.top, other.left), other.sprite.shape
        near = boxes_meet((item.top, item.left), (height, width), *corners, gap=_APART)
        if near and _same_group(item, other):
            return False
    window = shown[item.top : item.top + height, item.left : item.left + width]
    covered = np.bincount(window[item.sprite.inside], minlength=len(placed) + 1)[1:]
    if not covered.any():
        return True
    seen = np.bincount(shown.ravel(), minlength=len(placed) + 1)[1:]
    whole = np.array([int(np.count_nonzero(other.sprite.parts)) for other in placed])
    return bool(np.all(seen - covered >= (1 - hidden) * whole))


def _same_group(item: Placed, other: Placed) -> bool:
    return item.sprite.group is not None and item.sprite.group == other.sprite.group


def boxes_meet(
    at: tuple[int, int],
    box: tuple[int, int],
    other: tuple[int, int],
    other_box: tuple[int, int],
    gap: int = 0,
) -> bool:
    """Whether two boxes, each a corner and a size (rows, columns), are nearer than `gap`.

    Known answer: boxes of 2 x 2 at (0, 0) and (0, 2) do not meet with a gap of 0, but of 1.
    """
    near = (
        a < b + b_side + gap and b < a + a_side + gap
        for a, a_side, b, b_side in zip(at, box, other, other_box, strict=True)
    )
    return all(near)
