"""Colours, textures and backgrounds of made scenes, all from one random generator."""

from __future__ import annotations

import colorsys

import numpy as np

from analytics.io.scenes_shapes import figure_parts, frame

INK = (38, 34, 40)
"""The line around the parts of drawn figures and patches of a shared background."""

TEXTURES = ("flat", "stripes", "checks", "dots")


def palette(
    rng: np.random.Generator, count: int, muted: int = 0, apart: float = 85.0
) -> np.ndarray:
    """Colours that can be told from one another.

    Args:
        rng: where they come from.
        count: how many, at most about 8 for the default distance.
        muted: how many of them, from the first, are greyish, for grounds.
        apart: least distance of two colours in RGB, of 441 at most.

    Returns:
        uint8 (count, 3). After many vain draws the farthest one is taken.
    """
    chosen = np.zeros((0, 3))
    while len(chosen) < count:
        drawn = np.array([_colour(rng, len(chosen) < muted) for _ in range(12)])
        gaps = np.linalg.norm(drawn[:, None] - chosen[None], axis=2)  # (12, chosen)
        least = gaps.min(axis=1) if len(chosen) else np.full(12, np.inf)
        far = np.flatnonzero(least >= apart)
        chosen = np.vstack([chosen, drawn[far[0] if len(far) else int(least.argmax())]])
    return chosen.astype(np.uint8)


def _colour(rng: np.random.Generator, muted: bool) -> list[int]:
    hue, saturation, value = rng.uniform((0, 0.25, 0.35), (1, 0.8, 0.95))
    saturation = saturation / 2 if muted else saturation
    return [round(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value)]


def texture(
    kind: str, height: int, width: int, colours: np.ndarray, period: int, phase: int = 0
) -> np.ndarray:
    """A pattern of one or two colours.

    Args:
        kind: one of TEXTURES.
        height: rows of pixels.
        width: columns of pixels.
        colours: uint8 (1 or 2, 3); "flat" takes the first.
        period: pixels after which it repeats, at least 2.
        phase: 0 to 3, the direction of stripes.

    Returns:
        uint8 (height, width, 3).

    Known answer: stripes of period 4, phase 0: two rows of one colour, two of the other.
    """
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    half = max(1, period // 2)
    if kind == "stripes":
        along = (y + 0 * x, x + 0 * y, x + y, x - y)[phase % 4]
        second = along // half % 2 == 1
    elif kind == "checks":
        second = (y // half + x // half) % 2 == 1
    elif kind == "dots":
        second = (y % period - half) ** 2 + (x % period - half) ** 2 <= (0.3 * period) ** 2
    else:
        second = np.zeros((height, width), bool)
    return np.where(second[..., None], colours[-1], colours[0]).astype(np.uint8)


def cloud(rng: np.random.Generator, size: int, colours: np.ndarray, cells: int = 4) -> np.ndarray:
    """A soft mixture of two colours with fine grain, uint8 (size, size, 3)."""
    knots = rng.uniform(0, 1, (cells + 1, cells + 1))
    at = np.linspace(0, cells, size)
    low = np.minimum(at.astype(int), cells - 1)
    part = (at - low) ** 2 * (3 - 2 * (at - low))
    rows = knots[low] + (knots[low + 1] - knots[low]) * part[:, None]
    mix = rows[:, low] + (rows[:, low + 1] - rows[:, low]) * part[None, :]
    base, other = colours[0].astype(np.float64), colours[1].astype(np.float64)
    soft = base + mix[..., None] * (other - base)
    return grain(rng, soft, 4)


def grain(rng: np.random.Generator, pixels: np.ndarray, strength: int) -> np.ndarray:
    """Pixels (height, width, 3) with even noise of +-strength, the same in all colours."""
    noise = rng.integers(-strength, strength + 1, pixels.shape[:2], dtype=np.int16)
    return np.clip(np.rint(pixels) + noise[..., None], 0, 255).astype(np.uint8)


def patchwork(
    rng: np.random.Generator, size: int, colours: np.ndarray, cells: int = 14
) -> np.ndarray:
    """A background of patches in the colours given with ink between, uint8 (size, size, 3)."""
    sites = rng.uniform(0, size, (cells, 2)).astype(np.float32)
    y, x = (np.arange(size, dtype=np.float32) for _ in range(2))
    squared = (y[None, :, None] - sites[:, :1, None]) ** 2 + (x - sites[:, 1:, None]) ** 2
    nearest = squared.argmin(axis=0)  # (size, size)
    cell_colours = colours[rng.permutation(np.arange(cells) % len(colours))]
    pixels = cell_colours[nearest]
    pixels[edges(nearest, line_width(size))] = INK
    return pixels


def line_width(size: int) -> int:
    """Width of an ink line in pixels at a size of picture."""
    return max(1, round(size / 224))


def edges(labels: np.ndarray, width: int = 1) -> np.ndarray:
    """Where neighbours differ, on one side of the border.

    Args:
        labels: integers (height, width), 0 and above.
        width: how thick the edge is, in pixels.

    Returns:
        bool (height, width): of two pixels that differ the upper or left one, or the other
        where that one is 0, so that an object on 0 is lined inside all around.

    Known answer: labels 0 1 1 2 give False True True False.
    """
    found = np.zeros(labels.shape, bool)
    for step in range(1, width + 1):
        down = labels[step:] != labels[:-step]
        right = labels[:, step:] != labels[:, :-step]
        found[:-step] |= down & (labels[:-step] > 0)
        found[step:] |= down & (labels[:-step] == 0)
        found[:, :-step] |= right & (labels[:, :-step] > 0)
        found[:, step:] |= right & (labels[:, :-step] == 0)
    return found


def painted_figure(
    rng: np.random.Generator,
    figure: str,
    colours: np.ndarray,
    half: tuple[float, float],
    line: int,
    tilt: float = 0.3,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a figure of several parts in the colours given, with ink lines.

    Args:
        rng: for the mirror, the tilt, which part has which colour, and stripes.
        figure: a key of `scenes_shapes.FIGURES`.
        colours: uint8 (at least 2, 3).
        half: half width and half height in pixels.
        line: width of the lines in pixels.
        tilt: most that it leans either way, in radians.

    Returns:
        Pixels uint8 (height, width, 3) and parts int32 (height, width), 0 outside.
    """
    u, v = frame(*half, turn=rng.uniform(-tilt, tilt))
    parts = figure_parts(figure, -u if rng.integers(2) else u, v)
    pixels = np.zeros((*parts.shape, 3), np.uint8)
    height, width = parts.shape
    order = rng.permutation(len(colours))
    for part in range(1, int(parts.max()) + 1):
        pair = colours[order[[part % len(order), (part + 1) % len(order)]]]
        kind = TEXTURES[int(rng.integers(4))] if rng.uniform() < 0.35 else "flat"
        period, phase = int(rng.integers(4, 8)) * line, int(rng.integers(4))
        drawn = texture(kind, height, width, pair, period, phase)
        pixels[parts == part] = drawn[parts == part]
    pixels[edges(parts, line) & (parts > 0)] = INK
    return pixels, parts
