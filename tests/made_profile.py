"""A plausible profile from seeded numbers, for tests: consistent, but of no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytics.metrics.strength_catalogue import RULES, SCALARS, TEMPLATES, column_name
from analytics.store.provenance import make_provenance
from analytics.studies.profile_record import Profile, ProfiledImage, ProfiledLayer
from analytics.types import PatchGrid

Shape = tuple[int, int, int]
"""Heads, rows and columns of one layer; 0 x 0 where no patch asks."""

NEAR = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def made_profile(
    shapes: Sequence[Shape] = ((3, 6, 6),) * 4,
    images: int = 5,
    seed: int = 0,
    overflowed: Sequence[tuple[int, int]] = (),
    key: str = "a" * 64,
    wanted: int | None = None,
    windows: int = 1,
    hashes: Sequence[str] = (),
) -> Profile:
    """A profile in which later layers look further.

    Args:
        shapes: of every layer.
        images: number of pictures.
        seed: of the numbers.
        overflowed: heads (layer, head) without any number.
        key: id of the record.
        wanted: pictures that were asked for; None for all of them.
        windows: windows of every layer.
        hashes: SHA-256 of the pictures; made up where missing.
    """
    generator = np.random.default_rng(seed)
    heads = tuple((i, head) for i, (count, _, _) in enumerate(shapes) for head in range(count))
    hops = max(max(rows, columns) for _, rows, columns in shapes)
    tables = {name: np.full((images, len(heads)), np.nan, np.float32) for name in SCALARS}
    strength = {rule: np.full((images, len(heads), hops), np.nan, np.float32) for rule in RULES}
    mass = {rule: np.full_like(strength[rule], np.nan) for rule in RULES}
    blocks = np.full((images, len(heads), 3, 3), np.nan, np.float32)
    templates = np.full((images, len(heads), len(TEMPLATES)), np.nan, np.float32)
    offsets: list[list[np.ndarray]] = [[] for _ in shapes]
    for column, (layer, head) in enumerate(heads):
        _, rows, columns = shapes[layer]
        reach = 0.4 + (1 + layer) * (0.3 + generator.random())
        drift = generator.normal(0, 0.5, 2)
        total = np.zeros((max(2 * rows - 1, 0), max(2 * columns - 1, 0)))
        for image in range(images if rows * columns else 0):
            by_offset = _attention(
                rows, columns, reach * generator.uniform(0.8, 1.2), drift
            )  # sums to 1
            cls = float(generator.uniform(0.05, 0.5))
            total += by_offset / _pairs(rows, columns) * rows * columns / images
            if (layer, head) in overflowed:
                continue
            numbers = _numbers(by_offset, rows, columns, cls)
            for name in SCALARS:
                tables[name][image, column] = numbers.get(name, generator.uniform(0.1, 0.9))
            for rule, kept in (("renormalised", 1.0), ("raw", 1 - cls)):
                found = _hops(by_offset, rows, columns)
                strength[rule][image, column, : len(found[0])] = kept * found[0]
                mass[rule][image, column, : len(found[1])] = kept * found[1]
            blocks[image, column] = [[0.4, np.nan, 0.6], [np.nan] * 3, [cls, np.nan, 1 - cls]]
            templates[image, column] = [*((1 - cls) * _templates(by_offset, rows, columns)), cls]
        broken = (layer, head) in overflowed
        offsets[layer].append(np.where(broken, np.nan, total).astype(np.float32))
    flat = [np.full((count, rows * columns), 1.0, np.float32) for count, rows, columns in shapes]
    names = [*hashes, *(f"{i:064x}" for i in range(images))][:images]
    agnosticism = generator.uniform(0, 1, len(heads)).astype(np.float32)
    if images < 2:
        agnosticism[:] = np.nan
    return Profile(
        id=key,
        model_label="A made model",
        caution="Made up for a test.",
        layers=tuple(_layer(i, shape, windows) for i, shape in enumerate(shapes)),
        heads=heads,
        images=tuple(ProfiledImage(f"{i}.png", name) for i, name in enumerate(names)),
        scalars=tables,
        hop_strength=strength,
        hop_mass=mass,
        block_mass=blocks,
        template_score=templates,
        offset_map=tuple(np.stack(one) for one in offsets),
        received=tuple(flat),
        clipped_distance=tuple(flat),
        cls_row=tuple(flat),
        content_agnosticism=agnosticism,
        images_wanted=images if wanted is None else wanted,
        skipped=(),
        provenance=make_provenance("test", "made", "b" * 64, {"0.png": names[0]}, {"fit": "crop"}),
    )


def _layer(index: int, shape: Shape, windows: int) -> ProfiledLayer:
    count, rows, columns = shape
    dy, dx = _steps(rows, columns)
    uniform = np.nan
    if rows * columns:
        uniform = float((_pairs(rows, columns) * np.hypot(dy, dx)).sum() / (rows * columns) ** 2)
    grid = PatchGrid(rows, columns)
    name = f"blocks.{index}.attn"
    return ProfiledLayer(f"L{index}", name, count, grid, grid, (16.0, 16.0), windows, uniform)


def _steps(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1 - rows, rows)[:, None], np.arange(1 - columns, columns)[None]


def _pairs(rows: int, columns: int) -> np.ndarray:
    dy, dx = _steps(rows, columns)
    return (rows - np.abs(dy)) * (columns - np.abs(dx))


def _attention(rows: int, columns: int, reach: float, drift: np.ndarray) -> np.ndarray:
    """Share of a patch's attention that goes to each offset."""
    dy, dx = _steps(rows, columns)
    found = _pairs(rows, columns) * np.exp(-np.hypot(dy - drift[0], dx - drift[1]) / reach)
    return found / found.sum()


