"""Made scenes: pictures whose objects are known to the pixel.

Each family asks one thing of a model, see FAMILY_TITLES. A scene depends on its family, seed
and size alone, and is the same on every run.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from analytics.io.annotated import AnnotatedImage, AnnotatedSource
from analytics.io.cutouts import folder_cutouts
from analytics.io.scenes_copies import check_grid, identical_copies, most_copies, two_kinds
from analytics.io.scenes_objects import one_colour, shared_palette, shifted_palette
from analytics.io.scenes_pairs import occluder, strips
from analytics.io.scenes_photos import cut_outs

FAMILY_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "one-colour": "Objects of one colour: the easy case",
        "shared-palette": "Objects of several parts in the colours of their background",
        "cut-outs": "Photographed objects over a blurred photograph",
        "copies-aligned": "Identical copies whose patches are equal bit for bit",
        "copies-free": "Identical copies that lie differently on the patches",
        "two-kinds": "Two kinds of object, several copies of each",
        "strips-own": "Strips of two objects in turn, each object with its colours",
        "strips-same": "Strips of two objects in turn, both with the same colours",
        "split": "One object that an occluder splits into two pieces",
        "aligned-pair": "Two objects in line, one on each side of an occluder",
        "shifted": "Objects of several parts, the scene moved by some pixels",
    }
)
"""Every family and what its scenes show."""

FAMILIES: tuple[str, ...] = tuple(FAMILY_TITLES)
LEAST_SIZE, LARGEST_SIZE = 168, 1036
"""Sides of a scene in pixels; 224 to 518 are what models commonly take."""

_SEEDS_APART = 100_000


def make_scene(
    family: str,
    seed: int,
    size: int = 224,
    patch: int = 14,
    cutouts: str | Path | None = None,
) -> AnnotatedImage:
    """Make one scene.

    Args:
        family: one of FAMILIES.
        seed: 0 or above; another seed is another scene.
        size: side of the square picture in pixels.
        patch: side of the model's patches in pixels, for the families of copies; for
            "copies-aligned" it must divide `size`.
        cutouts: a folder of cut-out objects with alpha for "cut-outs" in place of the
            shipped photographs.

    Returns:
        The picture with its visible instances (1, 2, ... back to front), their classes,
        their whole extent, and parts numbered through all objects.

    Raises:
        ValueError: no such family, seed or size, a patch that does not divide the side, or a
            folder without cut-outs.
    """
    _check(family, seed, size)
    if family in ("copies-aligned", "copies-free"):
        aligned = family == "copies-aligned"
        copies = 3 + int(_generator(family, seed).integers(2))
        copies = min(copies, most_copies(seed, size, patch, aligned))
        return identical_copies(seed, size, patch, copies, aligned)
    if family == "shifted":
        return shifted_scene(seed, size)
    made = _generator(family, seed), size, scene_name(family, seed), family
    if family == "cut-outs":
        return cut_outs(*made, cutouts)
    if family in ("strips-own", "strips-same"):
        return strips(*made, own_colours=family == "strips-own")
    if family in ("split", "aligned-pair"):
        return occluder(*made, one_object=family == "split")
    plain = {"one-colour": one_colour, "shared-palette": shared_palette, "two-kinds": two_kinds}
    return plain[family](*made)


def shifted_scene(
    seed: int, size: int = 224, shift: tuple[int, int] | None = None
) -> AnnotatedImage:
    """A scene of several objects moved by `shift` pixels (down, right), not wrapped round.

    (0, 0) gives the scene where it was made; None draws a shift, which the notes state. What
    stays in the picture is equal pixel for pixel and mask for mask.

    Raises:
        ValueError: a bad seed or size, or a shift of more than a quarter of the side.
    """
    _check("shifted", seed, size)
    name = scene_name("shifted", seed)
    return shifted_palette(_generator("shifted", seed), size, name, "shifted", shift)


@dataclass(frozen=True)
class MadeScene:
    """A scene that is made when it is loaded."""

    family: str
    seed: int
    size: int = 224
    patch: int = 14
    cutouts: Path | None = None

    @property
    def name(self) -> str:
        """What the scene is called in its set."""
        return scene_name(self.family, self.seed)

    def load(self) -> AnnotatedImage:
        """Make it, see `make_scene`."""
        return make_scene(self.family, self.seed, self.size, self.patch, self.cutouts)


def scene_sources(
    count: int,
    seed: int = 0,
    size: int = 224,
    families: Sequence[str] = FAMILIES,
    patch: int = 14,
    cutouts: str | Path | None = None,
) -> list[AnnotatedSource]:
    """A set of scenes that takes the families in turn; sets of two seeds share no scene.

    Args:
        count: how many scenes, up to 100,000.
        seed: of the set.
        size: side of every scene in pixels.
        families: which of FAMILIES, in this order.
        patch: see `make_scene`.
        cutouts: see `make_scene`.

    Returns:
        The scenes, none made yet.

    Raises:
        ValueError: a count below 1 or above 100,000, no or unknown families, or what
            `make_scene` refuses.
    """
    if not 1 <= count <= _SEEDS_APART or not families:
        raise ValueError(
            f"expected 1 to {_SEEDS_APART:,} scenes of at least one family, got {count:,} of "
            f"{len(families)}; ask for another number or name a family of {', '.join(FAMILIES)}"
        )
    for family in families:
        _check(family, seed, size)
    if "copies-aligned" in families:
        check_grid(size, patch)
    if cutouts is not None and "cut-outs" in families:
        folder_cutouts(cutouts)
    folder = None if cutouts is None else Path(cutouts)
    first = seed * _SEEDS_APART
    return [
        MadeScene(families[i % len(families)], first + i, size, patch, folder) for i in range(count)
    ]


def scene_name(family: str, seed: int) -> str:
    """What a scene is called: its family and seed."""
    return f"{family} {seed:06d}"


def _generator(family: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(family.encode()), seed])


def _check(family: str, seed: int, size: int) -> None:
    if family not in FAMILY_TITLES:
        raise ValueError(
            f"expected a family of scenes, one of {', '.join(FAMILIES)}, got {family!r}"
        )
    if seed < 0:
        raise ValueError(f"expected a seed of 0 or above, got {seed}")
    if not LEAST_SIZE <= size <= LARGEST_SIZE:
        raise ValueError(f"expected a side of {LEAST_SIZE} to {LARGEST_SIZE} pixels, got {size}")
