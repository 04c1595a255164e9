"""Scenes of identical objects: can a model tell copies apart, and kinds from copies?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytics.io.annotated import AnnotatedImage
from analytics.io.scenes_layout import Placed, Sprite, boxes_meet, compose
from analytics.io.scenes_objects import figure_sprite
from analytics.io.scenes_paint import cloud, palette
from analytics.io.scenes_shapes import FIGURES

Position = tuple[int, int]
"""Row and column of an object's top-left corner in pixels."""

_TRIES = 8
_WOBBLE = 4
"""Pixels by which a copy off the grid can be moved to lie otherwise on the patches."""

_WIDE = frozenset({"car", "fish", "bird", "boat"})


def identical_copies(
    seed: int,
    size: int = 224,
    patch: int = 14,
    copies: int = 3,
    aligned: bool = True,
    positions: Sequence[Position] | None = None,
    name: str = "",
) -> AnnotatedImage:
    """One figure several times on a flat ground; the figure depends on seed and size alone.

    Args:
        seed: of the figure, its colours and the default positions.
        size: side of the picture in pixels.
        patch: side of the model's patches in pixels.
        copies: how many, where no positions are given.
        aligned: whether all copies lie alike on the patches, so that each patch of one copy
            is repeated bit for bit in the others.
        positions: top-left corners (row, column); with `aligned` they are rounded to the
            nearest patch. Corners outside are moved to where the copy is whole.
        name: of the picture.

    Returns:
        The picture; copy i is instance i + 1, later ones lie over earlier ones.

    Raises:
        ValueError: no copy, more than the picture holds, or a side that patches of this
            size do not divide.
    """
    if aligned:
        check_grid(size, patch)
    sprite, ground = copy_sprite(seed, size)
    if positions is None:
        positions = copy_positions(seed, size, patch, copies, aligned)
    if not positions:
        raise ValueError("expected at least one copy, got none; add a position")
    placed = [_place(sprite, at, size, patch if aligned else 1) for at in positions]
    background = np.tile(ground, (size, size, 1))
    family = "copies-aligned" if aligned else "copies-free"
    return compose(name or f"{family} {seed:06d}", family, background, placed)


def copy_sprite(seed: int, size: int) -> tuple[Sprite, np.ndarray]:
    """The figure of `identical_copies` and the colour uint8 (3,) of the ground."""
    rng = np.random.default_rng([11, seed])
    colours = palette(rng, 5, muted=1)
    figure = list(FIGURES)[int(rng.integers(len(FIGURES)))]
    return _slim_figure(rng, size, figure, colours[1:]), colours[0]


