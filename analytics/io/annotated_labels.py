"""The numbers that a mask file holds, untouched by colour conversion, and records made of them."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from analytics.io.annotated import AnnotatedImage
from analytics.io.annotated_files import Pair, count, read_file, read_image
from analytics.io.images import DEFAULT_LIMITS, Limits
from analytics.io.names import plain_path
from analytics.io.signatures import picture_kind
from analytics.io.sources import ImageFile
from analytics.types import Picture

_LOSSLESS = ("PNG", "TIFF", "BMP", "GIF")
_WHITE_IS_ZERO = 262
_BITS = 258
_NUMBERS = ("P", "L", "1", "I", "F", "PA", "LA")


def read_pair(pair: Pair, limits: Limits = DEFAULT_LIMITS) -> tuple[Picture, np.ndarray]:
    """Decode a picture and its mask.

    Returns:
        The picture, and the mask as `read_labels` gives it.

    Raises:
        ValueError: one of them cannot be read, or their sizes differ.
    """
    picture = read_image(pair.picture, limits)
    return picture, read_labels(pair.mask, picture, limits)


def read_labels(file: ImageFile, picture: Picture, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Decode a mask file to the numbers in it.

    Nothing is decoded before the size is known to be that of the picture, which bounds it.
    Of several frames the first is taken.

    Args:
        file: PNG, TIFF, BMP or GIF; formats that may change a pixel's value are refused.
        picture: the decoded picture that the mask belongs to.
        limits: what is accepted.

    Returns:
        int32 (height, width): the positions in the palette, or the grey values as stored; or
        uint8 (height, width, 3) for colours. Transparent pixels are 0 or black.

    Raises:
        ValueError: it cannot be read, is lossy, has another size, or numbers that are not
            whole or below 0; the message names the file.
    """
    data = read_file(file, limits)
    try:
        return _decode(data, picture)
    except ValueError as error:
        raise ValueError(f"{plain_path(file.name)}: {error}") from error


def _decode(data: bytes, picture: Picture) -> np.ndarray:
    kind = picture_kind(data)
    if kind not in _LOSSLESS:
        raise ValueError(
            f"expected a mask as PNG or TIFF, got {kind}, which may change the values of pixels; "
            "export the mask as PNG"
        )
    try:
        image = Image.open(io.BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError as error:
        # Pillow's own bound lies above what any picture that was read may have.
        raise ValueError(
            f"expected a mask of {picture.width:,} x {picture.height:,} pixels (width x height), "
            "got one far larger; export picture and mask at one size"
        ) from error
    except Exception as error:
        raise ValueError(_damaged(kind)) from error
    _check_size(image.size, picture)
    try:
        image.load()
    except Exception as error:
        # Decoders raise anything from SyntaxError to struct.error on hostile bytes.
        raise ValueError(_damaged(kind)) from error
    return _values(image, data)


def _damaged(kind: str) -> str:
    return (
        f"expected a whole {kind} mask, got one that is damaged or cut short; copy or download it "
        "again"
    )


def _check_size(size: tuple[int, int], picture: Picture) -> None:
    if size == (picture.width, picture.height):
        return
    advice = "export picture and mask at one size"
    if _was_turned(picture) and size == (picture.height, picture.width):
        advice = "the picture is turned by its EXIF orientation, the mask is not: save it upright"
    raise ValueError(
        f"expected a mask of {picture.width:,} x {picture.height:,} pixels (width x height) as "
        f"its picture {picture.name}, got {size[0]:,} x {size[1]:,}; {advice}"
    )


def _was_turned(picture: Picture) -> bool:
    return any(note.startswith("turned upright") for note in picture.notes)


def _values(image: Image.Image, data: bytes) -> np.ndarray:
    tags = getattr(image, "tag_v2", {})
    bits = data[24] if image.format == "PNG" else max(tags.get(_BITS, (8,)))
    if image.mode in _NUMBERS or image.mode.startswith("I;16"):
        return _whole(_as_stored(image, bits, inverted=tags.get(_WHITE_IS_ZERO) == 0))
    if image.mode not in ("RGB", "RGBA") or bits > 8:
        raise ValueError(
            "expected a mask of palette, grey or 8-bit RGB values, got one of "
            f"{bits}-bit {image.mode}; export it as 16-bit grey or with a palette"
        )
    colours = np.asarray(image)
    if image.mode == "RGBA":
        colours = np.where(colours[..., 3:] > 0, colours[..., :3], 0)
    return np.ascontiguousarray(colours[..., :3], np.uint8)


def _as_stored(image: Image.Image, bits: int, inverted: bool) -> np.ndarray:
    """The numbers of the file: Pillow turns some round, or scales them, to show them."""
    values = np.asarray(image)
    if values.ndim == 3:  # a second channel of transparency
        values = np.where(values[..., 1] > 0, values[..., 0], 0)
    if inverted and image.mode in ("L", "1"):
        values = (1 if image.mode == "1" else 255) - values.astype(np.int32)
    if image.mode == "L" and bits in (2, 4):
        values = values // (255 // (2**bits - 1))
    return values


def _whole(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.rint(values))).all():
        raise ValueError(
            "expected whole numbers in the mask, got fractions or no numbers; "
            "export it as 16-bit grey"
        )
    low, high = values.min(), values.max()
    if low < 0 or high > np.iinfo(np.int32).max:
        raise ValueError(
            f"expected mask values of 0 and above that fit 31 bits, got {low} to {high}; "
            "number the instances from 1"
        )
    return values.astype(np.int32)


