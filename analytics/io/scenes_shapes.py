"""Shapes of made objects: which pixels of a small picture belong to which part.

Coordinates are u to the right and v down, -1 to 1 over the width and height of the object
before it is turned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Area:
    """One part of an object: an "ellipse" or "box" (u0, v0, u1, v1), or a "polygon" (u, v)..."""

    form: str
    numbers: tuple[float, ...]


def _ellipse(*numbers: float) -> Area:
    return Area("ellipse", numbers)


def _box(*numbers: float) -> Area:
    return Area("box", numbers)


def _polygon(*numbers: float) -> Area:
    return Area("polygon", numbers)


FIGURES: dict[str, tuple[Area, ...]] = {
    "person": (
        _box(-0.42, 0.3, -0.06, 1.0),
        _box(0.06, 0.3, 0.42, 1.0),
        _polygon(-0.95, -0.05, -0.4, -0.45, -0.25, -0.2, -0.75, 0.25),
        _polygon(0.95, -0.05, 0.4, -0.45, 0.25, -0.2, 0.75, 0.25),
        _polygon(-0.5, -0.45, 0.5, -0.45, 0.42, 0.4, -0.42, 0.4),
        _ellipse(-0.33, -1.0, 0.33, -0.4),
    ),
    "car": (
        _polygon(-0.55, 0.0, -0.35, -0.6, 0.35, -0.6, 0.65, 0.0),
        _polygon(-1.0, -0.05, 0.8, -0.05, 1.0, 0.15, 1.0, 0.55, -1.0, 0.55),
        _ellipse(-0.8, 0.2, -0.2, 0.9),
        _ellipse(0.25, 0.2, 0.85, 0.9),
    ),
    "flower": (
        _box(-0.1, 0.0, 0.1, 1.0),
        _polygon(0.05, 0.8, 0.7, 0.25, 0.55, 0.8),
        _ellipse(-0.75, -1.0, -0.05, -0.3),
        _ellipse(0.05, -1.0, 0.75, -0.3),
        _ellipse(-0.75, -0.45, -0.05, 0.2),
        _ellipse(0.05, -0.45, 0.75, 0.2),
        _ellipse(-0.3, -0.7, 0.3, -0.1),
    ),
    "fish": (
        _polygon(0.4, 0.0, 1.0, -0.7, 0.85, 0.0, 1.0, 0.7),
        _polygon(-0.3, -0.4, 0.35, -1.0, 0.4, -0.25),
        _ellipse(-1.0, -0.6, 0.6, 0.6),
        _polygon(-0.2, 0.05, 0.35, 0.05, 0.2, 0.45),
        _ellipse(-0.8, -0.3, -0.5, 0.05),
    ),
    "house": (
        _box(0.3, -0.95, 0.6, -0.2),
        _box(-0.8, -0.15, 0.8, 1.0),
        _polygon(-1.0, -0.1, 0.0, -1.0, 1.0, -0.1),
        _box(-0.5, 0.2, -0.05, 1.0),
        _box(0.2, 0.15, 0.6, 0.6),
    ),
    "lamp": (
        _box(-0.12, -0.2, 0.12, 0.8),
        _ellipse(-0.6, 0.6, 0.6, 1.0),
        _polygon(-0.45, -1.0, 0.45, -1.0, 0.9, -0.05, -0.9, -0.05),
    ),
    "bird": (
        _polygon(-1.0, -0.45, -0.6, -0.68, -0.6, -0.28),
        _polygon(0.3, 0.1, 1.0, -0.35, 0.95, 0.25),
        _box(-0.12, 0.45, 0.02, 1.0),
        _box(0.12, 0.45, 0.26, 1.0),
        _ellipse(-0.55, -0.35, 0.6, 0.6),
        _ellipse(-0.7, -0.85, -0.1, -0.15),
        _polygon(-0.2, -0.15, 0.5, -0.05, 0.1, 0.4),
    ),
    "boat": (
        _box(-0.06, -1.0, 0.08, 0.5),
        _polygon(0.12, -0.9, 0.85, 0.3, 0.12, 0.3),
        _polygon(-0.1, -0.75, -0.1, 0.3, -0.75, 0.3),
        _polygon(-1.0, 0.4, 1.0, 0.4, 0.65, 1.0, -0.65, 1.0),
    ),
    "mug": (
        _ellipse(0.2, -0.55, 1.0, 0.65),
        _box(-0.8, -0.8, 0.5, 0.9),
        _box(-0.8, -0.2, 0.5, 0.25),
        _ellipse(-0.8, -1.0, 0.5, -0.55),
    ),
    "tree": (
        _box(-0.18, 0.2, 0.18, 1.0),
        _ellipse(-0.95, -0.5, 0.15, 0.45),
        _ellipse(-0.15, -0.5, 0.95, 0.45),
        _ellipse(-0.6, -1.0, 0.6, 0.15),
    ),
}
"""Objects of several parts; a later part covers the earlier ones."""

SHAPES = (
    "ellipse",
    "box",
    "bar",
    "triangle",
    "star",
    "cross",
    "ring",
    "crescent",
    "corner",
    "wave",
    "blob",
)
"""Objects of one part."""


def frame(half_width: float, half_height: float, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of an upright picture that holds a turned object.

    Args:
        half_width: half the width of the object before the turn, in pixels.
        half_height: half its height.
        turn: clockwise, in radians.

    Returns:
        u and v, both (height, width) float64.
    """
    c, s = math.cos(turn), math.sin(turn)
    reach_x = math.ceil(abs(half_width * c) + abs(half_height * s)) + 1
    reach_y = math.ceil(abs(half_width * s) + abs(half_height * c)) + 1
    x = np.arange(-reach_x, reach_x + 1, dtype=np.float64)[None, :]
    y = np.arange(-reach_y, reach_y + 1, dtype=np.float64)[:, None]
    return (c * x + s * y) / half_width, (c * y - s * x) / half_height