def copy_positions(seed: int, size: int, patch: int, copies: int, aligned: bool) -> list[Position]:
    """Where `identical_copies` puts its copies by default.

    Returns:
        `copies` corners (row, column) of boxes that do not meet; with `aligned` multiples of
        `patch` with no patch in common, else each lies otherwise on the patches.

    Raises:
        ValueError: no copy, or more than `most_copies`.
    """
    most = most_copies(seed, size, patch, aligned)
    if not 1 <= copies <= most:
        raise ValueError(
            f"expected 1 to {most} copies in a picture of {size} x {size} pixels, got {copies}; "
            "take fewer or a larger picture"
        )
    step, box = _steps(seed, size, patch, aligned)
    rng = np.random.default_rng([12, seed])
    for _ in range(_TRIES):
        corners = _cluster(rng, size // step, [box] * copies, 1 if aligned else patch)
        if len(corners) == copies:
            return [(row * step, column * step) for row, column in corners]
    rows = _rows(size // step, box, 0 if aligned else _WOBBLE)
    chosen = [rows[int(i)] for i in rng.permutation(len(rows))[:copies]]
    return (
        [(row * step, column * step) for row, column in chosen]
        if aligned
        else _wobbled(chosen, patch)
    )


def most_copies(seed: int, size: int, patch: int, aligned: bool) -> int:
    """How many copies of the figure `copy_positions` can lay beside one another."""
    step, box = _steps(seed, size, patch, aligned)
    return min(len(_rows(size // step, box, 0 if aligned else _WOBBLE)), _WOBBLE**2 - 2)


def _steps(seed: int, size: int, patch: int, aligned: bool) -> tuple[int, tuple[int, int]]:
    """Pixels of a step between positions, and rows and columns of a copy in steps."""
    if aligned:
        check_grid(size, patch)
    step = patch if aligned else 1
    height, width = copy_sprite(seed, size)[0].shape
    return step, (-(-(height + 2) // step), -(-(width + 2) // step))


def _rows(grid: int, box: tuple[int, int], spare: int) -> list[Position]:
    """Corners of boxes in rows and columns, each with `spare` steps of room."""
    rows, columns = (max(1, grid // (side + spare)) for side in box)
    height, width = box[0] + spare, box[1] + spare
    return [(r * height, c * width) for r in range(rows) for c in range(columns)]


def _wobbled(corners: Sequence[Position], patch: int) -> list[Position]:
    """Corners moved down and right by a little so that no two lie alike on the patches."""
    taken, found = {(0, 0)}, []
    for row, column in corners:
        moves = ((row + i, column + j) for i in range(_WOBBLE) for j in range(_WOBBLE))
        at = next(move for move in moves if (move[0] % patch, move[1] % patch) not in taken)
        taken.add((at[0] % patch, at[1] % patch))
        found.append(at)
    return found


def two_kinds(rng: np.random.Generator, size: int, name: str, family: str) -> AnnotatedImage:
    """Two kinds of figure in one palette, two or three identical copies of each."""
    colours = palette(rng, 5, muted=1)
    background = cloud(rng, size, np.stack([colours[0], colours[0] // 4 * 3]))
    names = rng.permutation(list(FIGURES))[:2]
    kinds = [_slim_figure(rng, 0.9 * size, str(kind), colours[1:]) for kind in names]
    chosen = [kind for kind in kinds for _ in range(int(rng.integers(2, 4)))]
    chosen = [chosen[i] for i in rng.permutation(len(chosen))]
    boxes = [(sprite.shape[0] + 2, sprite.shape[1] + 2) for sprite in chosen]
    corners: list[Position] = []
    while len(corners) < len(boxes):
        corners = _cluster(rng, size, boxes)
    placed = [Placed(sprite, *at) for sprite, at in zip(chosen, corners, strict=True)]
    return compose(name, family, background, placed)


def _slim_figure(rng: np.random.Generator, size: float, figure: str, colours: np.ndarray) -> Sprite:
    """A figure about twice as long as wide: its ends are farther apart than two of a kind."""
    half = size * rng.uniform(0.085, 0.11), size * rng.uniform(0.17, 0.21)
    half = half[::-1] if figure in _WIDE else half
    return figure_sprite(rng, int(size), figure, colours, half, tilt=0.12)


def check_grid(size: int, patch: int) -> None:
    """Refuse a side that the patches do not divide.

    Raises:
        ValueError: it is not a multiple of `patch`, or a patch has less than 2 pixels.
    """
    if patch < 2 or size % patch:
        raise ValueError(
            f"expected a side that patches of {patch} pixels divide, got {size}; "
            f"take {max(1, size // max(patch, 1)) * patch}"
        )


def _place(sprite: Sprite, at: Position, size: int, step: int) -> Placed:
    """A copy at the corner nearest to `at` that is a multiple of `step` and inside."""
    corner = []
    for wanted, length in zip(at, sprite.shape, strict=True):
        last = max(0, size - length) // step
        corner.append(step * min(max(round(wanted / step), 0), last))
    return Placed(sprite, corner[0], corner[1])


def _cluster(
    rng: np.random.Generator, grid: int, boxes: Sequence[tuple[int, int]], period: int = 1
) -> list[Position]:
    """Corners of boxes (rows, columns) in a grid that do not meet, each beside another.

    Beside, so that patches of two objects are often as near as those of one. With a period
    above 1 no corner is a multiple of it both ways, nor equal to another modulo the period.
    Fewer corners than boxes come back where no room was found.
    """
    found: list[Position] = []
    for _ in range(15 * len(boxes)):
        if len(found) == len(boxes):
            break
        box = boxes[len(found)]
        row, column = at = _beside(rng, grid, box, boxes, found)
        taken = {(0, 0)} | {(r % period, c % period) for r, c in found}
        if period > 1 and (row % period, column % period) in taken:
            continue
        inside = all(0 <= x <= grid - side for x, side in zip(at, box, strict=True))
        others = zip(found, boxes, strict=False)
        if inside and not any(boxes_meet(at, box, *other) for other in others):
            found.append(at)
    return found


def _beside(
    rng: np.random.Generator,
    grid: int,
    box: tuple[int, int],
    boxes: Sequence[tuple[int, int]],
    found: Sequence[Position],
) -> Position:
    """A corner beside one of those found, anywhere for the first; it may be taken or outside."""
    if not found:
        row, column = (int(rng.integers(0, max(1, grid - side + 1))) for side in box)
        return row, column
    which = int(rng.integers(len(found)))
    slack = int(rng.integers(0, max(2, grid // 20)))
    # Mostly along the short side: there two objects come closest.
    axis = int(rng.uniform() < (0.8 if box[1] < box[0] else 0.2))
    corner = list(found[which])
    step = -box[axis] - slack if rng.integers(2) else boxes[which][axis] + slack
    corner[axis] += step
    corner[1 - axis] += int(rng.integers(-box[1 - axis] // 2, boxes[which][1 - axis] // 2 + 1))
    return corner[0], corner[1]
