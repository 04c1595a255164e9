"""Annotated images of a study of binding: who is in it, and which patches are drawn of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analytics.io.fitting import fit_mask, fit_picture, place
from analytics.metrics.binding import sample_patches
from analytics.metrics.patch_objects import patch_objects
from analytics.studies.attend import Progress
from analytics.studies.binding_choices import BindingChoices
from analytics.types import PatchGrid

if TYPE_CHECKING:
    from analytics.io.annotated import AnnotatedImage, AnnotatedSource
    from analytics.models.registry import LoadedModel

HELD_BYTES = 2**29
"""Images that are kept in memory between the look at a set and its use; others are read twice."""


@dataclass(frozen=True, eq=False)
class AnnotatedSet:
    """The different images of a set in order.

    `skipped` has the name and the reason of those that cannot be read or are the same as another;
    `wanted` counts all that were asked for.
    """

    sources: tuple[AnnotatedSource, ...]
    names: tuple[str, ...]
    sha256s: tuple[str, ...]
    families: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    wanted: int

    def without(self, known: set[str]) -> AnnotatedSet:
        """The images whose hash is not known yet."""
        rows = [i for i, sha256 in enumerate(self.sha256s) if sha256 not in known]
        return AnnotatedSet(
            tuple(self.sources[i] for i in rows),
            tuple(self.names[i] for i in rows),
            tuple(self.sha256s[i] for i in rows),
            tuple(self.families[i] for i in rows),
            self.skipped,
            self.wanted,
        )


class DrawnPatches(NamedTuple):
    """An image at the model's input, and the patches drawn of it.

    `fitted` is uint8 (height, width, 3); `objects` int32 (n,), from 1, and `patches` int32 (n,),
    row-major, both 0 and -1 beyond the patches that there are; `pixels` float32 (n, 6), mean and
    spread of each colour; `whole` int32 (rows, columns), the object of every patch, 0 for none.
    """

    fitted: np.ndarray
    objects: np.ndarray
    patches: np.ndarray
    pixels: np.ndarray
    whole: np.ndarray


@dataclass(frozen=True, eq=False)
class _Held:
    """An image that is in memory."""

    name: str
    image: AnnotatedImage

    def load(self) -> AnnotatedImage:
        return self.image


def survey_annotated(
    sources: Sequence[AnnotatedSource] | AnnotatedSet, progress: Progress | None = None
) -> AnnotatedSet:
    """Read every image once to know what it holds; a set that was surveyed stays as it is.

    Raises:
        ValueError: there is none, or none can be read.
    """
    if isinstance(sources, AnnotatedSet):
        return sources
    if not sources:
        raise ValueError("expected annotated pictures, got none; make scenes or open a folder")
    report = progress or (lambda done, total, message: None)
    kept: dict[str, tuple[AnnotatedSource, str, str]] = {}
    skipped: list[tuple[str, str]] = []
    room = HELD_BYTES
    for number, source in enumerate(sources):
        report(number, len(sources), f"reading picture {number + 1} of {len(sources)}")
        try:
            image = source.load()
        except ValueError as error:
            skipped.append((source.name, str(error).removeprefix(f"{source.name}: ")))
            continue
        sha256 = image.sha256
        if sha256 in kept:
            skipped.append((image.name, f"the same as {kept[sha256][1]}"))
            continue
        slim = replace(image, parts=None, amodal=None)
        room -= slim.pixels.nbytes + slim.instances.nbytes
        kept[sha256] = (_Held(image.name, slim) if room > 0 else source, image.name, image.family)
    if not kept:
        raise ValueError(f"expected pictures that can be read, got none: {skipped[0][1]}")
    held, names, families = zip(*kept.values(), strict=True)
    return AnnotatedSet(held, names, tuple(kept), families, tuple(skipped), len(sources))


def scene_grid(loaded: LoadedModel) -> tuple[int, int]:
    """Side of scenes and of a patch on them in pixels: the model's own, or a multiple of both.

    A multiple keeps copies on the patches when the scene is brought to a small input. An input
    that is no square of whole patches, or larger than scenes are made, gets 224 pixels.

    Known answer: 160 pixels in patches of 16 give scenes of 320 in patches of 32.
    """
    from analytics.io.scenes import LARGEST_SIZE, LEAST_SIZE

    (height, width), patch = loaded.input_size, loaded.patch_size
    if patch is None or height != width or height % patch:
        return 224, 14
    times = -(-LEAST_SIZE // height)
    if times * height > LARGEST_SIZE or times * patch < 2:
        return 224, 14
    return times * height, times * patch


def draw_patches(
    image: AnnotatedImage,
    sha256: str,
    size: tuple[int, int],
    grid: PatchGrid,
    chosen: BindingChoices,
) -> DrawnPatches:
    """Bring an image and its mask to the model's input and draw patches with an object.

    Args:
        image: picture and instances.
        sha256: its hash; with the seed it says which patches are drawn.
        size: height and width of the model's input.
        grid: the model's patches.
        chosen: purity, patches, seed.

    Raises:
        ValueError: fewer than two patches have an object.
    """
    placement = place(image.height, image.width, chosen.fit, *size)
    fitted = fit_picture(image.picture, placement)
    mask = fit_mask(image.instances, placement)
    found, _ = patch_objects(mask, grid, chosen.purity, chosen.count_background)
    whole = (found + 1).astype(np.int32)  # 0 for none
    places = sample_patches(whole, chosen.patches, chosen.draw_seed + int(sha256[:8], 16))
    if len(places) < 2:
        raise ValueError(
            f"{len(places)} patches of {grid.count} lie in an object with a share of "
            f"{chosen.purity:g}; lower the purity, or mark objects of several patches"
        )
    objects = np.zeros(chosen.patches, np.int32)
    patches = np.full(chosen.patches, -1, np.int32)
    pixels = np.zeros((chosen.patches, 6), np.float32)
    objects[: len(places)] = whole.reshape(-1)[places]
    patches[: len(places)] = places
    pixels[: len(places)] = patch_colours(fitted, grid)[places]
    return DrawnPatches(fitted, objects, patches, pixels, whole)


def patch_colours(fitted: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Mean and spread of red, green and blue of every patch, float32 (patches, 6), 0 to 1.

    Known answer: a patch of one colour has that colour and spread 0.
    """
    height, width = fitted.shape[0] // grid.rows, fitted.shape[1] // grid.columns
    blocks = fitted.reshape(grid.rows, height, grid.columns, width, 3).swapaxes(1, 2)
    flat = blocks.reshape(grid.count, height * width, 3).astype(np.float32) / 255
    return np.concatenate([flat.mean(1), flat.std(1)], axis=1)