def area_mask(area: Area, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which pixels an area covers, bool of the shape of `u`."""
    if area.form == "polygon":
        points = list(zip(area.numbers[::2], area.numbers[1::2], strict=True))
        return inside_polygon(points, u, v)
    u0, v0, u1, v1 = area.numbers
    if area.form == "box":
        return (u >= u0) & (u <= u1) & (v >= v0) & (v <= v1)
    across = (2 * u - u0 - u1) / (u1 - u0)
    return across**2 + ((2 * v - v0 - v1) / (v1 - v0)) ** 2 <= 1


def inside_polygon(points: Points, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Even-odd rule: which points lie inside, bool of the shape of `u`.

    Known answer: the corners (-1, -1), (1, -1), (1, 1), (-1, 1) hold (0, 0) and not (2, 0).
    """
    found = np.zeros(u.shape, bool)
    for (u0, v0), (u1, v1) in zip(points, [*points[1:], points[0]], strict=True):
        if v0 == v1:
            continue
        crosses = (v < v0) != (v < v1)
        found ^= crosses & (u < u0 + (v - v0) * (u1 - u0) / (v1 - v0))
    return found


def figure_parts(figure: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The visible part of a figure at every pixel: 0 outside, else 1 for the first; int32."""
    parts = np.zeros(u.shape, np.int32)
    for number, area in enumerate(FIGURES[figure], start=1):
        parts[area_mask(area, u, v)] = number
    return parts


def shape_mask(shape: str, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which pixels an object of one part covers, bool of the shape of `u`."""
    radius = np.hypot(u, v)
    if shape == "ellipse":
        return radius <= 1
    if shape in ("box", "bar"):
        return (abs(u) <= 1) & (abs(v) <= 1)
    if shape == "triangle":
        return inside_polygon([(-1, 1), (1, 1), (rng.uniform(-0.5, 0.5), -1)], u, v)
    if shape == "star":
        return inside_polygon(_star(int(rng.integers(5, 8))), u, v)
    if shape == "cross":
        arm = rng.uniform(0.3, 0.45)
        return (abs(u) <= 1) & (abs(v) <= 1) & ((abs(u) <= arm) | (abs(v) <= arm))
    if shape == "ring":
        return (radius <= 1) & (radius >= rng.uniform(0.45, 0.6))
    if shape == "crescent":
        return (radius <= 1) & (np.hypot(u - 0.5, v) >= 0.75)
    if shape == "corner":
        arm = rng.uniform(-0.35, -0.1)
        return (abs(u) <= 1) & (abs(v) <= 1) & ((u <= arm) | (v >= -arm))
    if shape == "wave":
        return (abs(u) <= 1) & (abs(v - 0.55 * np.sin(math.pi * u)) <= 0.42)
    return radius <= _blob(np.arctan2(v, u), rng)


def _star(points: int) -> list[tuple[float, float]]:
    turns = [math.pi * k / points for k in range(2 * points)]
    reach = [1.0, 0.5] * points
    return [(r * math.sin(t), -r * math.cos(t)) for r, t in zip(reach, turns, strict=True)]


def _blob(angle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A radius that swings around .75 with the angle."""
    waves = (rng.uniform(0.03, 0.1) * np.sin(k * angle + rng.uniform(0, 6.28)) for k in (2, 3, 5))
    return 0.75 + sum(waves, np.zeros_like(angle))
