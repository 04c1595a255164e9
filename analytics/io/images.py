"""Bytes to an upright 8-bit sRGB picture, or a plain reason why not.

Everything that can be refused from the header is refused before a pixel is decoded.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile

from analytics.io.colour import to_rgb
from analytics.io.frames import frames_note
from analytics.io.names import plain_path
from analytics.io.signatures import picture_kind
from analytics.types import Picture

MEBIBYTE = 2**20

SMALL_SIDE = 14
"""Pictures with a side shorter than this, one patch of the bundled model, get a note."""


@dataclass(frozen=True)
class Limits:
    """What is accepted. Sizes of pictures are checked in the header, before decoding.

    `max_bytes` caps one file; `max_pixels`, `max_side` and `max_aspect` (long side over
    short side) cap one picture. The rest is for zip archives: `max_archive_bytes` caps the
    archive, `max_members` the number of its files, `max_unpacked_bytes` what they hold
    together, `max_ratio` how much one file may grow, and `max_archive_pixels` the pixels
    decoded into memory from one archive.
    """

    max_bytes: int = 64 * MEBIBYTE
    max_pixels: int = 100_000_000
    max_side: int = 65_535
    max_aspect: float = 100.0
    max_archive_bytes: int = 512 * MEBIBYTE
    max_members: int = 1000
    max_unpacked_bytes: int = 2048 * MEBIBYTE
    max_ratio: float = 200.0
    max_archive_pixels: int = 400_000_000


DEFAULT_LIMITS = Limits()

_DECODERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(data: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode a picture file to what a person sees: upright, opaque, 8-bit sRGB.

    Args:
        data: the bytes of a JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF file; the
            content decides, not the name.
        name: its name, for messages; folders inside it are kept, unprintable characters
            are not.
        limits: what is accepted.

    Returns:
        The picture, its `sha256` that of `data`, its `pixels` a read-only uint8 array
        (height, width, 3), its `notes` what decoding changed.

    Raises:
        ValueError: one line that names the file, what was expected, what came and what
            to do.
    """
    label = plain_path(name)
    try:
        pixels, notes = _decode(data, limits)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error
    return Picture(label, hashlib.sha256(data).hexdigest(), pixels, tuple(notes))


def _decode(data: bytes, limits: Limits) -> tuple[np.ndarray, list[str]]:
    check_bytes(len(data), limits)
    kind = picture_kind(data)
    _silence_pillow()
    notes: list[str] = []
    with _plain_errors(kind):
        image = _open(data, kind)
    _check_size(image.width, image.height, limits)
    with _plain_errors(kind):
        deep = _bits_per_colour(data, kind, image)
        note = frames_note(data, kind, _open(data, kind))
        turn = _orientation(image) if kind == "TIFF" else 1
        image.load()
    notes += [note] if note else []
    if deep > 8 and image.mode in ("RGB", "RGBA", "RGBa", "RGBX", "CMYK"):
        notes.append(f"{deep}-bit colours reduced to 8 bits")
    upright = _upright(image, turn, notes)
    pixels = np.asarray(to_rgb(upright, notes))
    return pixels, notes + _small_note(upright.width, upright.height)


def check_bytes(size: int, limits: Limits) -> None:
    """Refuse a file that is too large to be read.

    Raises:
        ValueError: `size` is above `limits.max_bytes`.
    """
    if size > limits.max_bytes:
        raise ValueError(
            f"expected a file of at most {limits.max_bytes / MEBIBYTE:,.0f} MiB, got "
            f"{size / MEBIBYTE:,.1f} MiB; save it smaller or as JPEG"
        )


def _check_size(width: int, height: int, limits: Limits) -> None:
    got = f"got {width:,} x {height:,} pixels (width x height)"
    if width < 1 or height < 1:
        raise ValueError(f"expected a picture with pixels in it, {got}; export it again")
    if width * height > limits.max_pixels:
        raise ValueError(
            f"expected at most {limits.max_pixels / 1e6:,.0f} megapixels, {got}, which is "
            f"{width * height / 1e6:,.0f} megapixels; scale it down or cut out a part"
        )
    if max(width, height) > limits.max_side:
        raise ValueError(
            f"expected sides of at most {limits.max_side:,} pixels, {got}; "
            "scale it down or cut out a part"
        )
    if max(width, height) > limits.max_aspect * min(width, height):
        raise ValueError(
            f"expected a long side of at most {limits.max_aspect:g} times the short side, "
            f"{got}; cut out a part that is nearer to a square"
        )


def _open(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Read the header with Pillow's class for this one format.

    `Image.open` would try every installed format, and warn or fail at a pixel count of its
    own that can only be changed for the whole process.
    """
    module, name = _DECODERS[kind]
    try:
        opener = getattr(importlib.import_module(module), name)
    except ImportError:
        raise ValueError(
            f"expected a format that is installed here, got {kind}, whose reader "
            f"({module}) is missing; export the picture as PNG or JPEG"
        ) from None
    return opener(io.BytesIO(data))


@contextlib.contextmanager
def _plain_errors(kind: str) -> Iterator[None]:
    """Turn whatever a decoder throws at a bad file into one plain sentence."""
    try:
        yield
    except ValueError as error:
        if str(error).startswith("expected "):
            raise
        raise ValueError(_damaged(kind, error)) from error
    except MemoryError as error:
        raise ValueError(
            "expected a picture that fits into memory, got one that does not; scale it down"
        ) from error
    except Exception as error:
        # Decoders raise anything from SyntaxError to struct.error on hostile bytes.
        raise ValueError(_damaged(kind, error)) from error


def _damaged(kind: str, error: Exception) -> str:
    cut = isinstance(error, EOFError) or "truncat" in str(error).lower()
    what = "one that is cut short" if cut else "one that is damaged or cut short"
    return f"expected a whole {kind} file, got {what}; copy or download it again"


def _silence_pillow() -> None:
    """Keep Pillow's warnings about odd files out of the log; messages and notes say what matters.

    A filter is added rather than `catch_warnings` used, because the latter swaps the filters
    of the whole process and is not safe in threads. Doing this again changes nothing.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.(\w+ImagePlugin|Image)$")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def _bits_per_colour(data: bytes, kind: str, image: Image.Image) -> int:
    """Bits per channel in the file, where Pillow would hide that there are more than 8."""
    if kind == "PNG":
        return data[24]
    if kind == "TIFF":
        return max(getattr(image, "tag_v2", {}).get(258, (8,)))
    return int(image.info.get("bit_depth", 8))


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(_ORIENTATION, 1))


def _upright(image: Image.Image, turned: int, notes: list[str]) -> Image.Image:
    """Turn a loaded picture as its EXIF orientation says.

    `turned` is what the header asked for where loading already did it (TIFF).
    """
    try:
        turn = _orientation(image)
    except Exception:
        # Broken EXIF blocks are common and no reason to refuse the picture.
        notes.append("its EXIF data cannot be read: shown as stored")
        return image
    asked = turn if turn in _TURNS else turned
    if asked in _TURNS:
        notes.append(f"turned upright (EXIF orientation {asked})")
    if turn not in _TURNS:
        return image
    info = image.info
    upright = image.transpose(_TURNS[turn])
    upright.info.update(info)
    return upright


def _small_note(width: int, height: int) -> list[str]:
    if min(width, height) >= SMALL_SIDE:
        return []
    if width == height == 1:
        return ["1 x 1 pixel, enlarged for the model: its maps show the response to a flat colour"]
    return [
        f"only {width:,} x {height:,} pixels, enlarged for the model: "
        "its maps show the response to a blur"
    ]
