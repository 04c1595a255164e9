"""Any mode of picture to 8-bit sRGB, with known colours."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from analytics.io.images import read_picture
from analytics.types import Picture


def read(image: Image.Image, form: str = "PNG", **options: object) -> Picture:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return read_picture(stream.getvalue(), "a")


def flat(mode: str, value: object) -> Image.Image:
    return Image.new(mode, (20, 20), value)


def near(picture: Picture, colour: tuple[int, int, int], tolerance: int = 0) -> bool:
    return bool(np.abs(picture.pixels.astype(int) - colour).max() <= tolerance)


# --- alpha and palettes ----------------------------------------------------------------

ON_WHITE = ("transparent areas shown on white",)


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (flat("RGBA", (255, 0, 0, 0)), (255, 255, 255)),
        (flat("RGBA", (255, 0, 0, 128)), (255, 127, 127)),
        (flat("LA", (0, 51)), (204, 204, 204)),
    ],
)
def test_alpha_is_shown_on_white(image: Image.Image, colour: tuple[int, int, int]) -> None:
    picture = read(image)
    assert near(picture, colour, 1)
    assert picture.notes == ON_WHITE


def test_an_opaque_alpha_channel_changes_nothing() -> None:
    picture = read(flat("RGBA", (1, 2, 3, 255)))
    assert near(picture, (1, 2, 3))
    assert picture.notes == ()


def test_palette() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert near(read(image), (10, 200, 30))
    assert read(image).notes == ()


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour(form: str) -> None:
    image = Image.new("P", (20, 20), 1)
    image.paste(0, (0, 0, 10, 20))
    image.putpalette([200, 0, 0, 10, 200, 30])
    picture = read(image, form, transparency=0)
    assert picture.pixels[5, 5].tolist() == [255, 255, 255]
    assert picture.pixels[5, 15].tolist() == [10, 200, 30]
    assert picture.notes == ON_WHITE


def test_palette_with_half_transparent_colours() -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([255, 0, 0, 0, 0, 0])
    assert near(read(image, transparency=bytes([128, 255])), (255, 127, 127), 1)


def test_a_transparent_colour_in_an_rgb_picture() -> None:
    picture = read(flat("RGB", (0, 255, 0)), transparency=(0, 255, 0))
    assert near(picture, (255, 255, 255))
    assert picture.notes == ON_WHITE


def test_premultiplied_alpha_is_undone_first() -> None:
    stream = io.BytesIO()
    flat("RGBA", (100, 50, 0, 128)).save(stream, "TIFF")
    entry = struct.pack("<HHI", 338, 3, 1)  # ExtraSamples: 2 is plain alpha, 1 premultiplied
    plain = entry + struct.pack("<H", 2)
    assert plain in stream.getvalue()
    data = stream.getvalue().replace(plain, entry + struct.pack("<H", 1))
    assert near(read_picture(data, "a.tif"), (227, 177, 127), 2)
    assert near(read_picture(stream.getvalue(), "a.tif"), (177, 152, 127), 2)


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (1, 255)])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_one_bit(form: str, value: int, shown: int) -> None:
    picture = read(flat("1", value), form)
    assert near(picture, (shown,) * 3)
    assert picture.notes == ()


def test_grey() -> None:
    assert near(read(flat("L", 77)), (77, 77, 77))


# --- more than 8 bits ------------------------------------------------------------------


def grey(values: np.ndarray, form: str = "TIFF") -> Picture:
    return read(Image.fromarray(values), form)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("largest", "full"), [(256, 1023), (1023, 1023), (1024, 4095), (9000, 16383), (65535, 65535)]
)
def test_16_bit_is_scaled_by_the_smallest_range_that_holds_it(
    form: str, largest: int, full: int
) -> None:
    values = np.linspace(0, largest, 400).round().astype(np.uint16).reshape(20, 20)
    picture = grey(values, form)
    expected = np.rint(values * (255.0 / full)).astype(np.uint8)
    assert np.array_equal(picture.pixels, np.repeat(expected[..., None], 3, axis=2))
    (note,) = picture.notes
    assert f"0 to {full:,} became 0 to 255" in note
    assert f"largest value {largest:,}" in note


def test_16_bit_values_that_fit_8_bits_are_kept() -> None:
    picture = grey(np.full((20, 20), 183, np.uint16))
    assert near(picture, (183, 183, 183))
    assert picture.notes == ("16-bit values up to 183 fit into 8 bits and were kept",)


def test_16_bit_tiff_whose_zero_is_white() -> None:
    values = np.full((20, 20), 65535, np.uint16)
    values[0, 0] = 0
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF", tiffinfo={262: 0})
    data = stream.getvalue()
    # Pillow may write tag 262 (short, one value) as it likes: set it in the file.
    entry = struct.pack("<HHI", 262, 3, 1)
    at = data.index(entry) + len(entry)
    data = data[:at] + struct.pack("<HH", 0, 0) + data[at + 4 :]
    pixels = read_picture(data, "white.tif").pixels
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[5, 5].tolist() == [0, 0, 0]


def test_32_bit_whole_numbers_are_scaled_from_smallest_to_largest() -> None:
    values = np.linspace(-1000, 100_000, 400).astype(np.int32).reshape(20, 20)
    picture = grey(values)
    assert picture.pixels[0, 0, 0] == 0
    assert picture.pixels[-1, -1, 0] == 255
    (note,) = picture.notes
    assert note == "32-bit values scaled to 8 bits: -1000 became 0 and 100000 became 255"


def test_float_is_scaled_from_smallest_to_largest() -> None:
    values = np.linspace(-2, 3, 400).astype(np.float32).reshape(20, 20)
    picture = grey(values)
    expected = np.rint(255 * (values.astype(np.float64) + 2) / 5)
    assert np.abs(picture.pixels[..., 0] - expected).max() <= 1
    (note,) = picture.notes
    assert note == "floating-point values scaled to 8 bits: -2 became 0 and 3 became 255"


def test_float_with_nan_and_infinity_shows_them_black_and_says_so() -> None:
    values = np.ones((20, 20), np.float32)
    values[0, :3] = (np.nan, np.inf, -np.inf)
    values[1] = 3
    picture = grey(values)
    assert picture.pixels[0, :3].max() == 0
    assert picture.pixels[1].min() == 255
    assert "3 values that are NaN or infinite are shown black" in picture.notes


def test_float_range_wider_than_float32_holds() -> None:
    values = np.zeros((20, 20), np.float32)
    values[0, 0], values[0, 1] = 3e38, -3e38
    pixels = grey(values).pixels[..., 0]
    assert (pixels[0, 0], pixels[0, 1], pixels[5, 5]) == (255, 0, 128)


def test_constant_float_is_black_and_not_a_division_by_zero() -> None:
    assert near(grey(np.full((20, 20), 7, np.float32)), (0, 0, 0))


def test_float_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="values are all NaN or infinite"):
        grey(np.full((20, 20), np.nan, np.float32))


# --- other colour spaces ---------------------------------------------------------------


def test_lab_known_colours() -> None:
    def lab(*values: int) -> Image.Image:
        return Image.merge("LAB", [flat("L", value) for value in values])

    # L 0..255 stands for 0..100; a and b are offset by 128. sRGB red is (53.2, 80.1, 67.2)
    # under D65 and (54.3, 80.8, 69.9) under the D50 of colour profiles.
    assert near(read(lab(255, 128, 128), "TIFF"), (255, 255, 255), 2)
    assert near(read(lab(138, 209, 198), "TIFF"), (255, 0, 0), 6)
    assert read(lab(0, 128, 128), "TIFF").notes == ("Lab colours converted to sRGB",)


def test_ycbcr_tiff() -> None:
    image = flat("RGB", (200, 30, 90)).convert("YCbCr")
    assert near(read(image, "TIFF"), (200, 30, 90), 3)


CMYK_NOTE = "CMYK converted to RGB without a colour profile: colours are approximate"


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("ink", "colour"),
    [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk_without_a_profile(
    form: str, ink: tuple[int, ...], colour: tuple[int, int, int]
) -> None:
    picture = read(flat("CMYK", ink), form)
    assert near(picture, colour, 3)
    assert picture.notes == (CMYK_NOTE,)


def test_adobe_cmyk_jpeg_is_stored_inverted_and_so_taken_without_the_marker() -> None:
    stream = io.BytesIO()
    flat("CMYK", (0, 255, 255, 0)).save(stream, "JPEG", quality=100)
    adobe = stream.getvalue()
    at = adobe.index(b"\xff\xee")
    assert adobe[at + 4 : at + 9] == b"Adobe"
    length = int.from_bytes(adobe[at + 2 : at + 4], "big")
    plain = adobe[:at] + adobe[at + 2 + length :]
    assert near(read_picture(adobe, "a.jpg"), (255, 0, 0), 3)
    # Pillow takes every CMYK JPEG as inverted: the marker is not needed.
    assert near(read_picture(plain, "a.jpg"), (255, 0, 0), 3)


# --- embedded profiles -----------------------------------------------------------------


def srgb_bytes() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """The sRGB profile with red and blue exchanged, under another title."""
    swapped = srgb_bytes().replace(b"rXYZ", b"temp").replace(b"bXYZ", b"rXYZ")
    swapped = swapped.replace(b"temp", b"bXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))


def s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def cmyk_profile(lab_by_ink: dict[int, tuple[int, int, int]]) -> bytes:
    """A CMYK profile with two grid points an ink; colours not named are mid grey.

    The keys are four bits, C M Y K from the highest; the values 8-bit Lab.
    """
    grid = b"".join(bytes(lab_by_ink.get(ink, (128, 128, 128))) for ink in range(16))
    unit = b"".join(s15(float(i == j)) for i in range(3) for j in range(3))
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unit + ramp * 4 + grid + ramp * 3
    title = b"desc" + bytes(4) + struct.pack(">I", 9) + b"Test ink\0" + bytes(78)
    white = b"XYZ " + bytes(4) + s15(0.9642) + s15(1.0) + s15(0.8249)
    tags = [(b"desc", title), (b"wtpt", white), (b"A2B0", table), (b"A2B1", table)]
    at, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags:
        padded = content + bytes(-len(content) % 4)
        index += name + struct.pack(">II", at + len(body), len(content))
        body += padded
    size = at + len(body)
    head = struct.pack(">I", size) + b"lcms" + bytes([2, 16, 0, 0]) + b"prtrCMYKLab "
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += s15(0.9642) + s15(1.0) + s15(0.8249)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + index + body


def test_embedded_rgb_profile_is_converted_to_srgb() -> None:
    picture = read(flat("RGB", (255, 0, 0)), icc_profile=swapped_profile())
    assert near(picture, (0, 0, 255), 2)
    (note,) = picture.notes
    assert note.startswith("colours converted from the embedded profile (Swap")


def test_embedded_profile_is_applied_below_transparency() -> None:
    picture = read(flat("RGBA", (255, 0, 0, 128)), icc_profile=swapped_profile())
    assert near(picture, (127, 127, 255), 2)


def test_embedded_srgb_profile_changes_no_value_and_needs_no_note() -> None:
    picture = read(flat("RGB", (12, 34, 56)), icc_profile=srgb_bytes())
    assert near(picture, (12, 34, 56))
    assert picture.notes == ()


@pytest.mark.parametrize("profile", [b"nonsense", srgb_bytes()[:200], cmyk_profile({})])
def test_broken_or_foreign_profile_is_noted_and_ignored(profile: bytes) -> None:
    picture = read(flat("RGB", (12, 34, 56)), "TIFF", icc_profile=profile)
    assert near(picture, (12, 34, 56))
    assert picture.notes == (
        "the embedded colour profile is broken or of another kind and was ignored",
    )


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_embedded_profile(form: str) -> None:
    # This printer's cyan (C alone, bits 1000) comes out as sRGB red; its paper is white.
    profile = cmyk_profile({0b0000: (255, 128, 128), 0b1000: (138, 209, 198)})
    cyan = read(flat("CMYK", (255, 0, 0, 0)), form, icc_profile=profile)
    assert near(cyan, (255, 0, 0), 8)
    assert cyan.notes == ("colours converted from the embedded profile (Test ink) to sRGB",)
    paper = read(flat("CMYK", (0, 0, 0, 0)), form, icc_profile=profile)
    assert near(paper, (255, 255, 255), 2)


def test_cmyk_with_a_broken_profile_falls_back_and_says_both() -> None:
    picture = read(flat("CMYK", (0, 255, 255, 0)), "TIFF", icc_profile=b"nonsense")
    assert near(picture, (255, 0, 0))
    assert len(picture.notes) == 2
    assert CMYK_NOTE in picture.notes
