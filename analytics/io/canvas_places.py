"""Where the copies on a canvas lie: a layout, read from and written to an address, made to fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analytics.io.scenes_layout import boxes_meet

Position = tuple[int, int]
"""Row and column of a copy's top-left corner in pixels."""

MOST_COPIES = 16
LEAST_SHARE, LARGEST_SHARE = 15, 70
_COPIES = 3
"""How many copies are laid where no place is given."""

_LINK = re.compile(
    r"(?P<object>[a-z][a-z :0-9]{1,30})~(?P<share>\d{2})~(?P<ground>[a-z]{3,12})~(?P<seed>\d{1,6})"
    r"~(?P<way>grid|free)~(?P<side>\d{1,4})~(?P<places>(-?\d{1,4}\.-?\d{1,4}(_-?\d{1,4}\.-?\d{1,4})*)?)"
)


@dataclass(frozen=True)
class CopiesLayout:
    """What is laid on a canvas.

    `object` is the name of a figure or shape, `photo:cat` or `marked:1`; `share` its longer side
    in per cent of the canvas's shorter one; `seed` draws colours, ground and, where `places` is
    empty, three places. `snapped`: corners lie on the patch grid. `places` are top-left corners
    in pixels of a canvas of `side` rows; on another canvas they are scaled.
    """

    object: str = "bird"
    share: int = 35
    ground: str = "plain"
    seed: int = 0
    snapped: bool = True
    side: int = 224
    places: tuple[Position, ...] = ()


def layout_text(layout: CopiesLayout) -> str:
    """A layout as one word of an address.

    Known answer: the default is `bird~35~plain~0~grid~224~`.
    """
    places = "_".join(f"{row}.{column}" for row, column in layout.places)
    way = "grid" if layout.snapped else "free"
    parts = (layout.object, layout.share, layout.ground, layout.seed, way, layout.side, places)
    return "~".join(str(part) for part in parts)


def read_layout(text: str) -> CopiesLayout:
    """A layout out of an address.

    Raises:
        ValueError: it is none.
    """
    found = _LINK.fullmatch(text)
    if found is None or not LEAST_SHARE <= int(found["share"]) <= LARGEST_SHARE:
        raise ValueError(
            f"expected copies as {layout_text(CopiesLayout())}14.28_112.28, with a size of "
            f"{LEAST_SHARE} to {LARGEST_SHARE} per cent, got {text[:60]!r}"
        )
    pairs = (one.split(".") for one in found["places"].split("_") if one)
    return CopiesLayout(
        found["object"],
        int(found["share"]),
        found["ground"],
        int(found["seed"]),
        found["way"] == "grid",
        max(1, int(found["side"])),
        tuple((int(row), int(column)) for row, column in pairs),
    )


def settled_places(
    layout: CopiesLayout, box: tuple[int, int], size: tuple[int, int], patch: tuple[int, int]
) -> tuple[tuple[Position, ...], tuple[str, ...]]:
    """Places that the canvas has room for, and a sentence on each that had to change.

    Copies never overlap: boxes keep apart, and on the grid no patch shows two copies.

    Args:
        layout: with places in pixels of its own `side`; without places three are found.
        box: rows and columns of the object in pixels.
        size: height and width of the canvas.
        patch: height and width of a patch.

    Raises:
        ValueError: the object is larger than the canvas.

    Known answer: on the grid with patches of 16, (7, 20) becomes (0, 16).
    """
    if any(length > room for length, room in zip(box, size, strict=True)):
        raise ValueError(
            f"expected an object of at most {size[0]} x {size[1]} pixels, got {box[0]} x "
            f"{box[1]}; take a smaller size"
        )
    step = patch if layout.snapped else (1, 1)
    if not layout.places:
        return tuple(_found(layout, box, size, patch, step)), ()
    kept: list[Position] = []
    notes: list[str] = []
    scale = size[0] / layout.side
    for number, (row, column) in enumerate(layout.places, start=1):
        wanted = round(row * scale), round(column * scale)
        at = _inside(wanted, box, size, step)
        if len(kept) == MOST_COPIES:
            notes.append(f"A canvas holds {MOST_COPIES} copies at most; the others are left out.")
            break
        if collides(at, box, kept, step):
            notes.append(f"Copy {number} had no room beside the others and is left out.")
            continue
        if at != _snapped(wanted, step):
            notes.append(f"Copy {number} lay outside the picture and was moved inside.")
        kept.append(at)
    return tuple(kept), tuple(notes)


def collides(
    at: Position, box: tuple[int, int], others: Sequence[Position], step: tuple[int, int]
) -> bool:
    """Whether a copy shares a step of the grid (pixels, or patches) with another."""
    corner, steps = _in_steps(at, step), _box_steps(box, step)
    return any(boxes_meet(corner, steps, _in_steps(one, step), steps) for one in others)


def _in_steps(at: Position, step: tuple[int, int]) -> Position:
    return at[0] // step[0], at[1] // step[1]


def _box_steps(box: tuple[int, int], step: tuple[int, int]) -> tuple[int, int]:
    return -(-box[0] // step[0]), -(-box[1] // step[1])


def _snapped(at: Position, step: tuple[int, int]) -> Position:
    row, column = (s * int(np.floor(a / s + 0.5)) for a, s in zip(at, step, strict=True))
    return row, column


def _inside(
    at: Position, box: tuple[int, int], size: tuple[int, int], step: tuple[int, int]
) -> Position:
    """The nearest corner on the grid of steps where the object is whole."""
    last = ((room - length) // s * s for room, length, s in zip(size, box, step, strict=True))
    row, column = (min(max(a, 0), end) for a, end in zip(_snapped(at, step), last, strict=True))
    return row, column


def _found(
    layout: CopiesLayout,
    box: tuple[int, int],
    size: tuple[int, int],
    patch: tuple[int, int],
    step: tuple[int, int],
) -> list[Position]:
    """Three places, or as many as there is room for, in an order that the seed draws."""
    rng = np.random.default_rng([16, layout.seed])
    rows, columns = ((room - one) // p + 1 for room, one, p in zip(size, box, patch, strict=True))
    kept: list[Position] = []
    for number in rng.permutation(rows * columns):
        row, column = divmod(int(number), columns)
        at = (row * patch[0], column * patch[1])
        if not layout.snapped:
            off = int(rng.integers(patch[0])), int(rng.integers(patch[1]))
            at = _inside((at[0] + off[0], at[1] + off[1]), box, size, step)
        if not collides(at, box, kept, step):
            kept.append(at)
        if len(kept) == _COPIES:
            break
    return kept


def with_places(layout: CopiesLayout, places: Sequence[Position]) -> CopiesLayout:
    """The same layout at other places."""
    return replace(layout, places=tuple((int(row), int(column)) for row, column in places))