def ranked(values: np.ndarray) -> np.ndarray:
    """Number the distinct values above 0 from 1, in ascending order; 0 stays 0.

    Known answer: 0, 40, 7, 40 become 0, 2, 1, 2.
    """
    present = np.unique(values)
    present = present[present > 0]
    place = np.searchsorted(present, values) + 1
    return np.where(values > 0, place, 0).astype(np.int32)


def packed(colours: np.ndarray) -> np.ndarray:
    """One whole number for each colour, 65536 R + 256 G + B; black is 0.

    Args:
        colours: uint8 (height, width, 3).

    Returns:
        int32 (height, width).
    """
    red, green, blue = (colours[..., i].astype(np.int32) for i in range(3))
    return (red << 16) | (green << 8) | blue


def main_value(values: np.ndarray, instances: np.ndarray) -> dict[int, int]:
    """The most frequent value under each instance, the smallest of equals; 0 takes no part.

    Args:
        values: whole numbers from 0 on (height, width).
        instances: int32 (height, width).

    Returns:
        Instance to value, without the instances that hold only zeros.
    """
    used = (instances > 0) & (values > 0)
    pairs, sizes = np.unique(
        np.stack([instances[used], values[used]], axis=1), axis=0, return_counts=True
    )
    found: dict[int, int] = {}
    most: dict[int, int] = {}
    for (instance, value), size in zip(pairs.tolist(), sizes.tolist(), strict=True):
        if size > most.get(instance, 0):
            found[instance], most[instance] = value, size
    return found


def annotated(
    picture: Picture,
    instances: np.ndarray,
    classes: Mapping[int, str],
    notes: tuple[str, ...] = (),
    parts: np.ndarray | None = None,
) -> AnnotatedImage:
    """The record of a picture that was read, with a note where it can teach little."""
    if _was_turned(picture):
        notes += ("its mask is taken as drawn on the upright picture",)
    return AnnotatedImage(
        picture.name,
        picture.pixels,
        instances,
        dict(classes),
        parts=parts,
        notes=picture.notes + notes + content_notes(instances),
    )


def content_notes(instances: np.ndarray) -> tuple[str, ...]:
    """Say where a mask holds nothing, one instance only, or instances of one pixel."""
    present, sizes = np.unique(instances[instances > 0], return_counts=True)
    if not len(present):
        return ("no instance: every pixel is unlabelled",)
    notes = []
    if len(present) == 1:
        notes.append("one instance only: it has no pair of patches of different objects")
    single = int((sizes == 1).sum())
    if single:
        notes.append(f"{count(single, 'instance')} of one pixel")
    return tuple(notes)
