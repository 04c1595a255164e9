"""Scenes of photographed objects over an out-of-focus photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from analytics.io.annotated import AnnotatedImage
from analytics.io.cutouts import (
    Cutout,
    folder_cutouts,
    pick_cutouts,
    resized_cutout,
    shipped_cutouts,
    shipped_photographs,
)
from analytics.io.scenes_layout import Sprite, compose, scatter, trimmed
from analytics.io.scenes_paint import grain

_SPARE = 9
"""Further files that are tried where some show no object."""


def cut_outs(
    rng: np.random.Generator, size: int, name: str, family: str, folder: str | Path | None
) -> AnnotatedImage:
    """Three to five photographed objects, some from one photograph, over a blurred one.

    Args:
        rng: of the scene.
        size: side in pixels.
        name: of the picture.
        family: of the scene.
        folder: PNG and WebP files with alpha to take objects from; None takes those of the
            shipped photographs.

    Files that show no object are passed over, and the notes name them.

    Raises:
        ValueError: the folder holds fewer than two cut-outs among those tried.
    """
    groups: Sequence[Sequence[Cutout]] = folder_cutouts(folder) if folder else shipped_cutouts()
    background = blurred_photograph(rng, size)
    count = int(rng.integers(3, 6))
    loaded, notes = _loaded(pick_cutouts(rng, groups, count + _SPARE), count)
    sprites = [_photo_sprite(rng, size, kind, pixels) for kind, pixels in loaded]
    sprites.sort(key=lambda sprite: -sprite.parts.size)
    placed = scatter(rng, sprites, size, hidden=0.45)
    return compose(name, family, background, placed, tuple(notes))


def _loaded(
    cutouts: Sequence[Cutout], count: int
) -> tuple[list[tuple[str, np.ndarray]], list[str]]:
    """Class and pixels of the first `count` cut-outs that can be used, and a note on others."""
    found: list[tuple[str, np.ndarray]] = []
    refused: list[str] = []
    for cutout in cutouts:
        if len(found) == count:
            break
        try:
            found.append((cutout.kind, cutout.load()))
        except ValueError as error:
            refused.append(str(error))
    if len(found) < 2:
        raise ValueError(refused[0])
    return found, [f"Passed over: {reason}" for reason in refused]


def _photo_sprite(rng: np.random.Generator, size: int, kind: str, pixels: np.ndarray) -> Sprite:
    """An object of about a quarter to a half of the side, slim ones longer."""
    height, width = pixels.shape[:2]
    scale = size * rng.uniform(0.28, 0.5) / (height * width) ** 0.5
    scale = min(scale, 0.85 * size / max(height, width))
    pixels = resized_cutout(pixels, scale, mirror=bool(rng.integers(2)))
    return trimmed(kind, pixels[..., :3], (pixels[..., 3] > 0).astype(np.int32))


def blurred_photograph(rng: np.random.Generator, size: int) -> np.ndarray:
    """A part of a shipped photograph far out of focus, uint8 (size, size, 3)."""
    sources = shipped_photographs()
    pixels = sources[int(rng.integers(len(sources)))].load().pixels
    side = round(min(pixels.shape[:2]) * rng.uniform(0.6, 1.0))
    top, left = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
    part = Image.fromarray(pixels[top : top + side, left : left + side])
    cells = int(rng.integers(6, 12))
    small = part.resize((cells, cells), Image.Resampling.BOX)
    soft = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
    return grain(rng, soft, 5)
