"""A picture of the Data view: at the model's input, with what its patches hold."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.metrics.patch_objects import patch_objects
from analytics.types import PatchGrid, Placement

if TYPE_CHECKING:
    from analytics.io.annotated import AnnotatedImage, AnnotatedSource

SHOWN_SIDE = 280
"""Longer side of a picture and its mask in the gallery at most, pixels."""

MOST_PLACES = 65_535
"""Most instances of a picture that are told apart."""

PURITIES = tuple(round(0.05 * step, 2) for step in range(1, 21))
"""Thresholds at which it is counted what remains."""

_ANY = 1e-6
"""A purity that every patch reaches: its most frequent instance is wanted, not whether."""


@dataclass(frozen=True, eq=False)
class ShownImage:
    """A picture of the gallery, as the model's input takes it.

    `ids` are the instances that the input shows, ascending, `classes` and `pixels` their classes
    (empty where unknown) and sizes on the input. `picture` is a JPEG and `mask` a deflated uint16
    (height, width) of `shown`, of positions in `ids` from 1, 0 for none. `most` int32 and `shares`
    float32 (rows, columns) are the most frequent position of every patch and its share. `whole`
    counts the instances of the whole picture.
    """

    name: str
    height: int
    width: int
    family: str
    ids: tuple[int, ...]
    classes: tuple[str, ...]
    pixels: tuple[int, ...]
    whole: int
    notes: tuple[str, ...]
    shown: tuple[int, int]
    picture: bytes
    mask: bytes
    most: np.ndarray
    shares: np.ndarray
    sha256: str

    @property
    def nbytes(self) -> int:
        """Memory of what is held."""
        return len(self.picture) + len(self.mask) + self.most.nbytes + self.shares.nbytes


def shown_image(image: AnnotatedImage, size: tuple[int, int], grid: PatchGrid) -> ShownImage:
    """Bring a picture and its mask to the model's input, as probes are fitted on it.

    Args:
        image: picture and instances.
        size: height and width of the input.
        grid: the patches of the input.
    """
    from analytics.io.fitting import fit_mask, fit_picture, place

    placement: Placement = place(image.height, image.width, "crop", *size)
    fitted, mask = fit_picture(image.picture, placement), fit_mask(image.instances, placement)
    ids, flat, counts = np.unique(mask, return_inverse=True, return_counts=True)
    if ids[0] != 0:
        ids, flat, counts = np.r_[0, ids], flat + 1, np.r_[0, counts]
    # A mask of smoothed colours can hold more than fit: the last ones are taken as one.
    places = np.minimum(flat.reshape(mask.shape), MOST_PLACES).astype(np.uint16)
    most, shares = patch_objects(places.astype(np.int32), grid, _ANY, count_background=True)
    rows, columns = _shown_rows(size)
    whole = len(image.ids)
    notes = list(image.notes)
    if whole > len(ids) - 1:
        notes.append(f"{whole - len(ids) + 1} of {whole} instances lie outside the crop")
    return ShownImage(
        name=image.name,
        height=image.height,
        width=image.width,
        family=image.family,
        ids=tuple(int(one) for one in ids[1:]),
        classes=tuple(str(image.classes.get(int(one), "")) for one in ids[1:]),
        pixels=tuple(int(one) for one in counts[1:]),
        whole=whole,
        notes=tuple(notes),
        shown=(len(rows), len(columns)),
        picture=_jpeg(fitted, (len(columns), len(rows))),
        mask=zlib.compress(np.ascontiguousarray(places[np.ix_(rows, columns)], "<u2").tobytes()),
        most=most,
        shares=shares,
        sha256=image.sha256,
    )


def _shown_rows(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the input that the gallery shows: all, or evenly spaced ones."""
    scale = max(1.0, max(size) / SHOWN_SIDE)
    counts = [max(1, round(side / scale)) for side in size]
    rows, columns = (
        ((np.arange(count) + 0.5) * side / count).astype(int)
        for count, side in zip(counts, size, strict=True)
    )
    return rows, columns


def _jpeg(pixels: np.ndarray, size: tuple[int, int]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def live_counts(most: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many patches keep an object at each of PURITIES, and how many objects keep a patch.

    Args:
        most: integers (rows, columns), the most frequent instance of every patch, 0 for none.
        shares: float (rows, columns), its share.

    Returns:
        Both int (purities, 2), without and with unlabelled patches as one object.

    Known answer: two patches with instance 1 at shares 1 and .5 give 2 patches at a purity of .5
    and 1 at .55; the object is live at both.
    """
    kept = np.zeros((len(PURITIES), 2), np.int32)
    live = np.zeros((len(PURITIES), 2), np.int32)
    for row, purity in enumerate(PURITIES):
        enough = shares.astype(np.float64) >= purity - _ANY
        for column, allowed in enumerate((most > 0, most >= 0)):
            here = most[enough & allowed]
            kept[row, column], live[row, column] = here.size, len(np.unique(here))
    return kept, live


def subject_bytes(source: AnnotatedSource, image: AnnotatedImage) -> bytes:
    """A picture of a set as a file: its own where that has the mask's size, else a PNG."""
    from PIL import Image

    from analytics.io.images import read_picture

    pair = getattr(source, "pair", None)
    file = getattr(source, "file", None) if pair is None else pair.picture
    if file is not None:
        data: bytes = file.read_bytes()
        if read_picture(data, image.name).pixels.shape == image.pixels.shape:
            return data
    buffer = io.BytesIO()
    Image.fromarray(image.pixels).save(buffer, "PNG")
    return buffer.getvalue()
