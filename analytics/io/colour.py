"""Any Pillow mode to 8-bit sRGB, saying in words what was changed.

The order is: values to 8 bits, transparency set aside, colours to sRGB (through the
embedded profile where there is one), transparency shown on white.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

BACKGROUND = (255, 255, 255)
"""What shows through transparent areas: white, as on a page."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bit depths of cameras and scanners that store their values in 16-bit files."""

_Notes = list[str]


def to_rgb(image: Image.Image, notes: _Notes) -> Image.Image:
    """Convert a decoded picture of any mode to 8-bit RGB in sRGB.

    Args:
        image: a loaded Pillow image.
        notes: what was changed is appended here, one short phrase each.

    Raises:
        ValueError: the picture holds no finite value.
    """
    profile = image.info.get("icc_profile")
    colour, alpha = _split_alpha(eight_bits(image, notes))
    rgb = _to_srgb(colour, profile, notes)
    return rgb if alpha is None else _on_background(rgb, alpha, notes)


def eight_bits(image: Image.Image, notes: _Notes) -> Image.Image:
    """Bring 16-bit, 32-bit and floating-point grey pictures to 8 bits; others stay.

    16-bit whole numbers are scaled from the smallest of the ranges of 8, 10, 12, 14 or 16
    bits that holds the largest value, because cameras store 12-bit values in 16-bit files
    and these would come out black on the full range. Other numbers are scaled from their
    smallest finite value (0) to their largest (255).
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 65535:
        if _is_white_zero(image):
            values = 65535 - values
        return Image.fromarray(_scale_whole(values, notes))
    return Image.fromarray(_scale_range(values, notes))


def _is_white_zero(image: Image.Image) -> bool:
    """Whether 0 means white (TIFF tag 262 is 0), which Pillow leaves alone above 8 bits."""
    tags = getattr(image, "tag_v2", {})
    return image.mode.startswith("I;16") and tags.get(262) == 0


def _scale_whole(values: np.ndarray, notes: _Notes) -> np.ndarray:
    largest = int(values.max())
    depth = next(bits for bits in DEPTHS if largest < 2**bits)
    full = 2**depth - 1
    if depth == 8:
        notes.append(f"16-bit values up to {largest} fit into 8 bits and were kept")
        return values.astype(np.uint8)
    notes.append(
        f"16-bit values scaled to 8 bits: 0 to {full:,} became 0 to 255 "
        f"(the {depth}-bit range, the smallest that holds the largest value {largest:,})"
    )
    # A table of every possible value is exact and needs no floating-point copy of the picture.
    table = np.rint(np.arange(full + 1) * (255.0 / full)).astype(np.uint8)
    return table[values]


def _scale_range(values: np.ndarray, notes: _Notes) -> np.ndarray:
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError(
            "expected a picture with numbers in it, got one whose values are all NaN or "
            "infinite; check the program that wrote it"
        )
    low, high = float(values[finite].min()), float(values[finite].max())
    kind = "floating-point" if values.dtype.kind == "f" else "32-bit"
    notes.append(f"{kind} values scaled to 8 bits: {low:g} became 0 and {high:g} became 255")
    missing = values.size - int(np.count_nonzero(finite))
    if missing:
        notes.append(f"{missing:,} values that are NaN or infinite are shown black")
    scaled = np.zeros(values.shape, np.uint8)
    # Row by row in float64: float32 would overflow on wide ranges, and a whole float64 copy
    # of a big picture would take eight bytes a pixel.
    for out, row, good in zip(scaled, values, finite, strict=True):
        share = (row[good].astype(np.float64) - low) / ((high - low) or 1.0)
        out[good] = np.rint(255.0 * share).astype(np.uint8)
    return scaled


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours in mode L, RGB, CMYK or LAB, and the alpha channel where anything is transparent."""
    if image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data:
        return _plain_mode(image), None
    if image.mode == "LA":
        colour, alpha = image.getchannel("L"), image.getchannel("A")
    else:
        shown = image.convert("RGBA")
        colour, alpha = shown.convert("RGB"), shown.getchannel("A")
    opaque = alpha.getextrema() == (255, 255)
    return colour, None if opaque else alpha


def _plain_mode(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_srgb(image: Image.Image, profile: bytes | None, notes: _Notes) -> Image.Image:
    if image.mode == "LAB":
        notes.append("Lab colours converted to sRGB")
        return _through_profile(image, ImageCms.createProfile("LAB"))
    if profile:
        converted = _from_embedded(image, profile, notes)
        if converted is not None:
            return converted
    if image.mode == "CMYK":
        notes.append("CMYK converted to RGB without a colour profile: colours are approximate")
    return image.convert("RGB")


def _from_embedded(image: Image.Image, profile: bytes, notes: _Notes) -> Image.Image | None:
    """The picture in sRGB by its embedded profile; None where that changes nothing or fails."""
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        title = " ".join(ImageCms.getProfileDescription(embedded).split())[:60] or "unnamed"
        if image.mode == "RGB" and "srgb" in title.lower():
            return None
        converted = _through_profile(image, embedded)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        notes.append("the embedded colour profile is broken or of another kind and was ignored")
        return None
    notes.append(f"colours converted from the embedded profile ({title}) to sRGB")
    return converted


def _through_profile(
    image: Image.Image, profile: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile
) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise ValueError("the colour conversion returned no picture")
    return converted


def _on_background(rgb: Image.Image, alpha: Image.Image, notes: _Notes) -> Image.Image:
    notes.append("transparent areas shown on white")
    page = Image.new("RGB", rgb.size, BACKGROUND)
    page.paste(rgb, mask=alpha)
    return page
