"""Photographed objects cut from their background, with masks or with alpha."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from analytics.io.annotated import AnnotatedImage, AnnotatedSource
from analytics.io.folders import picture_files
from analytics.io.images import DEFAULT_LIMITS, Limits, check_bytes, read_picture
from analytics.io.names import plain_name
from analytics.io.sources import assets_dir

_COINS = 24
_PHOTOGRAPHS: dict[str, tuple[str, ...]] = {
    "astronaut.png": ("person", "helmet", "model of a shuttle", "flag"),
    "chelsea.png": ("cat",),
    "coffee.png": ("cup", "saucer", "spoon"),
    "coins.png": ("coin",) * _COINS,
    "rocket.jpg": ("rocket",),
}
"""The shipped photographs that have a mask, with the class of instance 1, 2, ..."""

_IN_PIECES = frozenset({"spoon"})
"""Objects of which another hides the middle: no good cut-outs."""

_HALF_OPAQUE = 128
_WITH_ALPHA = frozenset({".png", ".webp"})
_LEAST_SIDE = 12


@dataclass(frozen=True)
class ShippedPhotograph:
    """A photograph that comes with the app, with masks drawn for it."""

    name: str

    def load(self) -> AnnotatedImage:
        """Picture and mask.

        Raises:
            ValueError: a file is missing or damaged.
        """
        path = assets_dir() / "images" / self.name
        mask = assets_dir() / "masks" / f"{Path(self.name).stem}.png"
        try:
            picture = read_picture(path.read_bytes(), self.name)
            with Image.open(mask) as image:
                instances = np.asarray(image).astype(np.int32)
        except OSError as error:
            raise ValueError(
                f"{self.name}: expected the shipped picture and its mask, got none that can be "
                f"read ({error}); install the app again"
            ) from error
        classes = dict(enumerate(_PHOTOGRAPHS[self.name], start=1))
        note = "The masks were drawn for this project and are good to about two pixels."
        return AnnotatedImage(self.name, picture.pixels, instances, classes, notes=(note,))


def shipped_photographs() -> list[AnnotatedSource]:
    """The shipped photographs with masks: a demonstration, not evidence.

    Known answer: five, with 33 objects in all, 24 of them coins.
    """
    return [ShippedPhotograph(name) for name in _PHOTOGRAPHS]


@dataclass(frozen=True)
class Cutout:
    """One object to be cut out: `instance` of a shipped photograph, or a file with alpha."""

    kind: str
    path: Path
    instance: int = 0

    def load(self, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
        """The object in its box, uint8 (height, width, 4), alpha last.

        Raises:
            ValueError: it cannot be read, or shows no object; one line that names the file.
        """
        if self.instance:
            whole = ShippedPhotograph(self.path.name).load()
            alpha = np.where(whole.instances == self.instance, 255, 0).astype(np.uint8)
            return _boxed(np.dstack([whole.pixels, alpha]), self.path.name)
        return _boxed(_read_alpha(self.path, limits), self.path.name)


def shipped_cutouts() -> list[list[Cutout]]:
    """The objects of the shipped photographs that are seen in one piece, by class.

    Known answer: nine classes, one of them with the 24 coins.
    """
    folder = assets_dir() / "images"
    found: dict[str, list[Cutout]] = {}
    for name, kinds in _PHOTOGRAPHS.items():
        for number, kind in enumerate(kinds, start=1):
            found.setdefault(kind, []).append(Cutout(kind, folder / name, number))
    return [group for kind, group in found.items() if kind not in _IN_PIECES]


def folder_cutouts(folder: str | Path) -> list[list[Cutout]]:
    """The PNG and WebP files in and below a folder, each taken for one object with alpha.

    Returns:
        Each file on its own, its class the name of the file; none has been opened.

    Raises:
        ValueError: no such file.
    """
    place = Path(folder)
    files = [file for file in picture_files(place) if file.suffix.lower() in _WITH_ALPHA]
    if not files:
        raise ValueError(
            f"expected PNG or WebP files with transparency in {place}, found none; name a folder "
            "of cut-out objects"
        )
    return [[Cutout(plain_name(file.stem), file)] for file in files]


def pick_cutouts(
    rng: np.random.Generator, groups: Sequence[Sequence[Cutout]], count: int
) -> list[Cutout]:
    """Objects of groups drawn at random; a group comes again when all others have had a turn."""
    order = [int(i) for _ in range(-(-count // len(groups))) for i in rng.permutation(len(groups))]
    return [groups[i][int(rng.integers(len(groups[i])))] for i in order[:count]]


def resized_cutout(cutout: np.ndarray, scale: float, mirror: bool) -> np.ndarray:
    """A cut-out scaled, and mirrored left to right on demand, uint8 (height, width, 4).

    Alpha is 0 or 255; colours are averaged over the object alone, so that none of its old
    background shows at the rim.
    """
    height, width = cutout.shape[:2]
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    # Pillow multiplies colours by alpha before it resizes.
    image = Image.fromarray(cutout).resize(sides, Image.Resampling.BICUBIC)
    found = np.array(image)
    found[..., 3] = np.where(found[..., 3] >= _HALF_OPAQUE, 255, 0)
    return found[:, ::-1] if mirror else found


def _read_alpha(path: Path, limits: Limits) -> np.ndarray:
    try:
        check_bytes(path.stat().st_size, limits)
        data = path.read_bytes()
        read_picture(data, path.name, limits)  # refuses what is damaged or too large
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGBA"))
    except OSError as error:
        raise ValueError(
            f"{path.name}: expected a picture with transparency, got a file that cannot be read "
            f"({error.strerror or error})"
        ) from error


def _boxed(pixels: np.ndarray, name: str) -> np.ndarray:
    """The box around what is at least half opaque."""
    seen = pixels[..., 3] >= _HALF_OPAQUE
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if seen.all() or min(len(rows), len(columns)) < _LEAST_SIDE:
        got = "no transparent pixel" if seen.all() else f"{int(seen.sum())} opaque pixels"
        raise ValueError(
            f"{name}: expected an object of at least {_LEAST_SIDE} x {_LEAST_SIDE} pixels on a "
            f"transparent ground, got {got}; cut the object out and save it with alpha"
        )
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