def _numbers(by_offset: np.ndarray, rows: int, columns: int, cls: float) -> dict[str, float]:
    dy, dx = _steps(rows, columns)
    distance = float((by_offset * np.hypot(dy, dx)).sum())
    length = float(np.hypot((by_offset * dy).sum(), (by_offset * dx).sum()))
    strength, _ = _hops(by_offset, rows, columns)
    share = strength / strength.sum()
    entropy = float(-(share * np.log(share)).sum())
    keys = by_offset * rows * columns / _pairs(rows, columns)
    spread = float(-(by_offset * np.log(keys)).sum())
    found = {"self_mass": (1 - cls) * by_offset[rows - 1, columns - 1], "cls_mass": cls}
    for rule, kept in (("renormalised", 1.0), ("raw", 1 - cls)):
        found[column_name("mean_distance", rule)] = kept * distance
        found[column_name("offset_length", rule)] = kept * length
        found[column_name("hop_entropy", rule)] = entropy
        more = 0.0 if kept == 1 else -kept * np.log(kept) - cls * np.log(cls)
        found[column_name("row_entropy", rule)] = kept * spread + more
    return found


def _hops(by_offset: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Strength and mass by hop."""
    dy, dx = _steps(rows, columns)
    hop = np.maximum(np.abs(dy), np.abs(dx))
    count = max(rows, columns)
    mass = np.array([by_offset[hop == k].sum() for k in range(count)])
    pairs = np.array([_pairs(rows, columns)[hop == k].sum() for k in range(count)])
    return mass * rows * columns / pairs, mass


def _templates(by_offset: np.ndarray, rows: int, columns: int) -> np.ndarray:
    dy, dx = _steps(rows, columns)
    at = [(0, 0), *NEAR]
    near = [by_offset[(dy == y) & (dx == x)].sum() for y, x in at]
    row = by_offset[(dy == 0) & (np.abs(dx) > 1)].sum()
    column = by_offset[(dx == 0) & (np.abs(dy) > 1)].sum()
    return np.array([*near, row, column])
