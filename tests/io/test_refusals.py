"""Bad input: a plain line for each, before anything is decoded where the header tells."""

from __future__ import annotations

import io
import logging
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from analytics.io.images import Limits, check_bytes, read_picture
from tests.io.making import encode, gradient, png, refusal


def heic(image: Image.Image, **options: object) -> bytes:
    import pillow_heif

    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=95, **options)
    return stream.getvalue()


# --- small and long --------------------------------------------------------------------


def test_1x1_is_read_with_a_note() -> None:
    picture = read_picture(encode(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"), "dot.png")
    assert picture.pixels.tolist() == [[[9, 8, 7]]]
    (note,) = picture.notes
    assert note.startswith("1 x 1 pixel, enlarged")
    assert "flat colour" in note


def test_small_is_read_with_a_note() -> None:
    (note,) = read_picture(encode(gradient(20, 13), "PNG"), "s.png").notes
    assert note.startswith("only 13 x 20 pixels, enlarged")
    assert read_picture(encode(gradient(14, 14), "PNG"), "s.png").notes == ()


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_1x5000_is_refused_with_the_limit(size: tuple[int, int]) -> None:
    message = refusal(encode(Image.new("L", size), "PNG"), "line.png")
    assert "at most 100 times the short side" in message
    assert f"got {size[0]:,} x {size[1]:,} pixels" in message
    assert "cut out a part" in message


def test_aspect_at_the_limit_is_read() -> None:
    assert read_picture(encode(Image.new("L", (1400, 14)), "PNG"), "band.png").width == 1400
    refusal(encode(Image.new("L", (1401, 14)), "PNG"), "band.png")


# --- refused before decoding -----------------------------------------------------------


def test_200_megapixel_png_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFile

    data = png(20_000, 10_000, 1, 0, b"\0" * (2501 * 10_000))
    assert len(data) < 64 * 1024

    def decode(self: object) -> None:
        raise AssertionError("decoded before the size was checked")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = refusal(data, "huge.png")
    assert "at most 100 megapixels" in message
    assert "20,000 x 10,000 pixels (width x height), which is 200 megapixels" in message
    assert "scale it down" in message


@pytest.mark.parametrize("side", [2**31 - 1, 2**16])
def test_absurd_sizes_in_headers_are_refused(side: int) -> None:
    assert "megapixels" in refusal(png(side, side, 8, 2, b"\0"), "lie.png")


def test_limits_of_bytes_pixels_and_sides_are_named() -> None:
    data = encode(gradient(), "PNG")
    assert "at most 0 MiB" in refusal(data, limits=Limits(max_bytes=100))
    assert "megapixels" in refusal(data, limits=Limits(max_pixels=2399))
    assert "sides of at most 59 pixels" in refusal(data, limits=Limits(max_side=59))
    exact = Limits(max_bytes=len(data), max_pixels=2400, max_side=60)
    assert read_picture(data, "a", exact).width == 60


def test_check_bytes_names_both_sizes() -> None:
    with pytest.raises(ValueError, match=r"at most 64 MiB, got 65\.0 MiB"):
        check_bytes(65 * 2**20, Limits())


# --- not a picture, or a damaged one ---------------------------------------------------

SVG = b'<?xml version="1.0"?>\n<svg xmlns="x" width="9" height="9"><rect/></svg>'


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "got an empty file (0 bytes)"),
        (b"Dear diary,\nthis is no picture.\n", "got a text file"),
        ("Grüße, κόσμε\n".encode(), "got a text file"),
        ("text from Windows".encode("utf-16"), "got a text file"),
        (SVG, "got an SVG file; SVG is a vector drawing; export it as PNG"),
        (b"\xef\xbb\xbf" + SVG, "SVG is a vector drawing; export it as PNG"),
        (b"<!DOCTYPE html><html><body><svg/></body></html>", "got a web page"),
        (b"%PDF-1.7\n%\xe2\xe3", "got a PDF document; export the page"),
        (b"PK\x03\x04" + bytes(30), "got a zip archive"),
        (b"\x1f\x8b\x08" + bytes(30), "got a gzip file"),
        (b"8BPS\0\1" + bytes(30), "got a Photoshop document"),
        (b"\0\0\0\x18ftypisom" + bytes(30), "got a video"),
        (bytes(128) + b"DICM" + bytes(9), "got a DICOM file"),
        (bytes(range(256)), "got a file of another kind"),
    ],
)
def test_files_that_are_no_picture_are_named(data: bytes, found: str) -> None:
    message = refusal(data, "photo.png")
    assert found in message
    assert "Traceback" not in message


def test_text_renamed_png() -> None:
    message = refusal(b"just some words\n" * 50, "words.png")
    assert "got a text file; check that the right file was chosen" in message
    assert "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF" in message


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIC"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_files_are_refused(form: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    image = Image.fromarray(noise)
    data = heic(image) if form == "HEIC" else encode(image, form)
    cut = data[: max(16, int(share * len(data)))]
    message = refusal(cut, "cut.img")
    assert "cut short; copy or download it again" in message


def test_truncated_jpeg() -> None:
    data = encode(gradient(400, 600), "JPEG")
    message = refusal(data[: len(data) // 2], "half.jpg")
    assert message == (
        "half.jpg: expected a whole JPEG file, got one that is cut short; copy or download it again"
    )


def test_png_with_a_damaged_checksum_is_refused() -> None:
    data = bytearray(encode(gradient(), "PNG"))
    data[-20] ^= 0xFF
    assert "damaged" in refusal(bytes(data), "bad.png")


def test_no_bytes_make_it_do_anything_but_read_or_refuse_in_one_line() -> None:
    rng = np.random.default_rng(1)
    forms = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
    files = [encode(gradient(24, 32), form) for form in forms] + [heic(gradient(64, 64))]
    refused = 0
    for data in files:
        for _ in range(25):
            broken = np.frombuffer(data, np.uint8).copy()
            at = rng.integers(0, len(broken), 6)
            broken[at] = rng.integers(0, 256, 6)
            try:
                picture = read_picture(broken.tobytes(), "f")
            except ValueError as error:
                assert "expected" in str(error)
                assert "\n" not in str(error)
                refused += 1
            else:
                assert picture.pixels.dtype == np.uint8
    assert refused > 20


def test_nothing_is_warned_or_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    tiff = encode(gradient(), "TIFF", compression="tiff_lzw")
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0"
    odd = [
        encode(gradient(), "JPEG", exif=exif),
        tiff[:-300],
        tiff.replace(b"\x03\x01", b"\x03\x09"),
    ]
    samples = struct.pack("<HHIH", 277, 3, 1, 3)
    assert samples in tiff
    odd.append(tiff.replace(samples, struct.pack("<HHIH", 277, 3, 1, 2048)))
    palette = encode(gradient().quantize(8), "PNG", transparency=bytes(range(8)))
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        for data in [*odd, palette]:
            try:
                assert read_picture(data, "odd").width > 0
            except ValueError as error:
                assert "expected" in str(error)
    assert [str(item.message) for item in caught] == []
    assert caplog.records == []
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
