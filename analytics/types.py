"""Frozen records that travel between the packages of the engine.

Axis order is always (..., query, key); prefix tokens (cls, registers) come before
patch tokens; patches are row-major; pixel positions are (y, x) unless a name says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Fit = Literal["crop", "pad", "stretch"]
Direction = Literal["to", "from"]
"""`to`: what the chosen token attends to (a row); `from`: who attends to it (a column)."""


@dataclass(frozen=True)
class PatchGrid:
    """Patches of a square or oblong grid laid over the model's input, row-major."""

    rows: int
    columns: int

    @property
    def count(self) -> int:
        """Number of patches."""
        return self.rows * self.columns


@dataclass(frozen=True)
class TokenLayout:
    """Which token is what: named prefix tokens first, then the patches of a grid."""

    prefix: tuple[str, ...]
    grid: PatchGrid

    @property
    def num_tokens(self) -> int:
        """Prefix tokens plus patches."""
        return len(self.prefix) + self.grid.count

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every token in order; `index` gives its position back."""
        patches = (f"{y},{x}" for y in range(self.grid.rows) for x in range(self.grid.columns))
        return (*self.prefix, *patches)

    def index(self, token: str) -> int:
        """Position of a token named `cls`, `reg0`, ... or `row,column` of a patch.

        Raises:
            ValueError: the name is no prefix token and no patch of the grid.
        """
        if token in self.prefix:
            return self.prefix.index(token)
        named = ", ".join(self.prefix) or "none"
        expected = (
            f"expected a prefix token (this model has: {named}) or a patch as ROW,COLUMN "
            f"with rows 0 to {self.grid.rows - 1} and columns 0 to {self.grid.columns - 1}"
        )
        row, comma, column = token.partition(",")
        if not (comma and row.strip().isdecimal() and column.strip().isdecimal()):
            raise ValueError(f"{expected}; got {token!r}")
        y, x = int(row), int(column)
        if y >= self.grid.rows or x >= self.grid.columns:
            raise ValueError(f"{expected}; got {token!r}, which lies outside the grid")
        return len(self.prefix) + y * self.grid.columns + x


@dataclass(frozen=True)
class Picture:
    """A decoded picture: upright 8-bit RGB and the hash of the bytes it came from.

    `pixels` is uint8 (height, width, 3). `notes` says in words what decoding changed
    ("first of 12 frames", "16-bit values scaled to 8 bits").
    """

    name: str
    sha256: str
    pixels: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[1])


@dataclass(frozen=True)
class Placement:
    """Where the model's input lies on the picture, in picture pixels.

    Input pixel (y, x) shows the picture at (top + y * scale_y, left + x * scale_x).
    `top` and `left` are negative where the picture was padded. `height` and `width`
    are those of the model's input in input pixels.
    """

    fit: Fit
    height: int
    width: int
    top: float
    left: float
    scale_y: float
    scale_x: float


@dataclass(frozen=True)
class Provenance:
    """How a result was made; enough to make it again.

    `inputs` maps the name of each input to the SHA-256 of its bytes.
    """

    command: str
    model: str
    weights_sha256: str
    inputs: Mapping[str, str]
    parameters: Mapping[str, Any]
    seed: int | None
    versions: Mapping[str, str]
    device: str
    time: str
    notes: tuple[str, ...] = field(default=())
