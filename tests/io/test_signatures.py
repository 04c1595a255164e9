"""What kind of file it is, by content."""

from __future__ import annotations

import pytest

from analytics.io.signatures import HEAD_BYTES, PICTURE_SUFFIXES, picture_kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF87a", "GIF"),
        (b"GIF89a", "GIF"),
        (b"BM", "BMP"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"RIFF\0\0\0\0WEBP", "WEBP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
    ],
)
def test_pictures(head: bytes, kind: str) -> None:
    assert picture_kind(head + bytes(20)) == kind


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"RIFF\0\0\0\0WAVE", "a file of another kind"),
        (b"PK\x05\x06", "an empty zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\xff\x0a", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
        (b"%!PS-Adobe", "a PostScript drawing"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x7fELF", "a file of another kind"),
    ],
)
def test_others_are_named(head: bytes, found: str) -> None:
    padding = b"" if head.startswith(b"version") else bytes(20)
    with pytest.raises(ValueError, match=f"got {found}.*; "):
        picture_kind(head + padding)


def test_text_is_told_from_a_head_that_ends_inside_a_character() -> None:
    text = ("\u00e9" * HEAD_BYTES).encode()
    for cut in (HEAD_BYTES - 1, HEAD_BYTES):
        with pytest.raises(ValueError, match="got a text file"):
            picture_kind(text[:cut])


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert {".jpg", ".png", ".tif", ".heic", ".avif", ".gif"} <= PICTURE_SUFFIXES
    assert all(s.startswith(".") and s == s.lower() for s in PICTURE_SUFFIXES)
