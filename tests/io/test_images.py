"""Pictures in: every readable format comes out upright, 8-bit and with its notes."""

from __future__ import annotations

import hashlib
import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from analytics.io.images import read_picture
from tests.io.making import encode, gradient, png, refusal

# --- formats ---------------------------------------------------------------------------

LOSSLESS = [
    ("PNG", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"big_tiff": True}),
    ("BMP", {}),
    ("WEBP", {"lossless": True}),
]
LOSSY = [
    ("JPEG", {"quality": 95}),
    ("JPEG", {"quality": 95, "progressive": True}),
    ("WEBP", {"quality": 95}),
    ("AVIF", {"quality": 95}),
    ("GIF", {}),
]


@pytest.mark.parametrize(("form", "options"), LOSSLESS)
def test_lossless_formats_come_back_exactly(form: str, options: dict[str, object]) -> None:
    picture = read_picture(encode(gradient(), form, **options), "a.bin")
    assert picture.notes == ()
    assert np.array_equal(picture.pixels, np.asarray(gradient()))


@pytest.mark.parametrize(("form", "options"), LOSSY)
def test_lossy_formats_come_back_nearly(form: str, options: dict[str, object]) -> None:
    picture = read_picture(encode(gradient(), form, **options), "a.bin")
    difference = picture.pixels.astype(int) - np.asarray(gradient())
    assert (picture.height, picture.width) == (40, 60)
    assert np.abs(difference).mean() < 4


def heic(image: Image.Image, **options: object) -> bytes:
    import pillow_heif

    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=95, **options)
    return stream.getvalue()


def test_heic_is_read_and_pillows_registry_is_left_alone() -> None:
    data = heic(gradient(64, 96))
    before = set(Image.OPEN)
    picture = read_picture(data, "a.heic")
    assert np.abs(picture.pixels.astype(int) - np.asarray(gradient(64, 96))).mean() < 4
    assert set(Image.OPEN) == before


def test_a_format_whose_reader_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(gradient(64, 96))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    message = refusal(data, "a.heic")
    assert "HEIF" in message
    assert "export the picture as PNG or JPEG" in message


def test_picture_has_name_hash_and_read_only_pixels() -> None:
    data = encode(gradient(), "PNG")
    picture = read_picture(data, "holiday/cat\n.png")
    assert picture.name == "holiday/cat.png"
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape == (40, 60, 3)
    assert not picture.pixels.flags.writeable


def test_content_decides_and_not_the_name() -> None:
    assert read_picture(encode(gradient(), "BMP"), "photo.jpg").width == 60


def test_phone_pictures_with_several_images_in_one_jpeg_give_the_first() -> None:
    data = encode(gradient(), "MPO", save_all=True, append_images=[gradient().rotate(180)])
    difference = read_picture(data, "a.jpg").pixels.astype(int) - np.asarray(gradient())
    assert np.abs(difference).mean() < 4


# --- upright ---------------------------------------------------------------------------

UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_exif_orientation_is_applied(
    form: str, options: dict[str, object], orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_picture(encode(gradient(), form, exif=exif, **options), "a")
    assert np.array_equal(picture.pixels, UPRIGHT[orientation](np.asarray(gradient())))
    note = f"turned upright (EXIF orientation {orientation})"
    assert picture.notes == (() if orientation == 1 else (note,))


def test_exif_orientation_of_jpeg_avif_and_heic() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image, block = gradient(64, 96), exif.tobytes()
    files = [encode(image, form, exif=block, quality=95) for form in ("JPEG", "AVIF")]
    for data in [*files, heic(image, exif=block)]:
        pixels = read_picture(data, "a").pixels.astype(int)
        assert pixels.shape == (96, 64, 3)
        assert np.abs(pixels - np.rot90(np.asarray(image), -1)).mean() < 4


def test_broken_exif_is_noted_and_the_picture_shown_as_stored() -> None:
    exif = b"Exif\0\0II*\0\xff\xff\xff\x7f"
    picture = read_picture(encode(gradient(), "JPEG", exif=exif), "a.jpg")
    assert (picture.height, picture.width) == (40, 60)
    assert all("EXIF" in note for note in picture.notes)


def test_orientation_and_colour_profile_survive_together() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    image = gradient().convert("CMYK")
    picture = read_picture(encode(image, "JPEG", exif=exif, icc_profile=b"no profile"), "a.jpg")
    assert (picture.height, picture.width) == (60, 40)
    assert "turned upright (EXIF orientation 8)" in picture.notes
    assert any("profile is broken" in note for note in picture.notes)


# --- several frames --------------------------------------------------------------------


def colours(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (30, 20), (255 - 20 * i, 20 * i, 0)) for i in range(count)]


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_only_the_first_frame_is_used_and_said_so(form: str) -> None:
    first, *rest = colours(5)
    picture = read_picture(encode(first, form, save_all=True, append_images=rest), "a")
    noun = "page" if form == "TIFF" else "frame"
    assert f"only the first of 5 {noun}s is used" in picture.notes
    assert np.abs(picture.pixels.astype(int) - (255, 0, 0)).max() <= 4


def test_animated_gif() -> None:
    first, *rest = colours(12)
    data = encode(first, "GIF", save_all=True, append_images=rest)
    assert read_picture(data, "a.gif").notes == ("only the first of 12 frames is used",)


# --- bit depth -------------------------------------------------------------------------


def test_16_bit_colour_png_is_reduced_and_said_so() -> None:
    row = b"\0" + struct.pack(">6H", 0xFF00, 0x8000, 0, 0x1234, 0xFFFF, 0x00FF)
    picture = read_picture(png(2, 1, 16, 2, row), "deep.png")
    assert picture.pixels.tolist() == [[[255, 128, 0], [0x12, 255, 0]]]
    assert "16-bit colours reduced to 8 bits" in picture.notes


def test_10_bit_heic_is_reduced_and_said_so() -> None:
    import pillow_heif

    values = np.full((64, 64, 3), 0x8000, np.uint16)
    stream = io.BytesIO()
    deep = pillow_heif.from_bytes("RGB;16", (64, 64), values.tobytes())
    deep.save(stream, quality=95)
    picture = read_picture(stream.getvalue(), "deep.heic")
    assert "10-bit colours reduced to 8 bits" in picture.notes
    assert np.abs(picture.pixels.astype(int) - 128).max() <= 3
